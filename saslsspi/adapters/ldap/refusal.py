"""A refused bind, told so that a person can act on it: the server's result, our status, and a hint.

Active Directory answers nearly everything with "invalid credentials" and hides the reason as a number in the
diagnostic message; Cyrus SASL, which OpenLDAP uses, has phrases of its own. The known ones are spelled out here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ldap3.core.exceptions import LDAPBindError, LDAPOperationResult
from ldap3.core.results import RESULT_CODES

from saslsspi.errors import (
    BadBindings,
    LogonDenied,
    NoAuthenticatingAuthority,
    NoImpersonation,
    PackageNotFound,
    RemoteError,
    SaslError,
    SecurityQosFailed,
    UnknownCredentials,
    WrongPrincipal,
)

__all__ = ["BindRefused", "bind_refused", "not_tried"]

_LONGEST_DIAGNOSTIC: Final = 500
_OTHER: Final = 80  # with a phrase that is known, OpenLDAP says so of a user whom it does not know
_WINDOWS_ERROR: Final = re.compile(r"([0-9A-Fa-f]{8}): ")
_WINDOWS_DATA: Final = re.compile(r"\bdata ([0-9A-Fa-f]{1,8})\b")

_LOCKED: Final = "the account is locked out"
_INTEGRITY: Final = "the server demands signing or TLS: allow a layer, Policy(min_ssf=1), or use TLS"

# Win32 error numbers in Active Directory's "data ...", without leading zeros.
_DATA_HINTS: Final[Mapping[str, str]] = {
    "525": "there is no such user; check its form (name, name@domain) and the realm",
    "52e": "wrong password, or a realm or host that is not the server's",
    "52f": "an account restriction, such as an empty password",
    "530": "the account may not log on at this hour",
    "531": "the account may not log on from this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "568": "the account is in too many groups",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": _LOCKED,
    "80090346": "the channel bindings are missing or belong to another TLS channel: something between decrypts TLS, or "
    "the mechanism has none; DIGEST-MD5 does not carry them in LDAP",
}

_PHRASE_HINTS: Final[tuple[tuple[str, type[SaslError], str], ...]] = (
    ("00002028", SecurityQosFailed, _INTEGRITY),
    ("80090346", BadBindings, _DATA_HINTS["80090346"]),
    # Samba, and inside TLS too unless its `ldap server require strong auth` permits SASL there.
    (
        "Sign or Seal are required",
        SecurityQosFailed,
        "the server demands a layer: allow one, Policy(min_ssf=1); where it demands that inside TLS, leave TLS away",
    ),
    ("digest-uri does not match", WrongPrincipal, "give the server's full name as host=; no alias will do"),
    ("incorrect digest-uri", WrongPrincipal, "give the server's full name as host="),
    ("unable to canonify user", LogonDenied, "the server knows no such user in this realm"),
    ("user not found", LogonDenied, "the server knows no such user, or not in this realm"),
    ("no mechanism available", PackageNotFound, "the server does not offer it, or not without a layer or TLS"),
    ("security requirements", SecurityQosFailed, "the server demands a layer or TLS, or forbids the layer chosen"),
    ("security layer", SecurityQosFailed, "the server wants no layer inside TLS, or another one"),
)

_CODE_HINTS: Final[Mapping[int, tuple[type[SaslError], str]]] = {
    2: (LogonDenied, "the server does not speak LDAP version 3, or could not read the request"),
    7: (PackageNotFound, "the server does not offer this mechanism here; see supportedSASLMechanisms of its root DSE"),
    8: (SecurityQosFailed, _INTEGRITY),
    10: (LogonDenied, "bind to the server that the referral names; credentials are not sent there by themselves"),
    13: (SecurityQosFailed, "the server demands encryption: TLS, or a layer with Policy(min_ssf=56)"),
    32: (LogonDenied, "the user maps to an entry that does not exist"),
    48: (UnknownCredentials, "this account or connection has nothing that the mechanism could check"),
    49: (LogonDenied, "wrong password, user or realm"),
    50: (NoImpersonation, "the user may not act as this authzid"),
    51: (NoAuthenticatingAuthority, "the server is busy; try again later"),
    52: (NoAuthenticatingAuthority, "the server is not available, or cannot do this in its present state"),
    53: (SecurityQosFailed, "the server is unwilling: often a layer inside TLS, or an account restriction"),
}


class BindRefused(LDAPBindError, RemoteError):  # type: ignore[misc]  # ldap3 ships no types
    """The server refused a bind. Also an instance of the error class that fits the cause, such as LogonDenied.

    Attributes:
        mechanism: The mechanism, "" where the server refused to tell its list.
        result: ldap3's result of the last operation.
        code: The LDAP result code.
        name: Its name, such as invalidCredentials.
        diagnostic: The server's diagnostic message, as it came.
        hint: What to look at.
    """

    status = LogonDenied.status

    def __init__(self, text: str = "", *, token: bytes | None = None, requirement: str | None = None) -> None:
        RemoteError.__init__(self, text, token=token, requirement=requirement)
        self.mechanism = ""
        self.result: dict[str, Any] = {}
        self.code = 0
        self.name = ""
        self.diagnostic = ""
        self.hint = ""

    @property
    def is_failure(self) -> bool:
        """Whether the server failed at it: "an internal error" (RFC 4511 appendix A.2), and not a word of the user."""
        return self.code == _OTHER and not self.hint

    def as_operation_result(self) -> LDAPOperationResult:
        """Return what ldap3 raises for this result where raise_exceptions is on."""
        return LDAPOperationResult(
            result=self.code,
            description=self.name,
            dn=self.result.get("dn"),
            message=self.diagnostic,
            response_type="bindResponse",
        )


def bind_refused(mechanism: str, user: str, result: Mapping[str, Any]) -> BindRefused:
    """Return the error for a bind response that is neither success nor saslBindInProgress."""
    code, name = int(result["result"]), str(result.get("description") or "unknown result")
    diagnostic = str(result.get("message") or "")
    cause, hint = _explain(code, diagnostic)
    said = f', "{_printable(diagnostic)}"' if diagnostic else ""
    whom = f" for {user}" if user else ""
    text = f"the server refused {mechanism}{whom}: {name} ({code}){said}"
    error = _kind(cause)(f"{text}; {hint}" if hint else text)
    error.mechanism, error.result, error.code, error.name = mechanism, dict(result), code, name
    error.diagnostic, error.hint = diagnostic, hint
    return error


def not_tried(text: str, cause: type[SaslError] = SecurityQosFailed, code: int = 53) -> BindRefused:
    """Return the error for a bind that this side would not try, told as a server tells it: unwillingToPerform (53).

    Args:
        text: Why, and what to do.
        cause: The class of errors that it belongs to.
        code: Another result code, one of ldap3's.
    """
    error = _kind(cause)(text)
    error.code, error.name, error.diagnostic = code, RESULT_CODES[code], text
    error.result = {
        "result": code,
        "description": error.name,
        "dn": "",
        "message": text,
        "referrals": None,
        "saslCreds": None,
        "type": "bindResponse",
    }
    return error


def _explain(code: int, diagnostic: str) -> tuple[type[SaslError], str]:
    for phrase, cause, hint in _PHRASE_HINTS:
        if phrase in diagnostic:
            return cause, hint
    cause, hint = _CODE_HINTS.get(code, (LogonDenied, ""))
    data = _WINDOWS_DATA.search(diagnostic) if _WINDOWS_ERROR.match(diagnostic) else None
    return cause, _DATA_HINTS.get(data[1].lower().lstrip("0"), hint) if data else hint


def _kind(cause: type[SaslError]) -> type[BindRefused]:
    # One class for each cause, so that `except LogonDenied` and `.status` say what the server meant.
    return type("BindRefused", (BindRefused, cause), {"status": cause.status, "__module__": __name__})


def _printable(diagnostic: str) -> str:
    cut = diagnostic[:_LONGEST_DIAGNOSTIC]
    shown = "".join(character if character.isprintable() else " " for character in cut).strip()
    return shown if len(cut) == len(diagnostic) else f"{shown}..."
