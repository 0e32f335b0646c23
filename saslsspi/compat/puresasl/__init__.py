"""The face of pure-sasl: `import puresasl`, over this library's clients.

Names and behaviour are pure-sasl's, as kazoo, impyla, snakebite and HDFS's data transfer use it. docs/compat.md tells
what it has, what it lacks and what it does better.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["QOP", "SASLError", "SASLProtocolException", "SASLWarning"]

__version__ = "0.6.2"
"""Of the pure-sasl whose names these are."""


class SASLError(Exception):
    """The program, its user or this machine is in the wrong: a password is missing, say."""


class SASLProtocolException(Exception):
    """The server is in the wrong, or does not agree."""


class SASLWarning(Warning):
    """A mechanism is passed over."""


class QOP:
    """The qualities of protection."""

    AUTH = b"auth"
    AUTH_INT = b"auth-int"
    AUTH_CONF = b"auth-conf"
    all = (AUTH, AUTH_INT, AUTH_CONF)

    bit_map: ClassVar = {1: AUTH, 2: AUTH_INT, 4: AUTH_CONF}
    name_map: ClassVar = {name: bit for bit, name in bit_map.items()}

    @classmethod
    def names_from_bitmask(cls, byt: int) -> set[bytes]:
        """Return the names in a mask of RFC 4752 section 3.3."""
        return {name for bit, name in cls.bit_map.items() if bit & byt}

    @classmethod
    def flag_from_name(cls, name: bytes) -> int:
        """Return the bit of a name."""
        bit: int = cls.name_map[name]
        return bit
