"""Findings and their levels, and which is the worst."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["IDS", "Finding", "Severity", "worst"]

IDS: Final = frozenset(
    {"anonymous", "bearer", "binding-enforced", "binding-offered", "certificate", "challenge", "channel-binding"}
    | {"cram-md5", "credssp", "digest-md5", "external", "grammar", "initial-response", "initial-response-ignored"}
    | {"initial-response-unknown", "kerberos", "layer-optional", "layer-required", "login-command", "malformed"}
    | {"negotiate", "no-channel-binding", "no-layer", "no-tls", "no-utf8", "nonce-fresh", "nonce-repeats"}
    | {"not-available", "ntlm", "old-cipher", "plain-text", "policy", "sasl-ir", "sha-1", "short-nonce"}
    | {"signing-unseen", "small-maxbuf", "starttls-injection", "tls", "unknown-mechanism", "weak-cipher"}
)
"""Every finding there is."""


class Severity(enum.IntEnum):
    """How bad a finding is; the greater the worse."""

    GOOD = 0
    INFO = 1
    WARN = 2
    FAIL = 3


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        id: A name that policies refer to; it never changes.
        text: What it is, for a person.
    """

    level: Severity
    id: str
    text: str

    def record(self) -> dict[str, str]:
        """The finding as JSON has it."""
        return {"level": self.level.name.lower(), "id": self.id, "text": self.text}


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the worst level; GOOD when nothing was found."""
    return max((finding.level for finding in findings), default=Severity.GOOD)
