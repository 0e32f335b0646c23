"""The servers behind a gateway: which there are, by name or by DNS, and which is asked first."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, SaslError
from saslsspi.gateway.settings import AuthoritySettings, Tls
from saslsspi.host_names import in_a_labels

__all__ = ["ServerAddress", "ServerList", "trusting"]

_LOG: Final = logging.getLogger("saslsspi.gateway")
_LOG.addHandler(logging.NullHandler())
# More logons than a server has room for in its queue of new connections are dropped there, and come again late.
_AT_ONCE: Final = 32
_AWAY: Final = 30.0  # seconds for which a server that did not answer is asked last
_MOST: Final = 64  # servers of a domain
_LARGEST_PORT: Final = 65535

_T = TypeVar("_T")

# The usual port, the one that speaks TLS from the start, and the names of services in DNS: RFC 2782, RFC 6186.
_PORTS: Final = {"ldap": (389, 636), "imap": (143, 993), "smtp": (587, 465), "pop3": (110, 995)}
_SERVICES: Final = {
    "ldap": ("_ldap", "_ldaps"),
    "imap": ("_imap", "_imaps"),
    "smtp": ("_submission", "_submissions"),
    "pop3": ("_pop3", "_pop3s"),
}


class ServerAddress(NamedTuple):
    """One server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def trusting(authority: AuthoritySettings) -> ssl.SSLContext | None:
    """Return the context of TLS to an authority's servers; None where there is no TLS.

    Raises:
        InvalidParameter: the file of authorities cannot be used.
    """
    if authority.tls is Tls.NONE:
        return None
    try:
        return ssl.create_default_context(cafile=authority.ca or None)
    except OSError as error:
        raise InvalidParameter(f"[[authority]] {authority.name}: ca {authority.ca} cannot be used: {error}") from None


class ServerList:
    """An authority's servers, the one to ask first in front.

    Args:
        authority: Says who they are.
        protocol: What they speak.
        resolver: Of DNS, as dns.asyncresolver has it; None for the system's.
        draw: Returns a number from 0 to 1.

    Attributes:
        turns: Whoever logs on holds one meanwhile.

    Raises:
        InvalidParameter: a server's name is none, or DNS cannot be asked here.
    """

    def __init__(
        self,
        authority: AuthoritySettings,
        protocol: str,
        *,
        resolver: Any = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        immediate = authority.tls is Tls.IMMEDIATE
        self._name = authority.name
        self._fixed = [_address(text, _PORTS[protocol][immediate]) for text in authority.servers]
        self._domain = in_a_labels(authority.domain.rstrip(".")).lower() if authority.domain else ""
        self._query = f"{_SERVICES[protocol][immediate]}._tcp.{self._domain}."
        self._resolver: Any = resolver or (_resolver() if self._domain else None)
        self._draw = draw
        self.turns = asyncio.Semaphore(_AT_ONCE)
        self._away: dict[ServerAddress, float] = {}

    async def first(self, attempt: Callable[[ServerAddress], Awaitable[_T]], seconds: float) -> _T:
        """Return what attempt makes of the first server that is there.

        Args:
            attempt: Connects; an OSError, or an error that says that the server is not available, means the next one.
            seconds: How long each may take.

        Raises:
            NoAuthenticatingAuthority: none of them is there; says why not.
            SaslError: attempt's own.
        """
        reasons = []
        for server in await self.ordered():
            try:
                async with asyncio.timeout(seconds):
                    made = await attempt(server)
            except TimeoutError:
                reasons.append(f"{server} does not answer within {seconds:g} s")
            except NoAuthenticatingAuthority as error:
                reasons.append(f"{server}: {error.text}")
            except SaslError:
                raise
            except OSError as error:
                reasons.append(f"{server}: {error}")
            else:
                self._away.pop(server, None)
                return made
            self._away[server] = asyncio.get_running_loop().time() + _AWAY
            _LOG.warning("%s: %s", self._name, reasons[-1])
        raise NoAuthenticatingAuthority("; ".join(reasons) or f"{self._name} has no servers")

    async def ordered(self) -> Sequence[ServerAddress]:
        """Return the servers in their order; those that did not answer lately are last.

        Raises:
            NoAuthenticatingAuthority: DNS does not tell.
        """
        found = self._fixed if not self._domain else await self._by_dns()
        now = asyncio.get_running_loop().time()
        self._away = {server: until for server, until in self._away.items() if until > now}
        return sorted(found, key=lambda server: server in self._away)

    async def _by_dns(self) -> list[ServerAddress]:
        import dns.exception

        try:
            answer = await self._resolver.resolve(self._query, "SRV")
        except (dns.exception.DNSException, OSError) as error:
            raise NoAuthenticatingAuthority(f"DNS names no servers of {self._query} ({error})") from error
        records = [(each.priority, each.weight, each.target.to_text(), each.port) for each in answer][:_MOST]
        servers = []
        for target, port in self._drawn(records):
            host = target.rstrip(".").lower()
            # Whoever forges an answer would be sent the logons: a name of the domain has to be proved by TLS or sealed
            # with by its keys, one of another domain is anybody's.
            if host == self._domain or host.endswith("." + self._domain):
                servers.append(ServerAddress(host, port))
            else:
                _LOG.warning("%s: DNS names %s, which is not in %s", self._name, host or "nobody", self._domain)
        return servers

    def _drawn(self, records: list[tuple[int, int, str, int]]) -> list[tuple[str, int]]:
        """Order as RFC 2782 has it: by priority, and by lot within one, the heavier the sooner."""
        order = []
        for priority in sorted({record[0] for record in records}):
            left = sorted((record for record in records if record[0] == priority), key=lambda record: record[1])
            while left:
                lot = self._draw() * sum(record[1] for record in left)
                for chosen in left:
                    lot -= chosen[1]
                    if lot <= 0:
                        break
                left.remove(chosen)
                order.append(chosen[2:])
        return order


def _address(text: str, usual: int) -> ServerAddress:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(usual)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port[:6]) <= _LARGEST_PORT:
        raise InvalidParameter(f"{text!r} is no server: HOST or HOST:PORT, of IPv6 [ADDRESS]:PORT")
    return ServerAddress(host if ":" in host else in_a_labels(host), int(port))


def _resolver() -> Any:
    try:
        import dns.asyncresolver
        import dns.resolver
    except ImportError:
        raise InvalidParameter("domain needs dnspython: pip install 'saslsspi[gateway]', or name servers") from None
    try:
        made = dns.asyncresolver.Resolver()
    except (OSError, dns.exception.DNSException) as error:
        raise InvalidParameter(f"domain needs DNS, and its resolver cannot be set up: {error}") from None
    made.cache = dns.resolver.LRUCache()
    return made
