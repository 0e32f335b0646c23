"""The contract between the engine and a security package.

A package is one object: it describes itself, acquires credentials and begins exchanges. An exchange turns the
peer's tokens into ours, one step at a time, and ends in an Outcome with the Protection of the messages that follow.
State, handles, flags and attributes belong to the engine; a package never sees them. A package of another
distribution is found by its entry point in the group `saslsspi.packages` and serves in the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Exchange, Request, Side
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.identity import AuthIdentity
from saslsspi.errors import ContextMisuse, NoOutputBuffer, SaslError, UnsupportedFunction

__all__ = ["AnyPackage", "Package"]

C = TypeVar("C", bound=Credential)


class Package(ABC, Generic[C]):
    """A security package, whose credentials are of the class C.

    Attributes:
        aliases: Other names of the package, compared without regard to case.
        lists_aliases: Whether EnumerateSecurityPackages lists the package under each of its names.
        takes_records: Whether its tokens are cut anywhere out of a byte stream: the buffers EMPTY, EXTRA, MISSING and
            ALERT are for it.
        fragments: Whether a token may go out in pieces, where FRAGMENT_TO_FIT asks for it.
        missing_output: What a call without a place for its token ends in.
        refused: Flags of each side (ISC_REQ or ASC_REQ bits) that the package can never take.
    """

    info: SecPkgInfo
    aliases: ClassVar[tuple[str, ...]] = ()
    lists_aliases: ClassVar[bool] = False
    takes_records: ClassVar[bool] = False
    fragments: ClassVar[bool] = False
    missing_output: ClassVar[type[SaslError]] = NoOutputBuffer
    refused: ClassVar[Mapping[Side, int]] = MappingProxyType({})

    def infos(self) -> tuple[SecPkgInfo, ...]:
        """What the package says of itself, under each name that it is listed by."""
        return (self.info, *(replace(self.info, name=name) for name in self.aliases if self.lists_aliases))

    def problem(self) -> str | None:
        """Why the package is listed and cannot be used on this machine, and what to install; None when it can."""
        return None

    def inbound_problem(self) -> str | None:
        """Why no client can be accepted on this machine as it is set up, for want of a keytab say; None when it can."""
        return self.problem()

    @abstractmethod
    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> C:
        """Make a credential for the given sides.

        Raises:
            NoCredentials: there is nothing to authenticate with, or no authority to ask.
            UnknownCredentials: auth_data is of a kind that the package does not understand.
        """

    @abstractmethod
    def initiate(self, credential: C, environment: Environment, request: Request) -> Exchange:
        """Begin the client's side of an exchange.

        Args:
            credential: One that acquire made.
            environment: Clock, randomness, policy.
            request: What the first call asks; a package with several protocols chooses here. The exchange's first
                step gets the same.
        """

    @abstractmethod
    def accept(self, credential: C, environment: Environment, request: Request) -> Exchange:
        """Begin the server's side of an exchange; the arguments are those of initiate."""

    def choices(self, field: str) -> tuple[str, ...]:
        """Return the names that a field of Policy takes for this package, such as "ciphers"; empty for other fields."""
        return ()

    def check_flags(self, side: Side, flags: int) -> None:
        """Raise UnsupportedFunction or SecurityQosFailed where the package cannot take a flag."""
        if unwelcome := flags & self.refused.get(side, 0):
            named = IscReq(unwelcome) if side is Side.INITIATE else AscReq(unwelcome)
            raise UnsupportedFunction(f"{self.info.name} does not take {named!r}")

    def reauthenticate(self, side: Side) -> None:
        """Raise where an established context takes no further token; return where a new exchange may begin."""
        raise ContextMisuse(f"the {self.info.name} context is established; begin a new one for the next logon")


# One that is found by name: that its credentials are its own is what the engine takes care of.
AnyPackage: TypeAlias = Package[Any]
