"""A strict reader of the directive lists of RFC 2831: it takes what the grammar writes, and nothing else."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from saslsspi_conformance.peers.digest.values import unquoted

__all__ = ["Directives", "read"]

_DIRECTIVE: Final = re.compile(
    rb"[ \t\r\n,]*([!#$%&'*+\-.0-9A-Z^_`a-z|~]+)[ \t\r\n]*=[ \t\r\n]*"
    rb"(\"(?:[^\"\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\\[\x00-\x7f])*\"|[!#$%&'*+\-.0-9A-Z^_`a-z|~]+)[ \t\r\n]*(?:,|\Z)"
)


class Directives(NamedTuple):
    """A message that was read.

    Attributes:
        listed: Names in lower case and raw values, in order.
        flaw: Where the message departs from the grammar; "" nowhere.
    """

    listed: tuple[tuple[str, bytes], ...]
    flaw: str

    def raw(self, name: str) -> bytes | None:
        """The first value of a name as it stands, quotes kept; None when absent."""
        return next((value for known, value in self.listed if known == name), None)

    def value(self, name: str) -> bytes:
        """The first value of a name without quotes; b"" when absent."""
        return unquoted(self.raw(name) or b"")

    def values(self, name: str) -> list[bytes]:
        """All values of a name."""
        return [unquoted(value) for known, value in self.listed if known == name]

    def count(self, name: str) -> int:
        """How often a name occurs."""
        return sum(known == name for known, _ in self.listed)

    def options(self, name: str) -> list[str]:
        """The elements of a list, in lower case."""
        return [word for word in self.value(name).decode("latin-1").lower().replace(",", " ").split() if word]


def read(message: bytes) -> Directives:
    """Cut a message into its directives."""
    found: list[tuple[str, bytes]] = []
    at = 0
    while at < len(message) and message[at:].strip(b", \t\r\n"):
        match = _DIRECTIVE.match(message, at)
        if match is None:
            return Directives(tuple(found), f"no directive at octet {at}")
        found.append((match[1].decode().lower(), match[2]))
        at = match.end()
    return Directives(tuple(found), "" if found else "no directive at all")
