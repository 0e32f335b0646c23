"""What GSS-API's and Kerberos' errors are in SSPI's words.

A GSS-API failure has two numbers: the major status of RFC 2744 section 3.9.1, and the minor one of the mechanism,
here an error of the krb5 library (RFC 4120 section 7.5.9 for those that KDCs and servers send). The second says more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from saslsspi.errors import (
    AlgorithmMismatch,
    BadBindings,
    ContextExpired,
    ContextMisuse,
    InternalError,
    InvalidToken,
    LogonDenied,
    MessageAltered,
    NoAuthenticatingAuthority,
    NoCredentials,
    OutOfSequence,
    QopNotSupported,
    SaslError,
    TargetUnknown,
    TimeSkew,
    UnsupportedFunction,
    WrongPrincipal,
)
from saslsspi.packages.kerberos.gss import library

__all__ = ["failure", "message_failure", "translated"]

_KRB5_BASE: Final = 0x96C73A00  # ERROR_TABLE_BASE_krb5

# By the distance from the base. To 127 they are the protocol's own numbers, above them the library's.
_MINOR: Final[Mapping[int, tuple[type[SaslError], str]]] = {
    1: (LogonDenied, "the account has expired"),  # KDC_ERR_NAME_EXP
    2: (TargetUnknown, "the service's account has expired"),  # KDC_ERR_SERVICE_EXP
    6: (LogonDenied, "the user is unknown or the password is wrong"),  # KDC_ERR_C_PRINCIPAL_UNKNOWN
    7: (TargetUnknown, "no such service principal: is the host's name the one that the service is registered under?"),
    14: (AlgorithmMismatch, "the two sides have no encryption type in common"),  # KDC_ERR_ETYPE_NOSUPP
    18: (LogonDenied, "the account is locked or disabled"),  # KDC_ERR_CLIENT_REVOKED
    23: (LogonDenied, "the password has expired"),  # KDC_ERR_KEY_EXPIRED
    24: (LogonDenied, "the user is unknown or the password is wrong"),  # KDC_ERR_PREAUTH_FAILED
    31: (LogonDenied, "a wrong password, or a keytab with another key than the KDC's"),  # KRB_AP_ERR_BAD_INTEGRITY
    32: (ContextExpired, "the ticket has expired: get a new one with kinit"),  # KRB_AP_ERR_TKT_EXPIRED
    33: (TimeSkew, "the ticket is not yet valid: compare the clocks"),  # KRB_AP_ERR_TKT_NYV
    34: (LogonDenied, "the same request was sent before: a replay"),  # KRB_AP_ERR_REPEAT
    35: (WrongPrincipal, "the ticket is not for this service"),  # KRB_AP_ERR_NOT_US
    36: (LogonDenied, "ticket and authenticator do not match"),  # KRB_AP_ERR_BADMATCH
    37: (TimeSkew, "the clocks of the two sides differ by more than the permitted skew"),  # KRB_AP_ERR_SKEW
    41: (LogonDenied, "the message was changed on its way"),  # KRB_AP_ERR_MODIFIED
    44: (WrongPrincipal, "the keytab is older or newer than the key in the KDC"),  # KRB_AP_ERR_BADKEYVER
    45: (WrongPrincipal, "the keytab has no key for the principal that the client asked for"),  # KRB_AP_ERR_NOKEY
    46: (LogonDenied, "mutual authentication failed"),  # KRB_AP_ERR_MUT_FAIL
    60: (InternalError, "the KDC failed"),  # KRB_ERR_GENERIC
    68: (TargetUnknown, "the KDC refers to another realm"),  # KDC_ERR_WRONG_REALM
    141: (NoCredentials, "there is no ticket: run kinit, or give a password"),  # KRB5_CC_NOTFOUND
    144: (WrongPrincipal, "the ticket is not for this service"),  # KRB5KRB_AP_WRONG_PRINC
    154: (NoAuthenticatingAuthority, "krb5.conf names no KDC for the realm"),  # KRB5_REALM_UNKNOWN
    156: (NoAuthenticatingAuthority, "no KDC of the realm answers"),  # KRB5_KDC_UNREACH
    181: (NoCredentials, "there is no keytab with a key of this principal"),  # KRB5_KT_NOTFOUND
    195: (NoCredentials, "there is no ticket: run kinit, or give a password"),  # KRB5_FCC_NOFILE
    200: (AlgorithmMismatch, "there is no ticket of a permitted encryption type"),  # KRB5_CC_NOT_KTYPE
    217: (TargetUnknown, "the host's realm cannot be found"),  # KRB5_ERR_HOST_REALM_UNKNOWN
    220: (NoAuthenticatingAuthority, "no KDC of the realm can be found"),  # KRB5_REALM_CANT_RESOLVE
    230: (WrongPrincipal, "the keytab has another version of the key"),  # KRB5_KT_KVNONOTFOUND
}

# By the routine error, bits 16 to 23 of the major status.
_ROUTINE: Final[Mapping[int, type[SaslError]]] = {
    1: UnsupportedFunction,  # GSS_S_BAD_MECH
    2: TargetUnknown,  # GSS_S_BAD_NAME
    3: TargetUnknown,  # GSS_S_BAD_NAMETYPE
    4: BadBindings,
    6: MessageAltered,  # GSS_S_BAD_SIG
    7: NoCredentials,
    8: ContextMisuse,  # GSS_S_NO_CONTEXT
    9: InvalidToken,
    10: NoCredentials,  # GSS_S_DEFECTIVE_CREDENTIAL
    11: NoCredentials,  # GSS_S_CREDENTIALS_EXPIRED
    12: ContextExpired,
    14: QopNotSupported,
    15: LogonDenied,  # GSS_S_UNAUTHORIZED
    16: UnsupportedFunction,  # GSS_S_UNAVAILABLE
}
_SUPPLEMENTARY: Final = 0x1E  # duplicate, old, unsequential, gap
_BAD_MIC: Final = 6


def failure(error: Any, doing: str) -> SaslError:
    """Return our error for a GSSError; the caller raises it `from` that one.

    Must be called in the thread in which the error arose: the krb5 library keeps its texts by thread.
    """
    number = (int(error.min_code) & 0xFFFFFFFF) - _KRB5_BASE
    routine = int(error.maj_code) >> 16 & 0xFF
    token = getattr(error, "token", None) or None
    if number in _MINOR and routine != 4:
        kind, why = _MINOR[number]
        return kind(f"{doing}: {why} ({_words(error)})", token=token)
    if routine:
        return _ROUTINE.get(routine, InvalidToken)(f"{doing}: {_words(error)}", token=token)
    if int(error.maj_code) >> 24:
        return InvalidToken(f"{doing}: the token is empty or cannot be read", token=token)
    if int(error.maj_code) & _SUPPLEMENTARY:
        # RFC 4752 section 3.3: "the major_status other than the GSS_S_COMPLETE MUST be treated as a fatal error."
        return OutOfSequence(f"{doing}: a message was lost, repeated or reordered")
    return InternalError(f"{doing}: {_words(error)}", token=token)


def message_failure(error: Any, doing: str) -> SaslError:
    """As failure, for an error over one message of an established context: what does not decrypt was altered."""
    if int(error.maj_code) >> 16 & 0xFF == _BAD_MIC:
        return MessageAltered(f"{doing}: the message does not verify")
    return failure(error, doing)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn a GSSError of the block into our own."""
    try:
        yield
    except library().GSSError as error:
        raise failure(error, doing) from error


def _words(error: Any) -> str:
    minor = int(error.min_code) & 0xFFFFFFFF
    code, is_major = (minor, False) if minor >= _KRB5_BASE else (int(error.maj_code), True)
    try:
        return "; ".join(error.get_all_statuses(code, is_major)).rstrip(".")
    except (UnicodeDecodeError, library().GSSError):
        return f"major status {int(error.maj_code):#x}, minor {minor:#x}"
