"""What `demo` asks of a protocol, and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, TypeAlias

from saslsspi.accounts import Chain, MemoryAuthority, MemoryTokens
from saslsspi.credentials import Credentials, Password, Token
from saslsspi.engine.policy import Policy
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.testbed.tap import Speech

__all__ = ["PEOPLE", "USER", "Play", "ProtectionLevel", "Row", "Stage", "credentials_for"]

USER: Final = "alice"
_PASSWORD: Final = Password(USER, "wonderland")
_TOKEN: Final = "an-issuer.has-given.this"

PEOPLE: Final = Chain(MemoryTokens({_TOKEN: USER}), MemoryAuthority({USER: _PASSWORD.password}))
"""Who may log on at the embedded servers: one user, with a password or a token."""


class ProtectionLevel(NamedTuple):
    """A layer to reach, and the policy that leaves no other.

    Attributes:
        tls: Whether the mechanism needs TLS around it.
    """

    name: str
    policy: Policy
    tls: bool = False


class Row(NamedTuple):
    """One logon and the work after it.

    Attributes:
        client: The protocol, and the library that logged on.
        tls: Whether TLS was around it.
        identity: Who the server said we are, asked under the layer.
        round_trips: Of the logon.
        milliseconds: Of the logon.
        found: How many entries, messages or the like were found under the layer.
        clear: Whether the text that was worked with could be read on the wire.
        problem: What went wrong, "" where nothing did.
        wire: What passed the tap.
    """

    client: str
    mechanism: str
    level: str
    tls: bool
    package: str = ""
    qop: str = ""
    cipher: str = ""
    ssf: int = 0
    authcid: str = ""
    authzid: str = ""
    identity: str = ""
    round_trips: int = 0
    milliseconds: float = 0.0
    found: int = 0
    clear: bool = True
    problem: str = ""
    wire: tuple[Speech, ...] = ()

    def record(self) -> dict[str, object]:
        """The row as JSON has it: without the wire."""
        return {name: value for name, value in self._asdict().items() if name != "wire"}


def credentials_for(mechanism: Mechanism) -> Credentials | None:
    """Return what the user logs on with by a mechanism; None where the channel says who it is, or nobody logs on."""
    if Token in mechanism.credentials:
        return Token(USER, _TOKEN)
    return _PASSWORD if not mechanism.credentials or Password in mechanism.credentials else None


Play: TypeAlias = Callable[[Mechanism, ProtectionLevel], Row]
"""Logs on with a mechanism at a level, works, and tells."""

Stage: TypeAlias = Callable[[], AbstractContextManager[Play]]
"""Starts a protocol's server, and stops it at the end of the block."""
