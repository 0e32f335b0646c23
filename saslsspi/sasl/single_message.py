"""The client's side of every mechanism that has one message and is then at the server's mercy."""

from __future__ import annotations

from saslsspi.engine.exchange import Outcome
from saslsspi.errors import InvalidToken
from saslsspi.sasl.mechanism import ClientExchange

__all__ = ["SingleMessageClient"]


class SingleMessageClient(ClientExchange):
    """Sends one message, answers no challenge but an empty one before it, and is done then: the rest is the server's.

    Args:
        name: The mechanism's, for errors.
        message: What is sent; may be empty.
        outcome: What it ends in.
    """

    __slots__ = ("_message", "_name", "_outcome", "outcome")

    def __init__(self, name: str, message: bytes, outcome: Outcome) -> None:
        self._name = name
        self._message = message
        self._outcome = outcome
        self.outcome: Outcome | None = None

    def step(self, challenge: bytes | None) -> bytes:
        """Return the message; see ClientExchange.step."""
        if self.outcome is not None or challenge:
            raise InvalidToken(f"{self._name} has one message, and no challenge but an empty one before it")
        self.outcome = self._outcome
        return self._message
