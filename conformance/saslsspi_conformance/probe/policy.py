"""Policy files: what a server must and must not offer, in TOML; docs/probe.md describes them.

[mechanisms]
required = ["SCRAM-SHA-256"]
forbidden = ["NTLM"]
forbidden_without_tls = ["PLAIN"]
[tls]
required = true
[levels]
digest-md5 = "fail"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from saslsspi_conformance.probe.findings import IDS, Finding, Severity

__all__ = ["ProbePolicy"]

_LISTS: Final = ("required", "forbidden", "forbidden_without_tls")


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """What is required and forbidden, and the levels that findings get instead of ours."""

    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    forbidden_without_tls: frozenset[str] = frozenset()
    tls_required: bool = False
    levels: Mapping[str, Severity] = field(default_factory=dict)

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read a file's text.

        Raises:
            ValueError: it is not TOML, or has a table, a key or a value that means nothing here.
        """
        document: dict[str, Any] = tomllib.loads(text)
        if unknown := document.keys() - {"mechanisms", "tls", "levels"}:
            raise ValueError(f"there is no table [{min(unknown)}]")
        if any(not isinstance(table, dict) for table in document.values()):
            raise ValueError("mechanisms, tls and levels are tables")
        mechanisms, tls = document.get("mechanisms", {}), document.get("tls", {})
        if unknown := (mechanisms.keys() - set(_LISTS)) | (tls.keys() - {"required"}):
            raise ValueError(f"there is no key {min(unknown)!r}")
        needed, never, never_clear = (_names(key, mechanisms.get(key, [])) for key in _LISTS)
        required = tls.get("required", False)
        if not isinstance(required, bool):
            raise ValueError("tls.required is true or false")
        if unknown := document.get("levels", {}).keys() - IDS:
            raise ValueError(f"there is no finding {min(unknown)!r}")
        levels = {key: _level(value) for key, value in document.get("levels", {}).items()}
        return cls(needed, never, never_clear, required, levels)

    def apply(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings at this policy's levels."""
        return [finding._replace(level=self.levels.get(finding.id, finding.level)) for finding in findings]

    def violations(self, clear: Iterable[str] | None, inside: Iterable[str] | None) -> list[Finding]:
        """Return where an offer breaks this policy.

        Args:
            clear: The mechanisms without TLS; None where there is no such connection.
            inside: Those inside TLS; None where there is no TLS.
        """
        before, after = frozenset(clear or ()), frozenset(inside or ())
        offered = before | after
        found = [_violation(f"{name} is required and not offered") for name in sorted(self.required - offered)]
        found += [_violation(f"{name} is forbidden and offered") for name in sorted(self.forbidden & offered)]
        for name in sorted(self.forbidden_without_tls & before):
            found.append(_violation(f"{name} is forbidden without TLS and offered there"))
        if self.tls_required and inside is None:
            found.append(_violation("TLS is required and not offered"))
        return found


def _violation(text: str) -> Finding:
    return Finding(Severity.FAIL, "policy", text)


def _names(key: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"mechanisms.{key} is a list of names")
    return frozenset(name.upper() for name in value)


def _level(value: object) -> Severity:
    if not isinstance(value, str) or value.upper() not in Severity.__members__:
        raise ValueError(f"a level is one of {', '.join(level.lower() for level in Severity.__members__)}")
    return Severity[value.upper()]
