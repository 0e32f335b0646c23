"""What a decoder returns: a kind, fields, findings, and the tokens inside. A secret never gets into one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from saslsspi_conformance.probe.findings import Finding, Severity

__all__ = ["Node", "masked", "name", "text"]

_SHOWN: Final = 256
_LIKE_A_HASH: Final = re.compile(r"[0-9a-fA-F]{32}")


@dataclass
class Node:
    """One token.

    Attributes:
        fields: By name, for a person to read; what allows guessing at a password is masked.
        parts: The tokens inside.
    """

    kind: str
    fields: dict[str, object] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    parts: dict[str, Node] = field(default_factory=dict)

    def find(self, level: Severity, name: str, what: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(level, name, what))

    def record(self) -> dict[str, object]:
        """The tree as JSON has it."""
        return {
            "kind": self.kind,
            "fields": self.fields,
            "findings": [finding.record() for finding in self.findings],
            "parts": {name: part.record() for name, part in self.parts.items()},
        }


def masked(octets: bytes) -> str:
    """Say how long a secret is."""
    return f"({len(octets)} octets, masked)" if octets else "(empty)"


def text(octets: bytes, encoding: str = "utf-8") -> str:
    """Show octets as text, without what would act on a terminal."""
    shown = octets[: 4 * _SHOWN].decode(encoding, "replace")
    clean = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in shown)
    return clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "..."


def name(octets: bytes, encoding: str = "utf-8") -> str:
    """Show what should be a name; a damaged token may have a hash in its place, and that is masked."""
    shown = text(octets, encoding)
    return masked(octets) if _LIKE_A_HASH.search(shown) or "\N{REPLACEMENT CHARACTER}" in shown else shown
