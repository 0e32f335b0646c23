"""`auth --trace`: every step and every token of a logon on standard error, in the words of `saslsspi decode`.

What the hook tells is sizes and names; the tokens are seen where they pass, in the client that is made for it. What a
decoder does not know is told by its size alone, and no decoder shows a password.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saslsspi.cli.decode import print_node
from saslsspi.cli.decode.recognition import decode
from saslsspi.cli.output import say
from saslsspi.engine.environment import Environment
from saslsspi.engine.hooks.trace import TraceEvent
from saslsspi.sasl.client import Client
from saslsspi.sasl.logon import Logon

__all__ = ["traced"]

_INDENT: Final = "    "


class _TracedClient(Client):
    """A client whose messages are shown as they come and go."""

    __slots__ = ()

    def _advance(self, challenge: bytes | None) -> bytes | None:
        _show("<", challenge)
        response = super()._advance(challenge)
        _show(">", response)
        return response


def traced(logon: Logon) -> Logon:
    """Return a logon that shows what it does."""
    environment = Environment(policy=logon.effective_policy, trace=_tell)
    return replace(logon, environment=environment, client_class=_TracedClient)


def _tell(event: TraceEvent) -> None:
    say(f"# {event}", error=True)


def _show(arrow: str, token: bytes | None) -> None:
    if token is None:
        return
    say(f"{arrow} {len(token)} octets", error=True)
    if token:
        print_node(decode(token), _INDENT, error=True)
