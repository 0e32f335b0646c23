"""What each mechanism is worth, inside TLS and without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from saslsspi_conformance.probe.findings import Finding, Severity

__all__ = ["judge_mechanism"]


class _Strength(NamedTuple):
    clear: Severity
    inside: Severity
    id: str
    text: str


_PLAIN: Final = _Strength(Severity.FAIL, Severity.INFO, "plain-text", "sends the password as it is")
_SCRAM: Final = _Strength(Severity.INFO, Severity.GOOD, "challenge", "salted challenge-response, mutual, no layer")
_SCRAM_1: Final = _Strength(
    Severity.INFO, Severity.INFO, "sha-1", "salted challenge-response with SHA-1, mutual, no layer"
)
_PLUS: Final = _Strength(
    Severity.GOOD, Severity.GOOD, "channel-binding", "salted challenge-response, bound to the channel"
)
_KERBEROS: Final = _Strength(Severity.GOOD, Severity.GOOD, "kerberos", "Kerberos: mutual, with a layer")
_NTLM: Final = _Strength(Severity.FAIL, Severity.WARN, "ntlm", "guessable offline, and easily relayed")
_CRAM: Final = _Strength(Severity.FAIL, Severity.WARN, "cram-md5", "guessable offline, not mutual, no layer")
_BEARER: Final = _Strength(Severity.FAIL, Severity.GOOD, "bearer", "a token that serves whoever sees it")

_STRENGTHS: Final[Mapping[str, _Strength]] = {
    "PLAIN": _PLAIN,
    "LOGIN": _PLAIN,
    "XOAUTH2": _BEARER,
    "OAUTHBEARER": _BEARER,
    "ANONYMOUS": _Strength(Severity.WARN, Severity.WARN, "anonymous", "lets in whoever comes"),
    "EXTERNAL": _Strength(
        Severity.INFO, Severity.GOOD, "external", "the certificate of TLS, or what the carrier knows"
    ),
    "CRAM-MD5": _CRAM,
    "APOP": _CRAM,
    "NTLM": _NTLM,
    "GSS-SPNEGO": _Strength(Severity.INFO, Severity.INFO, "negotiate", "Kerberos, or NTLM where that fails"),
    "GSSAPI": _KERBEROS,
    "GS2-KRB5": _KERBEROS,
    "GS2-KRB5-PLUS": _KERBEROS,
    "GS2-IAKERB": _KERBEROS,
    "CREDSSP": _Strength(Severity.INFO, Severity.INFO, "credssp", "hands credentials over, inside a TLS of its own"),
    "DIGEST-MD5": _Strength(Severity.WARN, Severity.WARN, "digest-md5", "historic (RFC 6331): MD5, guessable offline"),
    "SCRAM-SHA-1": _SCRAM_1,
    "SCRAM-SHA-224": _SCRAM,
    "SCRAM-SHA-256": _SCRAM,
    "SCRAM-SHA-384": _SCRAM,
    "SCRAM-SHA-512": _SCRAM,
    "SCRAM-SHA3-512": _SCRAM,
}
_UNKNOWN: Final = _Strength(Severity.INFO, Severity.INFO, "unknown-mechanism", "is not known here")


def judge_mechanism(name: str, *, encrypted: bool) -> Finding:
    """Judge one mechanism on offer."""
    bound = name.startswith("SCRAM-") and name.endswith("-PLUS")
    strength = _PLUS if bound else _STRENGTHS.get(name, _UNKNOWN)
    where = "" if encrypted else ", offered without TLS"
    return Finding(strength.inside if encrypted else strength.clear, strength.id, f"{name}: {strength.text}{where}")
