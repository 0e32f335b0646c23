"""What `demo` asks of a protocol, and what it is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, TypeAlias

from saslsspi.engine.policy import Policy
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["Play", "ProtectionLevel", "Row", "Stage"]


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


Play: TypeAlias = Callable[[Mechanism, ProtectionLevel], Row]
"""Logs on with a mechanism at a level, works, and tells."""

Stage: TypeAlias = Callable[[], AbstractContextManager[Play]]
"""Starts a protocol's server, and stops it at the end of the block."""
