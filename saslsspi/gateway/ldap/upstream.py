"""A directory behind the gateway: each logon is a connection of its own, sealed or in TLS."""

from __future__ import annotations

from typing import Final

from saslsspi.credentials import Password
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidParameter, LogonDenied
from saslsspi.gateway.ldap.link import LdapLink, bound_to
from saslsspi.gateway.ldap.lookup import Lookups, Owner
from saslsspi.gateway.names import client_for, is_dn
from saslsspi.gateway.servers import ServerAddress, ServerList, trusting
from saslsspi.gateway.settings import AuthoritySettings, GatewayLimits, Tls
from saslsspi.gateway.streams import CarriedStream, connected
from saslsspi.gateway.strength import over_tls
from saslsspi.sasl.logon import Logon
from saslsspi.sasl.registry import find_mechanism

__all__ = ["LdapUpstream", "NoLookup"]

_SERVICE: Final = "ldap"
# A directory of Windows knows its users by NTLM, whatever else it lists; others by DIGEST-MD5.
_USUAL: Final = ("GSS-SPNEGO", "DIGEST-MD5", "NTLM")


class NoLookup(InvalidParameter):
    """A DN is to log on, and the configuration has no account that looks up whose it is."""


class LdapUpstream:
    """The servers of an authority.

    Args:
        authority: Says who they are, and how they are logged on to.
        policy: What a logon must satisfy.
        limits: How long things may take.
        servers: In the place of the authority's own.

    Raises:
        InvalidParameter: the configuration cannot be used; the text says why.
    """

    def __init__(
        self,
        authority: AuthoritySettings,
        policy: Policy,
        limits: GatewayLimits,
        servers: ServerList | None = None,
    ) -> None:
        self._authority = authority
        self._policy = policy
        self._limits = limits
        self._context = trusting(authority)
        self._servers = servers or ServerList(authority, "ldap")
        self._mechanisms: str | tuple[str, ...] = authority.mechanisms or _USUAL
        for name in authority.mechanisms:
            find_mechanism(name)  # raises where there is none
        if len(self._mechanisms) == 1:
            self._mechanisms = self._mechanisms[0]
        self._lookups = Lookups.of(authority, self._look_up) if authority.lookup_user else None

    @property
    def serves_anonymous(self) -> bool:
        """Whether who does not log on is passed on."""
        return self._authority.anonymous

    async def log_on(self, name: str, password: str) -> tuple[CarriedStream, Security]:
        """Return a new connection on which somebody is logged on, and what was negotiated.

        Raises:
            NoLookup: the name is a DN, and nobody can look it up.
            BindRefused: the server refuses.
            LogonDenied: nobody has that DN.
            NoAuthenticatingAuthority: no server can be asked now.
            SaslError: the exchange failed.
        """
        if not is_dn(name):
            return await self._logged_on(name, password)
        if self._lookups is None:
            raise NoLookup(
                "a DN does not say who logs on: bind as user@domain or DOMAIN\\user, or set lookup_user and "
                f"lookup_password_file of [[authority]] {self._authority.name}"
            )
        return await self._logged_on(name, password, await self._lookups.owner(name))

    async def unbound(self) -> CarriedStream:
        """Return a new connection on which nobody is logged on.

        Raises:
            NoAuthenticatingAuthority: no server can be asked now.
        """
        return (await self._servers.first(self._connect, self._limits.connect_seconds))[0].stream

    async def _logged_on(self, name: str, password: str, owner: Owner | None = None) -> tuple[CarriedStream, Security]:
        async with self._servers.turns:
            return await self._at_once(name, password, owner)

    async def _at_once(self, name: str, password: str, owner: Owner | None) -> tuple[CarriedStream, Security]:
        link, server = await self._servers.first(self._connect, self._limits.connect_seconds)
        try:
            policy, strength = over_tls(self._policy, link.stream)
            known, plain = (name, "") if owner is None else (owner.username, owner.plain)
            logon = Logon(
                service=_SERVICE,
                mechanism=self._mechanisms,
                credentials=Password(known, password),
                policy=policy,
                host=server.host,
                external_ssf=strength,
            )
            bound = bound_to(logon, link.stream)
            security = await link.log_on(bound, client_for(bound, plain))
            if owner is not None:
                await self._check_owner(link, owner)
        except BaseException:
            link.stream.abort()
            raise
        return link.stream, security

    async def _connect(self, server: ServerAddress) -> tuple[LdapLink, ServerAddress]:
        immediate = self._authority.tls is Tls.IMMEDIATE
        link = LdapLink(await connected(server.host, server.port, self._context if immediate else None))
        if self._context is not None and not immediate:
            try:
                await link.start_tls(self._context, server.host)
            except BaseException:
                link.stream.abort()
                raise
        return link, server

    async def _check_owner(self, link: LdapLink, owner: Owner) -> None:
        """Raise where the server has let in somebody else than the DN's owner: the name was another entry's too."""
        said = await link.who()
        if said.startswith("dn:") and said.removeprefix("dn:").lower() != owner.dn.lower():
            raise LogonDenied(f"the server takes the user of {owner.dn} for {said}: the name is not unique")

    async def _look_up(self, dn: str, account: tuple[str, str], attributes: tuple[str, ...]) -> tuple[str, ...] | None:
        """Ask for an entry as the lookup account; return its DN and the attributes' values."""
        stream, _ = await self._logged_on(*account)
        try:
            found = await LdapLink(stream).entry(dn, attributes)
        finally:
            await stream.end()
        return None if found is None else (found.name, *(found.first(name) for name in attributes))
