"""A connection to a directory before anything is carried over it: TLS, the SASL exchange, a question or two."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ldap3.core.results import RESULT_CODES

from saslsspi.adapters.ldap.refusal import BindRefused, bind_refused
from saslsspi.adapters.stream import Truncated, beside_loop, channel_bindings_of
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidToken, NoAuthenticatingAuthority, PackageNotFound, SaslError
from saslsspi.gateway.ldap.messages import Code, Kind, read_head
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
from saslsspi.sasl.logon import Logon, without
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["LdapLink", "bound_to"]

_LONGEST: Final = 1 << 20  # octets of an answer before anything is carried
_MOST_STEPS: Final = 100
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

    async def log_on(self, logon: Logon, make: Callable[[Mechanism], Client], user: str) -> Security:
        """Run a SASL exchange, and put its layer into force.

        Where there is a choice, a mechanism that the server lists and does not know is followed by the next one.

        Args:
            logon: The mechanisms and what they have to satisfy, on this connection.
            make: Makes the client.
            user: Who logs on, for errors.

        Raises:
            BindRefused: the server refuses.
            SaslError: the exchange failed on our side, or the server is not available.
        """
        listed = await self.mechanisms() if logon.asks_server else []
        offered = listed or list(logon.names)
        refused: BindRefused | None = None
        while True:
            try:
                client, token = await beside_loop(logon.begin, offered, make)
            except PackageNotFound as error:
                if refused is None:
                    raise
                raise PackageNotFound(f"{error.text}; tried: {refused.text}") from refused
            try:
                await self._exchange(client, token, user)
            except BindRefused as refusal:
                if not logon.asks_server or refusal.code != Code.AUTH_METHOD_NOT_SUPPORTED:
                    raise
                refused, offered = refusal, without(offered, client.mechanism.name)
            else:
                if client.layer is not None:
                    self.stream.install(client.layer)
                return client.security

    async def _exchange(self, client: Client, token: bytes | None, user: str) -> None:
        name = client.mechanism.name
        for _ in range(_MOST_STEPS):
            answer, _ = await self._ask(sasl_request(self._next(), name, token))
            if answer.kind != Kind.BIND_RESPONSE:
                raise InvalidToken(f"a bind request is answered by 0x{answer.kind:02x}")
            if answer.code == Code.SUCCESS:
                await beside_loop(client.succeed, answer.credentials)
                return
            if answer.code != Code.SASL_BIND_IN_PROGRESS:
                client.abort()
                if answer.code in _AWAY:
                    raise NoAuthenticatingAuthority(f"the server answers {_named(answer.code)} ({answer.code})")
                result = {"result": answer.code, "description": _named(answer.code), "message": answer.text}
                raise bind_refused(name, user, result)
            try:
                token = await beside_loop(client.step, answer.credentials or b"") or b""
            except SaslError as error:
                if error.token is not None:
                    with contextlib.suppress(SaslError, OSError):  # the error that counts is ours
                        await self._ask(sasl_request(self._next(), name, error.token))
                raise
        raise InvalidToken(f"the exchange has not ended after {_MOST_STEPS} steps")

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
            while (head := read_head(octets)) is None:
                octets += await self.stream.readexactly(1)
            if head.size > _LONGEST:
                raise InvalidToken(f"an answer of {head.size} octets, at most {_LONGEST} are taken")
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
