"""One run of one case: the target, the connections that were opened, and what crossed them.

A target is what is tested. The protocols here are all that a case and a player know of it: whether it is an object in
memory or a server behind a socket does not show. What a target is told to be for one case stands in a Setting; a
target that cannot be told (somebody's server) refuses every Setting but the default, and the case is not applicable.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from saslsspi_conformance.logons import FailedLogons
from saslsspi_conformance.outcome import NotApplicable, Observation, Plays, Reaction
from saslsspi_conformance.transcript import Transcript, WireStep

__all__ = [
    "DEFAULT",
    "Answer",
    "CaseRun",
    "ClientConversation",
    "ClientTarget",
    "Pace",
    "ServerConversation",
    "ServerTarget",
    "Setting",
    "TargetAccount",
    "Transcript",
    "WireStep",
]


class TargetAccount(NamedTuple):
    """Somebody who may log on."""

    user: str
    password: str
    realm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a case wants its target to be like.

    Attributes:
        user: Another account than the target's own, with `password`.
        authzid: Client: whom to act as.
        realm: Client: which realm to choose.
        realms: Server: what to offer; None leaves it to the target.
        max_buffer: The maxbuf to announce; 0 leaves it to the target.
        min_ssf: Least strength of the layer.
        max_ssf: Greatest strength of the layer.
        ciphers: The DIGEST-MD5 ciphers to permit; None leaves it to the target.
        remembers: Whether subsequent authentication is on.
        nonce_lifetime: How long a nonce serves for that, in seconds.
        serv_name: Client: the name of the replicated service.
        bindings: Data of a TLS channel around the exchange, as tls-server-end-point; b"" is none.
        external_ssf: The strength of that channel.
        external_identity: Server: whom that channel has authenticated.
        last_data_apart: Server: whether the last data go as one more challenge, as where the carrier has no room.
        credssp_version: The version of CredSSP to speak; 0 leaves it to the target.
        credssp_minimum: The least version of CredSSP to take; 0 leaves it to the target.
        delegates: Client: whether CredSSP hands the credentials over.
        initial_responses: Client: whether the server announces that it takes them.
        guarded: Server: whether passwords are not taken in clear without TLS, its usual configuration.
    """

    user: str = ""
    password: str = ""
    authzid: str = ""
    realm: str = ""
    realms: tuple[str, ...] | None = None
    max_buffer: int = 0
    min_ssf: int = 0
    max_ssf: int = 1 << 16
    ciphers: tuple[str, ...] | None = None
    remembers: bool = False
    nonce_lifetime: float = 300.0
    serv_name: str = ""
    bindings: bytes = b""
    external_ssf: int = 0
    external_identity: str = ""
    last_data_apart: bool = False
    credssp_version: int = 0
    credssp_minimum: int = 0
    delegates: bool = False
    initial_responses: bool = True
    guarded: bool = False


DEFAULT: Final = Setting()


class Answer(NamedTuple):
    """What a target answered: data None is none at all, b"" is empty."""

    outcome: Reaction
    data: bytes | None = None
    text: str = ""

    @property
    def seen(self) -> Observation:
        """As a case returns it."""
        return Observation(self.outcome, self.text)


class ServerConversation(Protocol):
    """One connection to a server under test; we are the client."""

    probe: bytes
    """A harmless request of the protocol, to be sent under the layer."""
    large_probe: bytes
    """One whose answer is large."""

    def begin(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Ask for a mechanism."""

    def respond(self, response: bytes) -> Answer:
        """Answer a challenge."""

    def cancel(self) -> Answer:
        """Give the exchange up."""

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""

    def receive(self) -> bytes:
        """Return the octets that come next; b"" when the server has closed."""

    def answers(self, text: bytes, *, large: bool = False) -> bool:
        """Whether a plain text is the whole answer to the probe, or to the large one."""

    def close(self) -> None:
        """Close the connection."""


class ClientConversation(Protocol):
    """One connection of a client under test; we are the server."""

    unasked: bytes
    """What a server of this carrier says first under a layer, in plain text; b"" where it waits for the client."""

    def start(self) -> Answer:
        """Return what the client begins with; data None is no initial response."""

    def challenge(self, data: bytes) -> Answer:
        """Send a challenge."""

    def succeed(self, data: bytes | None = None, behind: bytes = b"") -> Answer:
        """Report success, with data where the carrier has room for them; SUCCESS is that the client believes it.

        Args:
            data: What the mechanism says with it.
            behind: Octets to send right behind it, under the layer.
        """

    def receive(self) -> bytes:
        """Return octets that the client sends after success: a request, under the layer where there is one."""

    def send(self, octets: bytes) -> Answer:
        """Send octets as they are; DELIVERED with the text that reached the client, or its refusal."""

    def close(self) -> None:
        """Close the connection."""


class _Target(Protocol):
    name: str
    service: str
    host: str
    account: TargetAccount
    success_data: bool
    """Whether the carrier has room for data in its report of success."""
    local: bool
    """Whether it is our own, so that nobody's account suffers."""
    repeats: bool
    """Whether a case may be tried again: a client that a person starts comes once."""
    patience: float
    """How many times its usual time an answer may take: more than 1 where the target has been slow."""

    @property
    def initial_response(self) -> bool:
        """Whether the carrier has room for an initial response."""

    def mechanisms(self) -> tuple[str, ...]: ...


class ServerTarget(_Target, Protocol):
    """A server under test."""

    def connect(self, setting: Setting, transcript: Transcript) -> ServerConversation:
        """Open a connection."""


class ClientTarget(_Target, Protocol):
    """A client under test."""

    def meet(self, mechanism: str, setting: Setting, transcript: Transcript) -> ClientConversation:
        """Wait for a connection that wants a mechanism."""


class Pace:
    """The least time between two connections, for servers that count them.

    Args:
        seconds: That time.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._next = 0.0

    def wait(self) -> None:
        """Wait until the next one may be opened."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._seconds


class CaseRun:
    """What a case works with.

    Args:
        server: The server under test.
        client: The client under test; one of the two is None.
        mechanisms: What the target offers.
        logons: What the account suffers.
        pace: When the next connection may be opened.

    Attributes:
        target: What is tested.
        transcript: What crossed the wire so far.
    """

    def __init__(
        self,
        server: ServerTarget | None,
        client: ClientTarget | None,
        mechanisms: frozenset[str],
        logons: FailedLogons | None = None,
        pace: Pace | None = None,
    ) -> None:
        target: _Target | None = server if server is not None else client
        assert target is not None
        self._server = server
        self._client = client
        self._mechanisms = mechanisms
        self._opened: list[ServerConversation | ClientConversation] = []
        self.target = target
        self._pace = pace or Pace()
        self.transcript = Transcript((target.account.password,), server is None, logons or FailedLogons())

    @property
    def plays(self) -> Plays:
        """Which side the target is."""
        return Plays.CLIENT if self._server is None else Plays.SERVER

    def need(self, mechanism: str) -> None:
        """Raise NotApplicable where the target does not do a mechanism."""
        if mechanism not in self._mechanisms:
            raise NotApplicable(f"the target does not offer {mechanism}")

    def connect(self, setting: Setting = DEFAULT) -> ServerConversation:
        """Open a connection to the server under test."""
        assert self._server is not None, "this case is for servers"
        self._pace.wait()
        conversation = self._server.connect(setting, self.transcript)
        self._opened.append(conversation)
        return conversation

    def meet(self, mechanism: str, setting: Setting = DEFAULT) -> ClientConversation:
        """Wait for the client under test."""
        assert self._client is not None, "this case is for clients"
        conversation = self._client.meet(mechanism, setting, self.transcript)
        self._opened.append(conversation)
        return conversation

    def close(self) -> None:
        """Close all connections."""
        for conversation in self._opened:
            conversation.close()
