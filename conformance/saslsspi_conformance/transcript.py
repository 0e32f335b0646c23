"""What crossed the wire in one case, as a report shows it: our secrets masked, a server's words as they came."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from saslsspi_conformance.logons import FailedLogons

__all__ = ["Transcript", "WireStep", "decoded_words"]

_MOST_STEPS: Final = 200
_MASK: Final = b"*****"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{8,}={0,2}")


def decoded_words(line: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each word of a line that is base64, and what it stands for."""
    for word in _BASE64.findall(line):
        try:
            yield word, base64.b64decode(word, validate=True)
        except binascii.Error:
            continue


class WireStep(NamedTuple):
    """One message of a transcript; sender is "tester" or "target"."""

    sender: str
    text: str


@dataclass(slots=True)
class Transcript:
    """What crossed the wire in one case.

    What we sent is masked, and so is its echo: where the target repeats a message of ours that held a secret. Other
    words of a server stand as they came, those that happen to be a password too: a mask there would tell it.

    Attributes:
        secrets: What to mask.
        target_knows: Whether the target is told the secrets, as a client is, so that its own messages hold them.
        logons: What the account suffers, where it is somebody's.
        longest_wait: The longest time between a message of ours and an answer, in seconds.
    """

    secrets: tuple[str, ...] = ()
    target_knows: bool = False
    logons: FailedLogons = field(default_factory=FailedLogons)
    steps: list[WireStep] = field(default_factory=list)
    longest_wait: float = 0.0
    _sent_at: float = 0.0
    _confidential: dict[bytes, bytes] = field(default_factory=dict)

    def sent(self, what: str, octets: bytes | None = None) -> None:
        """Note what we sent."""
        self._sent_at = time.monotonic()
        shown = None if octets is None else self._masked(octets)
        if octets is not None and shown is not None and shown != octets:
            self._confidential[octets] = shown
            self._confidential[base64.b64encode(octets)] = _MASK
        self._note("tester", what, octets, shown)

    def received(self, what: str, octets: bytes | None = None) -> None:
        """Note what the target sent."""
        if self._sent_at:
            self.longest_wait = max(self.longest_wait, time.monotonic() - self._sent_at)
            self._sent_at = 0.0
        shown = octets
        if octets is not None:
            shown = self._masked(octets) if self.target_knows else self.without_echo(octets)
        self._note("target", what, octets, shown)

    def without_echo(self, octets: bytes) -> bytes:
        """Mask what repeats a message of ours that held a secret."""
        for message, shown in self._confidential.items():
            octets = octets.replace(message, shown)
        return octets

    def _masked(self, octets: bytes) -> bytes:
        for word, plain in decoded_words(octets):
            if self._without_secrets(plain) != plain:
                octets = octets.replace(word, _MASK)
        return self._without_secrets(octets)

    def _without_secrets(self, octets: bytes) -> bytes:
        for secret in self.secrets:
            for charset in ("utf-8", "latin-1"):
                coded = secret.encode(charset, "ignore")
                if len(coded) > 1:
                    octets = octets.replace(coded, _MASK)
        return octets

    def _note(self, sender: str, what: str, octets: bytes | None, shown: bytes | None) -> None:
        if len(self.steps) >= _MOST_STEPS:
            return
        text = what if octets is None or shown is None else f"{what} {_readable(shown, len(octets))}".strip()
        self.steps.append(WireStep(sender, text))


def _readable(octets: bytes, size: int) -> str:
    """Octets as text where most of them are, with their number as it was before the mask."""
    if not octets:
        return "(empty)"
    cut = octets[:600]
    printable = sum(32 <= octet < 127 for octet in cut)
    if printable < 0.7 * len(cut):
        shown = cut[:160].hex(" ") + (" ..." if len(octets) > 160 else "")
    else:
        shown = "".join(chr(octet) if 32 <= octet < 127 else f"\\x{octet:02x}" for octet in cut)
        shown += " ..." if len(octets) > 600 else ""
    return f"[{size}] {shown}"
