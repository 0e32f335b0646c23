"""LdapServer: a small LDAP server on asyncio, with SASL binds of every installed mechanism and their layers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Final, Self

from saslsspi.accounts.account import AccountLookup
from saslsspi.accounts.failures import Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.policy import DEFAULT_POLICY, SSF_UNLIMITED, Policy
from saslsspi.errors import ContextMisuse, SaslError
from saslsspi.sasl.registry import MECHANISMS, find_mechanism
from saslsspi.sasl.server import Server
from saslsspi.testbed.channel import TLS_HANDSHAKE_TIMEOUT, Traffic, close_listeners
from saslsspi.testbed.ldap.channel import LdapChannel
from saslsspi.testbed.ldap.connection import LdapConnection
from saslsspi.testbed.ldap.directory import generate
from saslsspi.testbed.ldap.identity import LdapAuthority
from saslsspi.testbed.ldap.responses import Result, ResultCode, disconnection
from saslsspi.testbed.ldap.settings import Bound, Limits, SessionFactory, Settings

__all__ = ["Bound", "LdapServer", "Limits"]

_THREADS: Final = 8
_BACKLOG: Final = 128


class LdapServer:
    """An LDAP server for the demo, the tests and the conformance runs.

    It serves a directory that it makes up: the suffix, ou=people and `entries` entries below ou=many. Users are those
    of the authority, uid=USER,ou=people,SUFFIX as names. `async with server`, or `with loopback.running(server)`.

    Args:
        authority: Who may log on; asked beside the loop, so it may block.
        policy: What binds must satisfy. TLS with enough bits makes up for min_ssf. Simple binds obey allow_plaintext.
        mechanisms: The SASL mechanisms to offer; None offers every installed one that has what it needs on this
            machine.
        hosts: The names under which clients know this server.
        realm: The realm or realms to offer.
        nonce_store: Where sessions are remembered for subsequent authentication; None offers none.
        certificate: For StartTLS and for a second port that speaks TLS from the start; None offers neither.
        bindings: The channel bindings of that certificate: [ChannelBindings.tls_server_end_point(der)].
        suffix: The name at the root of the directory.
        entries: How many numbered entries it has.
        anonymous_search: Whether a search needs no bind.
        limits: How much a client may ask for.
        address: Where to listen.
        port: The port for plain LDAP and StartTLS; 0 takes a free one.
        ldaps_port: The port for LDAP over TLS; 0 takes a free one.
        on_security: Called in the server's loop with every bind that succeeds.
        make_session: Makes the server's side of a SASL exchange; a test may wrap it to misbehave.
        throttle: Counts failed binds and says how long their refusals are held back; None counts nothing.

    Attributes:
        channel_type: What connections are made of; a subclass may override its transmit.
        traffic: How many octets crossed the wire, in clear and protected.
    """

    channel_type: ClassVar[type[LdapChannel]] = LdapChannel

    def __init__(
        self,
        *,
        authority: AccountLookup,
        policy: Policy = DEFAULT_POLICY,
        mechanisms: Sequence[str] | None = None,
        hosts: Sequence[str] = ("localhost", "127.0.0.1"),
        realm: str | Sequence[str] | None = None,
        nonce_store: NonceStore | None = None,
        certificate: ssl.SSLContext | None = None,
        bindings: Sequence[ChannelBindings] = (),
        suffix: str = "dc=example,dc=test",
        entries: int = 300,
        anonymous_search: bool = False,
        limits: Limits | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        ldaps_port: int = 0,
        on_security: Callable[[Bound], None] | None = None,
        make_session: SessionFactory = Server,
        throttle: Throttle | None = None,
    ) -> None:
        self.traffic = Traffic()
        self._address = address
        self._wanted = (port, ldaps_port)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="ldap-authority")
        made = generate(suffix, entries)
        self._settings = Settings(
            authority=LdapAuthority(authority, made),
            policy=policy,
            mechanisms=_usable(authority, policy, bindings) if mechanisms is None else tuple(map(_named, mechanisms)),
            hosts=tuple(hosts),
            realms=(realm,) if isinstance(realm, str) else tuple(realm or ()),
            nonce_store=nonce_store,
            certificate=certificate,
            bindings=tuple(bindings),
            directory=made,
            anonymous_search=anonymous_search,
            limits=limits or Limits(),
            make_session=make_session,
            on_security=on_security,
            executor=self._executor,
            throttle=throttle,
        )
        self._listeners: list[asyncio.Server] = []
        self._channels: set[LdapChannel] = set()

    @property
    def port(self) -> int:
        """The port for plain LDAP and StartTLS, once started."""
        return self._port_of(0)

    @property
    def ldaps_port(self) -> int:
        """The port for LDAP over TLS, once started; there is one where there is a certificate."""
        return self._port_of(1)

    @property
    def url(self) -> str:
        """The server's own URL, by the first of its names."""
        return f"ldap://{self._settings.hosts[0]}:{self.port}"

    @property
    def suffix(self) -> str:
        """The name at the root of the directory."""
        return self._settings.directory.suffix

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._channels)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            OSError: a port cannot be had.
        """
        loop, certificate = asyncio.get_running_loop(), self._settings.certificate
        contexts = [(self._wanted[0], None)] + ([(self._wanted[1], certificate)] if certificate else [])
        for port, context in contexts:
            listener = await loop.create_server(
                self._make_channel,
                self._address,
                port,
                ssl=context,
                ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT if context else None,
                backlog=_BACKLOG,
            )
            self._listeners.append(listener)

    async def stop(self) -> None:
        """Close everything."""
        await close_listeners(self._listeners)
        for channel in list(self._channels):
            channel.abort()
        self._executor.shutdown(wait=False, cancel_futures=True)
        # The cancelled sessions get their turn; a loop that closes right after would warn about them.
        while self._channels:
            await asyncio.sleep(0)
        self._listeners.clear()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def _port_of(self, number: int) -> int:
        if number >= len(self._listeners):
            raise ContextMisuse("the server does not listen on that port")
        found: int = self._listeners[number].sockets[0].getsockname()[1]
        return found

    def _make_channel(self) -> LdapChannel:
        return self.channel_type(self._serve, self.traffic)

    async def _serve(self, channel: LdapChannel) -> None:
        if len(self._channels) >= self._settings.limits.connections:
            channel.send(disconnection(Result(ResultCode.UNAVAILABLE, "there are too many connections")))
            return
        self._channels.add(channel)
        try:
            await LdapConnection(self._settings, channel).serve()
            await channel.finish()
        finally:
            self._channels.discard(channel)


def _named(mechanism: str) -> str:
    return find_mechanism(mechanism).name


def _usable(authority: AccountLookup, policy: Policy, bindings: Sequence[ChannelBindings]) -> tuple[str, ...]:
    """Return the installed mechanisms that could begin, if the connection is good enough; GSSAPI needs a keytab."""
    usable = []
    for plugin in MECHANISMS.plugins():
        if plugin.value is not None:
            with contextlib.suppress(SaslError):
                Server(plugin.value, service="ldap", host="localhost", authority=authority, policy=policy,
                       bindings=bindings, external_ssf=SSF_UNLIMITED, external_identity="somebody")  # fmt: skip
                usable.append(plugin.name)
    return tuple(usable)
