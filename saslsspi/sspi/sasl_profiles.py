"""The contract of a SASL profile: what SSPI's own SASL functions need of a mechanism that is a context underneath.

The mechanisms are above this floor; they are found by their entry point, as packages are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.entry_points import PluginTable
from saslsspi.engine.exchange import Outcome, Request
from saslsspi.engine.policy import Policy
from saslsspi.errors import UnsupportedFunction

__all__ = ["PROFILES", "SaslExchange", "SaslProfile"]


class SaslExchange(ABC):
    """One side of one SASL exchange.

    Attributes:
        outcome: What it ended in; None before it has succeeded on this side.
    """

    __slots__ = ()

    outcome: Outcome | None

    @property
    def done(self) -> bool:
        """Whether the exchange has succeeded on this side."""
        return self.outcome is not None

    @abstractmethod
    def step(self, message: bytes | None, /) -> bytes | Question | None:
        """Take the peer's message, None for none, and return ours, None for none, or a question."""

    def resume(self, account: Account | None) -> bytes | Question | None:
        """Go on with what the authority answered."""
        raise UnsupportedFunction("this mechanism asks nothing")

    def succeed(self) -> None:
        """Take the news that the carrier reports success; a mechanism whose last message is its own is done now."""
        return


class SaslProfile(ABC):
    """A SASL mechanism as the lower floor sees it.

    Attributes:
        name: As registered (RFC 4422 section 3.1).
        package: The security package underneath; None for a mechanism without one, which is no profile.
    """

    __slots__ = ()

    name: str
    package: str | None

    @abstractmethod
    def converse(self, context: SecurityContext, request: Request, policy: Policy) -> SaslExchange:
        """Begin an exchange over a new context.

        Args:
            context: Of this profile's package; its side is the exchange's.
            request: What to ask of the context.
            policy: The layer that may be agreed on, and the sizes.
        """


PROFILES: Final[PluginTable[SaslProfile]] = PluginTable("saslsspi.mechanisms", SaslProfile)  # type: ignore[type-abstract]  # the table asks isinstance
