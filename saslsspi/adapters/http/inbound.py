"""What a server logs its users on with: the credential of one package, acquired once, and a context for each logon."""

from __future__ import annotations

from typing import Self

from saslsspi.adapters.http.challenges import octets_of
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.context import Context
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Request, Side
from saslsspi.engine.identity import AuthIdentity
from saslsspi.engine.registry import find_package
from saslsspi.packages.digest.http.messages import ReadToken, parse_credentials
from saslsspi.sspi.handles import CredHandle

__all__ = ["Inbound"]


class Inbound:
    """A package's accepting side. Safe under threads.

    Args:
        package: Its name: WDigest, NTLM, Negotiate, CREDSSP.
        environment: Authority, policy, clock, randomness, nonce store.
        principal: The names that clients may mean, such as "HTTP/host.example", separated by blanks; None checks none.
        credentials: The server's own: a keytab, a certificate; None takes those of the machine.

    Raises:
        SaslError: there is no such package, or nothing to prove oneself with.
    """

    def __init__(
        self,
        package: str,
        environment: Environment,
        *,
        principal: str | None = None,
        credentials: AuthIdentity | None = None,
    ) -> None:
        self._package = find_package(package)
        self._environment = environment
        self._credential = self._package.acquire(principal, credentials, frozenset({Side.ACCEPT}), environment)

    @classmethod
    def of(cls, handle: CredHandle) -> Self:
        """Return the accepting side that an inbound handle of SSPI stands for.

        Raises:
            SaslError: the handle is empty, was freed, or is no inbound one.
        """
        made = cls.__new__(cls)
        handle._open_context(Side.ACCEPT)  # refuses what cannot accept
        made._package, made._credential = handle._held()
        made._environment = handle._environment
        return made

    def read(self, credentials: str) -> ReadToken:
        """Read what stands behind "Digest ", by the tolerances of the policy, once for us and for the package.

        Raises:
            InvalidToken: malformed.
        """
        return parse_credentials(octets_of(credentials), int(self._environment.policy.tolerances))

    @property
    def package(self) -> str:
        """The package's name."""
        return self._package.info.name

    @property
    def how(self) -> str:
        """What the audit log calls a logon with it."""
        return f"{self._package.info.name} in HTTP"

    def engine(self) -> SecurityContext:
        """Return a new context of the engine, for what describes requests and not messages (Digest)."""
        context = SecurityContext(self._package, self._credential, Side.ACCEPT, self._environment)
        context.recorded(self.how)
        return context

    def context(self, bindings: ChannelBindings | None) -> Context:
        """Return a new context for one connection; what is signed and sealed above HTTP is the client's to ask for."""
        return Context(self.engine(), Request(bindings=bindings), self._environment.policy)
