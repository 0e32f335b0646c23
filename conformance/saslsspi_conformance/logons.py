"""Failed logons: how many an account has suffered in a run, and how many it may.

A logon is a message of ours that names the account. It has failed when the server refuses it, closes, or does not
answer. The bound is looked at before the message goes, so it is never passed, whatever a case expects of the server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from saslsspi_conformance.outcome import Reaction, Spared

__all__ = ["FailedLogons", "LogonWatch"]

_SOFT_HYPHEN: Final = "\u00ad".encode()  # SASLprep maps it to nothing: a name with it is the account's too


@dataclass(slots=True)
class FailedLogons:
    """What an account suffers.

    Attributes:
        user: Its name; "" counts nothing.
        bound: How many it may suffer; None is any number.
        spent: How many it has suffered.
        pause: How long to wait before a logon after one that has failed, in seconds.
        slowest: The longest time that a refusal took, in seconds.
    """

    user: str = ""
    bound: int | None = None
    spent: int = 0
    pause: float = 0.0
    slowest: float = 0.0
    _rest: bool = False

    @property
    def left(self) -> bool:
        """Whether one more may fail."""
        return self.bound is None or self.spent < self.bound

    def names(self, octets: bytes) -> bool:
        """Whether a message names the account."""
        return bool(self.user) and self.user.encode() in octets.replace(_SOFT_HYPHEN, b"")

    def claim(self) -> None:
        """Have a logon begin.

        Raises:
            Spared: if it failed it would be one too many.
        """
        if not self.left:
            raise Spared(
                f"it could be failed logon {self.spent + 1} of the account, and {self.bound} may be spent; "
                "--failed-logons allows more, --destructive any number"
            )
        if self._rest:
            self._rest = False
            time.sleep(self.pause)

    def failed(self, seconds: float) -> None:
        """Note one that has failed."""
        self.spent += 1
        self.slowest = max(self.slowest, seconds)
        self._rest = True


class LogonWatch:
    """The logons of one connection."""

    def __init__(self, logons: FailedLogons) -> None:
        self._logons = logons
        self._named = False
        self._since = 0.0

    def sending(self, octets: bytes) -> None:
        """See a message before it goes; raises Spared as FailedLogons.claim does."""
        if self._logons.names(octets):
            self._logons.claim()
            self._named = True
        self._since = time.monotonic()

    def came(self, outcome: Reaction) -> None:
        """See what the server made of it."""
        if self._named and outcome is not Reaction.CHALLENGE:
            self._named = False
            if outcome is not Reaction.SUCCESS:
                self._logons.failed(time.monotonic() - self._since)
