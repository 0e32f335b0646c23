"""What the protocols of lines share of their replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["MAX_ANSWER_LINES", "code_in_brackets", "listed", "text_of"]

MAX_ANSWER_LINES: Final = 1000  # of one answer


def listed(values: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """Return a list of mechanisms that is the value of one capability."""
    return tuple(values[name].upper().split()) if name in values else None


def text_of(octets: bytes) -> str:
    """Return a server's octets as text, whatever they are."""
    return octets.decode("utf-8", "replace")


def code_in_brackets(text: bytes) -> bytes:
    """Return the response code at the beginning of a text: IMAP's, and POP3's (RFC 2449 section 8)."""
    return text[1:].partition(b"]")[0].upper() if text.startswith(b"[") else b""
