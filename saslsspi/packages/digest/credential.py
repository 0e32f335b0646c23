"""Credentials of the Digest package, for both of its protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.policy import Policy
from saslsspi.packages.digest.qop import Permitted, permitted

__all__ = ["DigestCredential"]

Memory = TypeVar("Memory")


@dataclass(slots=True, eq=False, repr=False)
class DigestCredential(Credential):
    """An acquired Digest credential. Its repr shows nothing.

    Attributes:
        username: Outbound: who logs on.
        password: Outbound: with what.
        realm: Outbound: the realm to choose, "" for the one that is offered.
        realms: Inbound: the realms to offer.
        principals: Inbound: the digest-uri values that are right, in lower case; empty checks nothing.
        permissions: Outbound: what may be chosen, by flags.
        memories: What the contexts of this handle share, each room's by its class.
    """

    username: str = ""
    password: str | None = None
    realm: str = ""
    realms: tuple[str, ...] = ()
    principals: frozenset[str] = frozenset()
    permissions: dict[tuple[int, int], Permitted] = field(default_factory=dict)
    memories: dict[type, Any] = field(default_factory=dict)

    def permits(self, required: int, requested: int, policy: Policy) -> Permitted:
        """Return what an initiator's flags and the handle's policy permit."""
        made = self.permissions.get((required, requested))
        if made is None:
            made = self.permissions[required, requested] = permitted(Side.INITIATE, required, requested, policy)
        return made

    def memory(self, kind: type[Memory], make: Callable[[], Memory]) -> Memory:
        """Return what the contexts of this handle share of a kind; the first one of them makes it."""
        held: Memory | None = self.memories.get(kind)
        if held is None:
            # Of two threads that make one, both get the one that came first.
            held = self.memories.setdefault(kind, make())
        return held
