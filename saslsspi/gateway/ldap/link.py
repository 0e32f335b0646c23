"""A connection to a directory before anything is carried over it: TLS, the SASL exchange, a question or two."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ldap3.core.results import RESULT_CODES

from saslsspi.adapters.ldap.logon import BindResult, BindTurn, log_on
from saslsspi.adapters.ldap.message_heads import read_head
from saslsspi.adapters.stream import Truncated, channel_bindings_of
from saslsspi.adapters.stream.dialogue import carry_async, first_turn
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidToken, NoAuthenticatingAuthority
from saslsspi.gateway.ldap.messages import Code, Kind
from saslsspi.gateway.ldap.questions import (
    FoundEntry,
    ResultMessage,
    base_search,
    begin_tls,
    read_answer,
    sasl_request,
    who_am_i,
)
from saslsspi.gateway.streams import CarriedStream
from saslsspi.sasl.client import Client
from saslsspi.sasl.logon import Logon
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["LdapLink", "bound_to"]

_LONGEST: Final = 1 << 20  # octets of an answer before anything is carried
_MOST_ANSWERS: Final = 100  # beside the one that ends a search
_LIST: Final = "supportedSASLMechanisms"
_AWAY: Final = (Code.BUSY, Code.UNAVAILABLE)


class LdapLink:
    """A connection; one task uses it.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: CarriedStream) -> None:
        self.stream = stream
        self._number = 0

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS.

        Raises:
            NoAuthenticatingAuthority: the server does not.
            OSError: its certificate is not trusted.
        """
        answer, _ = await self._ask(begin_tls(self._next()))
        if answer.code != Code.SUCCESS:
            raise NoAuthenticatingAuthority(f"the server does not start TLS: {_named(answer.code)} ({answer.code})")
        await self.stream.start_tls(context, server_hostname=host)

    async def mechanisms(self) -> list[str]:
        """Return what the root DSE lists; a directory that does not tell lists nothing."""
        found = await self.entry("", (_LIST,))
        return [] if found is None else list(found.attributes.get(_LIST.lower(), ()))

    async def entry(self, name: str, attributes: tuple[str, ...]) -> FoundEntry | None:
        """Return one entry, None where there is none that may be read.

        Args:
            name: Its DN.
            attributes: Those that are wanted.

        Raises:
            NoAuthenticatingAuthority: the server cannot be asked now.
        """
        answer, entries = await self._ask(base_search(self._next(), name, attributes))
        if answer.code in _AWAY:
            raise NoAuthenticatingAuthority(f"the server answers {_named(answer.code)} ({answer.code})")
        return entries[0] if entries else None

    async def who(self) -> str:
        """Return who the server says one is (RFC 4532), "" where it does not tell."""
        answer, _ = await self._ask(who_am_i(self._next()))
        return "" if answer.code or answer.credentials is None else answer.credentials.decode("utf-8", "replace")

    async def log_on(self, logon: Logon, make: Callable[[Mechanism], Client]) -> Security:
        """Run a SASL exchange, and put its layer into force.

        Args:
            logon: The mechanisms and what they have to satisfy, on this connection.
            make: Makes the client.

        Raises:
            BindRefused: the server refuses.
            DowngradeDetected: a mechanism that is preferred was hidden from its list.
            SaslError: the exchange failed on our side, or the server is not available.
        """
        listed = await self.mechanisms() if logon.asks_server else []
        dialogue = log_on(logon, listed or logon.names, make)
        client = await carry_async(dialogue, await first_turn(dialogue), self._bind)
        if client.layer is not None:
            self.stream.install(client.layer)
            if listed:
                logon.check_not_hidden(client.mechanism.name, listed, await self.mechanisms())
        return client.security

    async def _bind(self, turn: BindTurn) -> BindResult:
        answer, _ = await self._ask(sasl_request(self._next(), turn.mechanism, turn.token))
        return {
            "type": "bindResponse" if answer.kind == Kind.BIND_RESPONSE else f"0x{answer.kind:02x}",
            "result": answer.code,
            "description": _named(answer.code),
            "message": answer.text,
            "saslCreds": answer.credentials,
        }

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _ask(self, request: bytes) -> tuple[ResultMessage, list[FoundEntry]]:
        """Send a request and return its answer, with the entries before it."""
        self.stream.write(request)
        await self.stream.drain()
        entries: list[FoundEntry] = []
        for _ in range(_MOST_ANSWERS):
            found = read_answer(await self._message())
            if found.number == 0:
                raise NoAuthenticatingAuthority("the server ends the connection")
            if found.number != self._number:
                raise InvalidToken(f"an answer to message {found.number}, where {self._number} was asked")
            if isinstance(found, FoundEntry):
                entries.append(found)
            elif found.kind != Kind.REFERENCE:
                return found, entries
        raise InvalidToken(f"more than {_MOST_ANSWERS} entries, where one was asked for")

    async def _message(self) -> bytes:
        octets = bytearray()
        try:
            while (head := read_head(octets, _LONGEST)) is None:
                octets += await self.stream.readexactly(1)
            octets += await self.stream.readexactly(head.size - len(octets))
        except Truncated:
            raise NoAuthenticatingAuthority("the server has closed the connection") from None
        return bytes(octets)


def bound_to(logon: Logon, stream: CarriedStream) -> Logon:
    """Return a logon bound to the TLS of a connection, where there is any."""
    if stream.tls is None:
        return logon
    found = channel_bindings_of(stream.tls)
    end_point = next((one for one in found if one.type_name == "tls-server-end-point"), None)
    return replace(logon, bindings=end_point, plus_bindings=next(iter(found), None))


def _named(code: int) -> str:
    return str(RESULT_CODES.get(code, "unknown result"))
