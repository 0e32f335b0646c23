"""ClientAuth and ServerAuth, with the signatures, results and attributes of pywin32's `sspi` module."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any, Final

from saslsspi.accounts.account import AccountLookup
from saslsspi.compat.pywin32.buffers import PySecBufferDescType, PySecBufferType
from saslsspi.compat.pywin32.machine import Identity, surroundings
from saslsspi.compat.pywin32.pywintypes import error, translated
from saslsspi.compat.pywin32.win32security import (
    AcceptSecurityContext,
    AcquireCredentialsHandle,
    InitializeSecurityContext,
    PyCtxtHandleType,
    QuerySecurityPackageInfo,
)
from saslsspi.engine.environment import Environment
from saslsspi.engine.flags import AscReq, CredentialUse, IscReq, QopFlags, SecBufferType, TargetDataRep
from saslsspi.status import SecurityStatus

__all__ = ["ClientAuth", "ServerAuth", "error"]

_SIZES, _NATIVE_NAMES = 0, 13
_DATA: Final = int(SecBufferType.SECBUFFER_DATA)
_TOKEN: Final = int(SecBufferType.SECBUFFER_TOKEN)
_PADDING: Final = int(SecBufferType.SECBUFFER_PADDING)
_STREAM: Final = int(SecBufferType.SECBUFFER_STREAM)
_NO_ENCRYPT: Final = int(QopFlags.SECQOP_WRAP_NO_ENCRYPT)
_NETWORK: Final = int(TargetDataRep.SECURITY_NETWORK_DREP)
_ASKS: Final = (SecurityStatus.SEC_I_COMPLETE_NEEDED, SecurityStatus.SEC_I_COMPLETE_AND_CONTINUE)
_CLIENT_FLAGS: Final = int(
    IscReq.ISC_REQ_INTEGRITY
    | IscReq.ISC_REQ_SEQUENCE_DETECT
    | IscReq.ISC_REQ_REPLAY_DETECT
    | IscReq.ISC_REQ_CONFIDENTIALITY
)
_SERVER_FLAGS: Final = int(
    AscReq.ASC_REQ_INTEGRITY
    | AscReq.ASC_REQ_SEQUENCE_DETECT
    | AscReq.ASC_REQ_REPLAY_DETECT
    | AscReq.ASC_REQ_CONFIDENTIALITY
)


def _described(*buffers: tuple[int, bytes | int]) -> PySecBufferDescType:
    """Return buffers of these types; octets fill one, a number is its size."""
    made = PySecBufferDescType()
    for kind, given in buffers:
        size = given if isinstance(given, int) else len(given)
        buffer = PySecBufferType(size, kind)
        if not isinstance(given, int):
            buffer.Buffer = given
        made.append(buffer)
    return made


def _octets(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


class _BaseAuth:
    """What both sides have.

    Attributes:
        ctxt: The context, None before the first step.
        authenticated: Whether the exchange is over.
        initiator_name: The client, where the package tells both names.
        service_name: The service.
        ctxt_attr: The attributes of the last step.
        ctxt_expiry: When the context ends.
        next_seq_num: The number of the next message.
    """

    pkg_info: dict[str, Any]
    ctxt_attr: int
    ctxt_expiry: datetime

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, with the same credential."""
        self.ctxt: PyCtxtHandleType | None = None
        self.authenticated = False
        self.initiator_name: str | None = None
        self.service_name: str | None = None
        self.next_seq_num = 0

    def encrypt(self, data: bytes | str) -> tuple[bytes, bytes]:
        """Return a message encrypted, and its trailer."""
        desc = _described((_DATA, _octets(data)), (_TOKEN, self._sizes()["SecurityTrailer"]))
        self._context().EncryptMessage(0, desc, self._number())
        return desc[0].Buffer, desc[1].Buffer

    def decrypt(self, data: bytes, trailer: bytes) -> bytes:
        """Return what encrypt made unreadable."""
        desc = _described((_DATA, data), (_TOKEN, trailer))
        self._context().DecryptMessage(desc, self._number())
        return desc[0].Buffer

    def sign(self, data: bytes | str) -> bytes:
        """Return a signature."""
        desc = _described((_DATA, _octets(data)), (_TOKEN, self._sizes()["MaxSignature"]))
        self._context().MakeSignature(0, desc, self._number())
        return desc[1].Buffer

    def verify(self, data: bytes | str, sig: bytes) -> None:
        """Verify a signature; raise error where it is none of this message."""
        self._context().VerifySignature(_described((_DATA, _octets(data)), (_TOKEN, sig)), self._number())

    def wrap(self, msg: bytes | str, encrypt: bool = False) -> bytes:
        """Return a message as GSS_Wrap makes it: the token before it, padding behind."""
        sizes = self._sizes()
        desc = _described((_TOKEN, sizes["SecurityTrailer"]), (_DATA, _octets(msg)), (_PADDING, sizes["BlockSize"]))
        self._context().EncryptMessage(0 if encrypt else _NO_ENCRYPT, desc, self._number())
        return b"".join(buffer.Buffer for buffer in desc)

    def unwrap(self, token: bytes) -> tuple[bytes, bool]:
        """Return the message in a token, and whether it was encrypted."""
        desc = _described((_STREAM, token), (_DATA, 0))
        quality = self._context().DecryptMessage(desc, self._number())
        return desc[1].Buffer, quality & 0xFFFFFFFF != _NO_ENCRYPT

    def _context(self) -> PyCtxtHandleType:
        if self.ctxt is None:
            raise ValueError("there is no context before the first step")
        return self.ctxt

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = self._context().QueryContextAttributes(_SIZES)
        return sizes

    def _number(self) -> int:
        number = self.next_seq_num
        self.next_seq_num += 1
        return number

    def _get_next_seq_num(self) -> int:
        return self._number()

    def _incoming(self, given: PySecBufferDescType | bytes | None) -> PySecBufferDescType | None:
        if given is None or isinstance(given, PySecBufferDescType):
            return given
        return _described((_TOKEN, bytes(given)))

    def _taken(
        self, status: int, attributes: int, expiry: datetime, made: PySecBufferDescType
    ) -> tuple[int, PySecBufferDescType]:
        self.ctxt_attr, self.ctxt_expiry = attributes, expiry
        context = self._context()
        if status in _ASKS:
            context.CompleteAuthToken(made)
        self.authenticated = status == 0
        if self.authenticated:
            with contextlib.suppress(error):  # as most packages
                self.initiator_name, self.service_name = context.QueryContextAttributes(_NATIVE_NAMES)
        return status, made


class ClientAuth(_BaseAuth):
    """The client's side: authorize until its status is 0, then encrypt, sign or wrap.

    Args:
        pkg_name: The package.
        client_name: Whose credentials; None is who is logged on.
        auth_info: A user, a domain and a password; or an identity of saslsspi.sspi, such as CredsspCred.
        targetspn: The service's principal.
        scflags: ISC_REQ flags; None asks for encryption.
        datarep: SECURITY_NETWORK_DREP or _NATIVE_DREP.
        environment: Ours: policy and clock for this client; None is what configure said.
    """

    def __init__(
        self,
        pkg_name: str,
        client_name: str | None = None,
        auth_info: Identity | None = None,
        targetspn: str | None = None,
        scflags: int | None = None,
        datarep: int = _NETWORK,
        *,
        environment: Environment | None = None,
    ) -> None:
        self.scflags = _CLIENT_FLAGS if scflags is None else scflags
        self.datarep = datarep
        self.targetspn = targetspn
        self.pkg_info = QuerySecurityPackageInfo(pkg_name)
        name = str(self.pkg_info["Name"])
        self.credentials, self.credentials_expiry = AcquireCredentialsHandle(
            client_name,
            name,
            int(CredentialUse.SECPKG_CRED_OUTBOUND),
            None,
            auth_info,
            environment=environment,
        )
        super().__init__()

    def authorize(self, sec_buffer_in: PySecBufferDescType | bytes | None) -> tuple[int, PySecBufferDescType]:
        """Take the server's token, None at first; return a status and a buffer with the token for the server."""
        given, made = self._incoming(sec_buffer_in), _described((_TOKEN, self.pkg_info["MaxToken"]))
        before = self.ctxt
        if self.ctxt is None:
            self.ctxt = PyCtxtHandleType()
        result = InitializeSecurityContext(
            self.credentials, before, self.targetspn, self.scflags, self.datarep, given, self.ctxt, made
        )
        return self._taken(*result, made)


class ServerAuth(_BaseAuth):
    """The server's side.

    Args:
        pkg_name: The package.
        spn: The principals that clients may mean, separated by blanks; None checks none.
        scflags: ASC_REQ flags; None demands encryption.
        datarep: SECURITY_NETWORK_DREP or _NATIVE_DREP.
        authority: Ours: who knows the accounts; None is what configure said.
        auth_info: Ours: what the server itself has, such as CredsspCred with its certificate.
        environment: Ours: policy, clock, authority; None is what configure said.
    """

    def __init__(
        self,
        pkg_name: str,
        spn: str | None = None,
        scflags: int | None = None,
        datarep: int = _NETWORK,
        *,
        authority: AccountLookup | None = None,
        auth_info: Identity | None = None,
        environment: Environment | None = None,
    ) -> None:
        self.spn = spn
        self.datarep = datarep
        self.scflags = _SERVER_FLAGS if scflags is None else scflags
        self.pkg_info = QuerySecurityPackageInfo(pkg_name)
        name = str(self.pkg_info["Name"])
        with translated("AcquireCredentialsHandle"):
            around = (environment or surroundings(name)).overridden(authority=authority)
        self.credentials, self.credentials_expiry = AcquireCredentialsHandle(
            spn,
            name,
            int(CredentialUse.SECPKG_CRED_INBOUND),
            None,
            auth_info,
            environment=around,
        )
        super().__init__()

    def authorize(self, sec_buffer_in: PySecBufferDescType | bytes | None) -> tuple[int, PySecBufferDescType]:
        """Take the client's token; return a status and a buffer with the token for the client."""
        given, made = self._incoming(sec_buffer_in), _described((_TOKEN, self.pkg_info["MaxToken"]))
        before = self.ctxt
        if self.ctxt is None:
            self.ctxt = PyCtxtHandleType()
        result = AcceptSecurityContext(self.credentials, before, given, self.scflags, self.datarep, self.ctxt, made)
        return self._taken(*result, made)
