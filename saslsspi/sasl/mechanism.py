"""The plugin contract: what a SASL mechanism tells of itself, and what its exchanges do.

A mechanism is a description. One that is a security context underneath names the package and the driver, how its
layer is agreed on; any other brings two small classes of its own. It is found by its entry point in the group
`saslsspi.mechanisms`, whoever ships it.
"""

from __future__ import annotations

import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Credentials
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Outcome, Request, Side
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import Policy, Property
from saslsspi.errors import InvalidParameter, SaslError, UnsupportedFunction
from saslsspi.host_names import in_a_labels
from saslsspi.kinds import check_kind, kinds_checked

__all__ = [
    "Binding",
    "ClientExchange",
    "ClientParameters",
    "Driver",
    "First",
    "Mechanism",
    "Outcome",
    "SaslExchange",
    "ServerExchange",
    "ServerParameters",
]


class First(enum.Enum):
    """Who speaks first (RFC 4422 section 3)."""

    CLIENT = "client"
    SERVER = "server"


class Binding(enum.Enum):
    """What a mechanism does with channel bindings (RFC 5056)."""

    NONE = "it carries none"
    OPTIONAL = "it carries them where there are any"
    REQUIRED = "it is nothing without them"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientParameters:
    """What a client's exchange is made from.

    Attributes:
        service: The GSSAPI service name of the protocol, such as "ldap".
        host: The server's fully qualified name.
        server_name: Name of a replicated service, when it is not the host's.
        authzid: The identity to act as, "" for one's own.
        bindings: Channel bindings of the TLS channel around the exchange.
        external_ssf: Security strength factor of that channel, 0 without one.
        max_message: Largest message that the carrier takes, in octets before base64; 0 knows no limit.
    """

    service: str
    host: str
    server_name: str | None
    credentials: Credentials | None
    authzid: str
    bindings: ChannelBindings | None
    environment: Environment
    external_ssf: int = 0
    max_message: int = 0

    def __post_init__(self) -> None:
        _check_client(self)

    @property
    def target(self) -> str:
        """The principal that is meant, as a security context takes it."""
        return principal(self.service, self.host, self.server_name)


def principal(service: str, host: str, server_name: str | None) -> str:
    """Return the name of a service on a host; the name of a replicated one behind it (RFC 2831 section 2.1.2).

    A host beyond ASCII is named in A-labels: what is meant is "the DNS host name".
    """
    host, server_name = in_a_labels(host), server_name and in_a_labels(server_name)
    # "If the service is not replicated, or the serv-name is identical to the host, then the serv-name component MUST
    # be omitted."
    replicated = bool(server_name) and str(server_name).lower() != host.lower()
    return f"{service}/{host}/{server_name}" if replicated else f"{service}/{host}"


def served(service: str, name: str) -> str:
    """Return the principal by which clients know a server, of a host's name or of one with serv-name behind it."""
    return "/".join((service, *map(in_a_labels, name.split("/"))))


_check_client: Final = kinds_checked(
    service=str,
    host=str,
    server_name=(str, type(None)),
    authzid=str,
    bindings=(ChannelBindings, type(None)),
    environment=Environment,
    external_ssf=int,
    max_message=int,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParameters:
    """What a server's exchange is made from.

    Attributes:
        service: The GSSAPI service name of the protocol.
        hosts: The names under which clients may know this server.
        realms: The realms to offer.
        realm: Where mechanisms in which a client names none look accounts up: the realm that is offered, "" where there
            are none or several.
        bindings: Channel bindings of the TLS channel around the exchange.
        alternate_bindings: Bindings of the same channel by other types, where the client names the type.
        external_ssf: Security strength factor of that channel, 0 without one.
        external_identity: Whom that channel has authenticated, by a certificate for one; None: nobody.
        max_message: Largest message that the carrier takes, in octets before base64; 0 knows no limit.
    """

    service: str
    hosts: tuple[str, ...]
    realms: tuple[str, ...]
    bindings: ChannelBindings | None
    environment: Environment
    alternate_bindings: tuple[ChannelBindings, ...] = ()
    external_ssf: int = 0
    external_identity: str | None = None
    max_message: int = 0

    realm: str = field(init=False, default="")

    def __post_init__(self) -> None:
        _check_server(self)
        for each in self.alternate_bindings:
            check_kind("an entry of bindings", each, ChannelBindings)
        if len(self.realms) == 1:
            object.__setattr__(self, "realm", self.realms[0])


_check_server: Final = kinds_checked(
    service=str,
    bindings=(ChannelBindings, type(None)),
    environment=Environment,
    external_ssf=int,
    external_identity=(str, type(None)),
    max_message=int,
)


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


class ClientExchange(SaslExchange):
    """A client's side of one exchange.

    Attributes:
        outcome: What it ended in; None until the mechanism itself is satisfied.
    """

    __slots__ = ()

    @abstractmethod
    def step(self, challenge: bytes | None) -> bytes | None:
        """Take a challenge and return the response; None in, for the initial response; None out, for no message."""

    def succeed(self) -> None:
        """Take the news that the carrier reports success; a mechanism whose last message is its own is done now."""
        return

    def fail(self) -> bool:
        """Take the news that the server refuses; whether another exchange with the same credentials may succeed."""
        return False


class ServerExchange(SaslExchange):
    """A server's side of one exchange.

    Attributes:
        outcome: What it ended in; None until the client is authenticated. Bytes returned in the same step go with
            success.
        failure: Why the client is refused, where it is told so first and the error is raised with its next message.
    """

    __slots__ = ()

    failure: SaslError | None = None

    @abstractmethod
    def step(self, response: bytes | None) -> bytes | Question | None:
        """Take a response (None: the client sent no initial response) and return the challenge, or a question."""

    def resume(self, account: Account | None) -> bytes | Question | None:
        """Go on with what the authority answered."""
        raise UnsupportedFunction("this mechanism asks nothing")


class Driver(ABC):
    """How the two sides of a mechanism that is a context underneath agree on a layer.

    Attributes:
        names_replica: Whether the target ends in the name of a replicated service (RFC 2831 section 2.1.2).
        binds_itself: Whether what the context is bound to is the driver's to say, whatever the policy: it is told of
            the channel's bindings where the mechanism carries none, too, and no caller makes the context.
    """

    __slots__ = ()

    names_replica: ClassVar[bool] = False
    binds_itself: ClassVar[bool] = False

    @abstractmethod
    def flags(self, package: AnyPackage, side: Side, policy: Policy) -> tuple[int, int]:
        """Return the flags that a policy requires of the context, and those to request, in the bits of the side."""

    def completed(self, request: Request, side: Side, policy: Policy) -> Request:
        """Return the request of a caller who chose the flags, with what the agreement itself needs."""
        return request

    @abstractmethod
    def client(
        self, context: SecurityContext, request: Request, policy: Policy, *, max_message: int = 0
    ) -> ClientExchange:
        """Begin the client's side over a new context.

        Args:
            context: Of the mechanism's package.
            request: What to ask of it.
            policy: The layer that may be agreed on, and the sizes.
            max_message: Largest message that the carrier takes, in octets before base64; 0 knows no limit.
        """

    @abstractmethod
    def server(
        self, context: SecurityContext, request: Request, policy: Policy, *, first: First, max_message: int = 0
    ) -> ServerExchange:
        """Begin the server's side over a new context; see client. First is who speaks first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """A SASL mechanism.

    Attributes:
        name: As registered (RFC 4422 section 3.1).
        first: Who speaks first.
        properties: What it gives.
        max_ssf: Strength of its strongest layer; 0 without layers.
        package: The security package underneath; None for a mechanism that brings client and server.
        driver: With a package: how a layer is agreed on, one of the objects in saslsspi.sasl.drivers.
        client: Makes a client's exchange.
        server: Makes a server's exchange.
        binding: What it does with channel bindings.
        credentials: The classes of credentials that a client can use it with, None among them where it can do
            without any; empty says nothing.
        secrets: The kinds of secrets of which a server needs one of each account; empty for a mechanism that needs
            none, or does not say. Secret.EXISTENCE among them: it suffices where Kerberos vouches for the user; alone:
            something else has vouched for the user, and the account must exist.
        takes_early: Whether a client may speak with the command although the server speaks first: deployed ones do.
        weak: Why it is off until a policy names it (Policy.weak_mechanisms); "" for one that is on.
        hash_bits: Size of the hash that guards the password; it decides between mechanisms that give the same.
    """

    name: str
    first: First
    properties: Property
    max_ssf: int = 0
    package: str | None = None
    driver: Driver | None = None
    client: Callable[[ClientParameters], ClientExchange] | None = None
    server: Callable[[ServerParameters], ServerExchange] | None = None
    binding: Binding = Binding.OPTIONAL
    credentials: tuple[type[Credentials] | None, ...] = ()
    hash_bits: int = 0
    secrets: tuple[Secret, ...] = ()
    takes_early: bool = False
    weak: str = ""

    def __post_init__(self) -> None:
        if not _NAME(self.name):
            raise InvalidParameter(f"{self.name!r} is no mechanism name: 1 to 20 of A-Z, 0-9, hyphen and underscore")
        if self.package is not None and self.driver is None:
            raise InvalidParameter(f"{self.name} is the package {self.package} underneath, and names no driver for it")

    def converse(self, context: SecurityContext, request: Request, policy: Policy) -> SaslExchange:
        """Begin an exchange over a new context, whose caller has chosen its flags.

        Args:
            context: Of this mechanism's package; its side is the exchange's.
            request: What to ask of the context.
            policy: The layer that may be agreed on, and the sizes.

        Raises:
            UnsupportedFunction: this mechanism is no context underneath, or not one that a caller can make.
        """
        driver = self.driver
        if driver is None or driver.binds_itself:
            raise UnsupportedFunction(f"{self.name} is no context underneath that a caller could make")
        request = driver.completed(request, context.side, policy)
        if context.side is Side.INITIATE:
            return driver.client(context, request, policy)
        return driver.server(context, request, policy, first=self.first)


# RFC 4422 section 3.1
_NAME: Final = re.compile(r"[A-Z0-9_-]{1,20}").fullmatch
