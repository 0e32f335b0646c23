"""What a target did, in the few words that every protocol shares."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

__all__ = [
    "DELIVERED",
    "HOLDS",
    "REFUSAL",
    "SUCCESS",
    "CaseError",
    "NotApplicable",
    "Observation",
    "Plays",
    "Reaction",
    "Spared",
    "holds",
]


class Reaction(enum.StrEnum):
    """What a target did."""

    SUCCESS = "success"
    FAILURE = "failure"
    """It ended the exchange with its protocol's failure, or cancelled it."""
    CLOSED = "connection closed"
    CHALLENGE = "challenge"
    """A server asked for one more response."""
    RESPONSE = "response"
    """A client answered a challenge."""
    DELIVERED = "text delivered"
    """A protected buffer was taken."""
    SILENCE = "no answer"
    HOLDS = "as required"
    BROKEN = "not as required"


class Observation(NamedTuple):
    """What a case has seen."""

    outcome: Reaction
    detail: str = ""


SUCCESS: Final = frozenset({Reaction.SUCCESS})
REFUSAL: Final = frozenset({Reaction.FAILURE, Reaction.CLOSED})
DELIVERED: Final = frozenset({Reaction.DELIVERED})
HOLDS: Final = frozenset({Reaction.HOLDS})


def holds(fact: object, detail: str = "") -> Observation:
    """Return HOLDS where a fact about what was received is true, BROKEN with the detail where it is not."""
    return Observation(Reaction.HOLDS if fact else Reaction.BROKEN, detail)


class NotApplicable(Exception):  # no error: the target has nothing to test here
    """The target does not offer what the case needs; the text says what."""


class CaseError(Exception):
    """The case could not be carried through: the target cannot be reached, or does not get as far as the test."""


class Spared(Exception):  # no error: the account is not to suffer more
    """The message is not sent: the account would suffer more failed logons than it may; the text says how many."""


class Plays(enum.StrEnum):
    """Which side the target is."""

    SERVER = "server"
    CLIENT = "client"
