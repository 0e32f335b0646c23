"""A mail server behind the gateway, and with what somebody is logged on there: the password, or a token of OAuth."""

from __future__ import annotations

import shlex
import ssl
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from saslsspi.accounts.account import AccountLookup
from saslsspi.adapters.mail.asyncio_stream import LineClient
from saslsspi.adapters.mail.identity import MailAuthority
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.stream import beside_loop
from saslsspi.credentials import Credentials, Token
from saslsspi.engine.hooks.audit import part_of_another
from saslsspi.engine.policy import DEFAULT_POLICY, Policy
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidParameter
from saslsspi.gateway.names import KERBEROS, credentials_for
from saslsspi.gateway.servers import ServerAddress, ServerList, trusting
from saslsspi.gateway.settings import AuthoritySettings, GatewayLimits, Tls
from saslsspi.gateway.streams import CarriedStream, connected
from saslsspi.gateway.strength import over_tls
from saslsspi.sasl.registry import find_mechanism
from saslsspi.sasl.server import Server
from saslsspi.services.commands import printed_token
from saslsspi.services.settings import open_stores

__all__ = ["MailUpstream"]

_USER: Final = "{user}"
_TOKENS: Final = ("OAUTHBEARER", "XOAUTH2")
_MOST_TOKENS: Final = 4096  # users whose token is kept


class MailUpstream:
    """The servers of an authority.

    Args:
        protocol: What they speak.
        authority: Says who they are, and how they are logged on to.
        policy: What a logon must satisfy.
        limits: How long things may take.
        decoy_key: Behind what unknown users are shown, where accounts verify passwords.

    Raises:
        SaslError: the configuration cannot be used; the text says why.
    """

    def __init__(
        self,
        protocol: LineProtocol,
        authority: AuthoritySettings,
        policy: Policy,
        limits: GatewayLimits,
        decoy_key: bytes,
    ) -> None:
        self._protocol = protocol
        self._authority = authority
        self._policy = policy
        self._limits = limits
        self._context: ssl.SSLContext | None = trusting(authority)
        self._servers = ServerList(authority, protocol.name)
        for name in authority.mechanisms:
            find_mechanism(name)  # raises where there is none
        self._command = _split(authority)
        self._accounts: AccountLookup | None = None
        if authority.accounts:
            self._accounts = MailAuthority(open_stores(authority.accounts, decoy_key))
        self._tokens: dict[str, Token] = {}

    async def connect(self) -> LineClient:
        """Return a new connection on which nobody is logged on; what the server can was asked for.

        Raises:
            NoAuthenticatingAuthority: no server can be asked now.
        """
        return await self._servers.first(self._connect, self._limits.connect_seconds)

    async def log_on(self, server: LineClient, name: str, password: str) -> Security:
        """Log somebody on, and put a layer into force where one is negotiated.

        Raises:
            SaslError: that failed; the connection is for nothing else any more.
        """
        policy, _ = over_tls(self._policy, cast("CarriedStream", server.stream))
        names: Sequence[str] | None = self._authority.mechanisms
        credentials: Credentials
        if self._accounts is None:
            # An address is a user's whole name to DIGEST-MD5 in mail, where realms are seldom told apart.
            single = names[0].upper() if names and len(names) == 1 else ""
            credentials = credentials_for(name, password, single if single in KERBEROS else "")
        else:
            await self._verify(name, password)
            credentials, names = self._token_of(name), names or _TOKENS
        mechanism = names[0] if names and len(names) == 1 else (names or None)
        async with self._servers.turns:
            return await server.authenticate_sasl(mechanism, credentials=credentials, policy=policy)

    async def _connect(self, address: ServerAddress) -> LineClient:
        immediate = self._authority.tls is Tls.IMMEDIATE
        stream = await connected(address.host, address.port, self._context if immediate else None)
        try:
            starttls = None if immediate else self._context
            return await LineClient.over(self._protocol, stream, address.host, starttls=starttls)
        except BaseException:
            stream.abort()
            raise

    async def _verify(self, name: str, password: str) -> None:
        """Raise unless the accounts know the password: who is let in gets the user's token.

        Raises:
            LogonDenied: they do not.
            NoAuthenticatingAuthority: they cannot be asked.
        """
        server = Server(
            "PLAIN",
            service=self._protocol.service,
            host="localhost",
            authority=self._accounts,
            policy=replace(DEFAULT_POLICY, allow_plaintext=True),
        )
        with part_of_another():
            await beside_loop(server.step, b"\0".join((b"", name.encode(), password.encode())))

    def _token_of(self, name: str) -> Token:
        token = self._tokens.get(name)
        if token is None:
            command = [part.replace(_USER, name) for part in self._command]
            token = Token(name, lambda: printed_token(command, "token_command"))
            while len(self._tokens) >= _MOST_TOKENS:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[name] = token
        return token


def _split(authority: AuthoritySettings) -> list[str]:
    try:
        command = shlex.split(authority.token_command)
    except ValueError as error:
        raise InvalidParameter(f"[[authority]] {authority.name}: token_command is no command: {error}") from None
    if command and _USER in command[0]:
        raise InvalidParameter(f"[[authority]] {authority.name}: token_command runs a program that a user names")
    return command
