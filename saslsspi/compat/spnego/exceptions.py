"""The errors of pyspnego: one class a kind, chosen by the code of what happened underneath.

Some texts in this room are those of pyspnego to the letter: its public tests, and programs, look for them.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar, Final

from saslsspi.errors import signed_status
from saslsspi.status import NTSTATUS, SecurityStatus

__all__ = [
    "BadBindingsError",
    "BadMICError",
    "BadMechanismError",
    "BadNameError",
    "ContextExpiredError",
    "CredentialsExpiredError",
    "ErrorCode",
    "FeatureMissingError",
    "GSSError",  # noqa: F822  # of __getattr__
    "InvalidCredentialError",
    "InvalidTokenError",
    "NativeError",
    "NegotiateOptions",
    "NoContextError",
    "NoCredentialError",
    "OperationNotAvailableError",
    "SpnegoError",
    "UnsupportedQop",
    "WinError",
]

_UNKNOWN: Final = 0xFFFFFFFF


WinError: type[Exception] = Exception
"""The exception of Windows; Exception elsewhere."""


class NativeError(Exception):
    """An error with the code of another library, to make a SpnegoError of."""

    def __init__(self, msg: str, **codes: Any) -> None:
        super().__init__(msg)
        self.msg = msg
        for name in codes.keys() & {"maj_code", "winerror"}:
            setattr(self, name, codes[name])


class NegotiateOptions(enum.IntFlag):
    """Wishes of a caller about how a context is made.

    There is one engine here, so the options that begin with "use" choose no other; that of NTLM asks for NTLM
    alone, as there.
    """

    none = 0x00
    use_sspi = 0x01
    use_gssapi = 0x02
    use_negotiate = 0x04
    use_ntlm = 0x08
    negotiate_kerberos = 0x10
    session_key = 0x20
    wrapping_iov = 0x40
    wrapping_winrm = 0x80


_MISSING: Final = {
    NegotiateOptions.negotiate_kerberos: (
        "The Python gssapi library is not installed so Kerberos cannot be negotiated."
    ),
    NegotiateOptions.wrapping_iov: (
        "The system is missing the GSSAPI IOV extension headers or CredSSP is being requested, cannot utilize "
        "wrap_iov and unwrap_iov"
    ),
    NegotiateOptions.wrapping_winrm: (
        "The system is missing the GSSAPI IOV extension headers required for WinRM encryption with Kerberos."
    ),
    NegotiateOptions.session_key: "The protocol selected does not support getting the session key.",
}


class FeatureMissingError(Exception):
    """An option that was asked for cannot be had here; its argument is the option."""

    @property
    def feature_id(self) -> NegotiateOptions:
        """The option."""
        option: NegotiateOptions = self.args[0]
        return option

    @property
    def message(self) -> str:
        """What is missing."""
        return _MISSING.get(self.feature_id) or f"Unknown option flag: {int(self.feature_id)}"

    def __str__(self) -> str:
        return self.message


class ErrorCode(enum.IntEnum):
    """The kinds of errors: GSS-API's major codes (RFC 2744 section 3.9.1), without the shift."""

    bad_mech = 1
    bad_name = 2
    bad_bindings = 4
    bad_mic = 6
    no_cred = 7
    no_context = 8
    invalid_token = 9
    invalid_credential = 10
    credentials_expired = 11
    context_expired = 12
    failure = 13
    bad_qop = 14
    unavailable = 16


_BY_CODE: Final[dict[int, type[SpnegoError]]] = {}
_BY_MAJOR: Final[dict[int, type[SpnegoError]]] = {}
_BY_STATUS: Final[dict[int, type[SpnegoError]]] = {}


class _Chosen(type):
    """Makes an error of the class that its code belongs to, whichever class is called."""

    def __call__(
        cls,
        error_code: int | None = None,
        base_error: Exception | None = None,
        context_msg: str | None = None,
    ) -> Any:
        code = error_code if error_code is not None else getattr(cls, "ERROR_CODE", None)
        if code is None:
            if base_error is None:
                raise ValueError(f"{cls.__name__} requires either an error_code or base_error")
            major, status = getattr(base_error, "maj_code", None), getattr(base_error, "winerror", None)
            if major is None and status is None:
                raise ValueError(
                    f"base_error of type '{type(base_error).__name__}' is not supported, must be a "
                    "gssapi.exceptions.GSSError or WindowsError"
                )
            found = _BY_MAJOR.get(major) if major is not None else _BY_STATUS.get(signed_status(int(status or 0)))
            code = None if found is None else found.ERROR_CODE
        chosen = _BY_CODE.get(code, cls) if code is not None else cls
        return super(_Chosen, chosen).__call__(code, base_error, context_msg)


class SpnegoError(Exception, metaclass=_Chosen):
    """An error of a context; calling it makes the class that the code belongs to.

    Args:
        error_code: The kind; None asks base_error for it.
        base_error: What happened underneath.
        context_msg: What was being done.

    Attributes:
        base_error: Of ours, a `saslsspi.SaslError`.
        token: What still goes to the peer, or None.
    """

    ERROR_CODE: ClassVar[ErrorCode | None] = None
    base_error: Exception | None
    token: bytes | None
    _TEXT: ClassVar[str] = "Unknown error code"
    _STATUSES: ClassVar[tuple[int, ...]] = ()

    def __init_subclass__(cls, major: int = 0, statuses: tuple[int, ...] = (), **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if cls.__dict__.get("ERROR_CODE") is None:
            return  # a program's own class
        assert cls.ERROR_CODE is not None
        _BY_CODE[cls.ERROR_CODE] = cls
        _BY_MAJOR[major] = cls
        cls._STATUSES = tuple(map(signed_status, statuses))
        _BY_STATUS.update(dict.fromkeys(cls._STATUSES, cls))

    def __init__(
        self, error_code: int | None = None, base_error: Exception | None = None, context_msg: str | None = None
    ) -> None:
        self.base_error = base_error
        self.token = getattr(base_error, "token", None)
        self._error_code = error_code
        self._context_message = context_msg
        super().__init__(self.message)

    @property
    def nt_status(self) -> int:
        """The status as Windows writes it into its exceptions: signed."""
        if self._STATUSES:
            return self._STATUSES[0]
        return self._error_code or _UNKNOWN

    @property
    def message(self) -> str:
        """The text: code, what is wrong, what was being done."""
        code = _UNKNOWN if self._error_code is None else int(self._error_code)
        text = str(self.base_error) if self.base_error else self._TEXT
        doing = f", Context: {self._context_message}" if self._context_message else ""
        return f"SpnegoError ({code}): {text}{doing}"


class BadMechanismError(SpnegoError, major=0x10000, statuses=(SecurityStatus.SEC_E_SECPKG_NOT_FOUND,)):
    """A mechanism that is not there."""

    ERROR_CODE = ErrorCode.bad_mech
    _TEXT = "there is no such mechanism here"


class BadNameError(SpnegoError, major=0x20000, statuses=(SecurityStatus.SEC_E_TARGET_UNKNOWN,)):
    """A name that nobody has."""

    ERROR_CODE = ErrorCode.bad_name
    _TEXT = "nobody has this name"


class BadBindingsError(SpnegoError, major=0x40000, statuses=(SecurityStatus.SEC_E_BAD_BINDINGS,)):
    """The peer is not bound to this channel."""

    ERROR_CODE = ErrorCode.bad_bindings
    _TEXT = "Invalid channel bindings"


class BadMICError(SpnegoError, major=0x60000, statuses=(SecurityStatus.SEC_E_MESSAGE_ALTERED,)):
    """A signature does not verify."""

    ERROR_CODE = ErrorCode.bad_mic
    _TEXT = "a signature does not verify"


class NoCredentialError(SpnegoError, major=0x70000, statuses=(SecurityStatus.SEC_E_NO_CREDENTIALS,)):
    """There is nothing to authenticate with."""

    ERROR_CODE = ErrorCode.no_cred
    _TEXT = "No credentials were supplied, or the credentials were unavailable or inaccessible"


class NoContextError(SpnegoError, major=0x80000, statuses=(SecurityStatus.SEC_E_INVALID_HANDLE,)):
    """The context is not established."""

    ERROR_CODE = ErrorCode.no_context
    _TEXT = "the context is not established"


class InvalidTokenError(
    SpnegoError,
    major=0x90000,
    statuses=(SecurityStatus.SEC_E_LOGON_DENIED, SecurityStatus.SEC_E_INVALID_TOKEN),
):
    """A token is wrong, or the logon was denied."""

    ERROR_CODE = ErrorCode.invalid_token
    _TEXT = "A token was invalid, or the logon was denied"


class InvalidCredentialError(SpnegoError, major=0xA0000, statuses=(NTSTATUS.STATUS_LOGON_FAILURE,)):
    """A credential is none."""

    ERROR_CODE = ErrorCode.invalid_credential
    _TEXT = "A credential was invalid"


class CredentialsExpiredError(SpnegoError, major=0xB0000, statuses=(0xC0000071,)):  # STATUS_PASSWORD_EXPIRED
    """A credential has expired."""

    ERROR_CODE = ErrorCode.credentials_expired
    _TEXT = "The referenced credentials have expired"


class ContextExpiredError(SpnegoError, major=0xC0000, statuses=(SecurityStatus.SEC_E_CONTEXT_EXPIRED,)):
    """The context is at its end."""

    ERROR_CODE = ErrorCode.context_expired
    _TEXT = "the context has expired"


class UnsupportedQop(SpnegoError, major=0xE0000, statuses=(SecurityStatus.SEC_E_QOP_NOT_SUPPORTED,)):
    """A quality of protection that is not there."""

    ERROR_CODE = ErrorCode.bad_qop
    _TEXT = "the protection that was asked for cannot be had"


class OperationNotAvailableError(SpnegoError, major=0x100000, statuses=(SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION,)):
    """The context has no such operation."""

    ERROR_CODE = ErrorCode.unavailable
    _TEXT = "Operation not supported or available"


def __getattr__(name: str) -> type[Exception]:
    """GSSError, the exception of the gssapi package, which takes its time to load; Exception without it."""
    if name != "GSSError":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import gssapi.raw
    except (ImportError, OSError):  # the second: the binding is there, and the C library is not
        return Exception
    kind: type[Exception] = gssapi.raw.GSSError
    return kind
