"""The client's side of every mechanism that has one message and is then at the server's mercy."""

from __future__ import annotations

from saslsspi.engine.exchange import Outcome
from saslsspi.errors import InvalidParameter, InvalidToken
from saslsspi.sasl.mechanism import ClientExchange

__all__ = ["SingleMessageClient", "encode_field"]


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


def encode_field(text: str, what: str) -> bytes:
    """Return an identity or a password in UTF-8.

    Raises:
        InvalidParameter: it holds NUL or a surrogate.
    """
    if "\0" in text:
        raise InvalidParameter(f"{what} holds no NUL", requirement="RFC4422-3.4.1-01")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidParameter(f"{what} holds a surrogate, which UTF-8 cannot carry") from None
