"""One client of the LDAP door: its binds are logons at a server, and the rest goes there as it is.

One task reads the client. Behind a bind a second one carries what the server says; it holds the turn to write while it
is inside a message, so that what the gateway itself answers stands between two. A bind is answered before anything
behind it is looked at (RFC 4511 section 4.2.1), and puts a new connection in the place of the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final, NamedTuple

from saslsspi.accounts.account import Question
from saslsspi.adapters.ldap.message_heads import Head
from saslsspi.adapters.ldap.refusal import BindRefused
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.hooks.audit import Attempt
from saslsspi.engine.security import Security
from saslsspi.errors import InvalidToken, LogonDenied, NoAuthenticatingAuthority, SaslError, UnknownCredentials
from saslsspi.gateway.door import GatewayDoor
from saslsspi.gateway.ldap.flow import LONGEST_WHOLE, Boundaries, Piece, Requests, WholeRequest
from saslsspi.gateway.ldap.messages import (
    BindMethod,
    BindRequest,
    Code,
    Kind,
    answer,
    bind_response,
    disconnect,
    names_start_tls,
    read_bind,
)
from saslsspi.gateway.ldap.questions import unbind
from saslsspi.gateway.ldap.upstream import LdapUpstream, NoLookup
from saslsspi.gateway.streams import PIECE, CarriedStream
from saslsspi.gateway.watch import Watch, unless_gone

__all__ = ["LdapSession"]

_LOG: Final = logging.getLogger("saslsspi.gateway")
_WORDS: Final = {
    BindMethod.PASSWORD: "a simple bind",
    BindMethod.UNAUTHENTICATED: "a simple bind",
    BindMethod.ANONYMOUS: "an anonymous bind",
    BindMethod.SASL: "a SASL bind",
    BindMethod.OTHER: "an unknown bind",
}
_LONGEST_TEXT: Final = 1000  # characters of what a server says that are passed on
_VERSION: Final = 3
_TURN: Final = 64  # messages after which other clients have theirs
# What a server says that its client can do nothing about, but who set the gateway up.
_OURS: Final = frozenset({0, 7, 8, 10, 13, 14})


class _Refusal(NamedTuple):
    code: int
    text: str


class LdapSession:
    """A session.

    Args:
        door: Where the client came in.
        upstream: Where its binds go.
        client: Its connection.
        peer: Where it is.
    """

    def __init__(self, door: GatewayDoor, upstream: LdapUpstream, client: CarriedStream, peer: str) -> None:
        self._door = door
        self._upstream = upstream
        self._client = client
        self._peer = peer
        self._requests = Requests()
        self._server: CarriedStream | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # whose is held inside a server's message
        self._watch = Watch(door.limits)

    async def serve(self) -> None:
        """Serve until the client unbinds or leaves, the server leaves, or a limit is reached."""
        try:
            await self._serve()
        except asyncio.CancelledError:
            self._say_goodbye(_Refusal(Code.UNAVAILABLE, self._watch.why or "the gateway ends"))
            if not self._watch.took_note():
                raise
            _LOG.info("%s: the connection ends: %s", self._peer, self._watch.why)
        except InvalidToken as error:
            _LOG.info("%s: the connection ends: %s", self._peer, error.text)
            self._say_goodbye(_Refusal(Code.PROTOCOL_ERROR, error.text))
        except (SaslError, OSError) as error:
            _LOG.info("%s: the connection ends: %s", self._peer, error)
        finally:
            self._watch.stop()
            if self._carrying is not None:
                self._carrying.cancel()
            try:
                await self._client.end()
            finally:
                await self._leave(unbind(1))

    async def _serve(self) -> None:
        count = 0
        while True:
            taken = self._requests.take()
            if taken is None:
                octets = await self._client.read(PIECE)
                if not octets:
                    return
                self._requests.feed(octets)
                del octets
                continue
            self._watch.touch()
            if isinstance(taken, Piece):
                await self._pass_on(taken.octets, taken.head)
            elif taken.head.operation == Kind.UNBIND:
                if self._carrying is not None:
                    self._carrying.cancel()
                await self._leave(taken.octets)
                return
            elif taken.head.operation == Kind.BIND:
                await self._bind(taken)
            elif taken.head.operation == Kind.EXTENDED and names_start_tls(taken.octets):
                await self._start_tls(taken.head)
            else:
                await self._pass_on(taken.octets, taken.head)
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)

    # What goes to the server

    async def _pass_on(self, octets: bytes, head: Head | None) -> None:
        if self._server is None and self._upstream.serves_anonymous:
            try:
                self._attach(await self._upstream.unbound())
            except NoAuthenticatingAuthority as error:
                if head is not None and head.size <= LONGEST_WHOLE:
                    await self._answer(answer(head, Code.UNAVAILABLE, error.text))
                    return
                raise
        if self._server is not None:
            self._server.write(octets)
            await self._server.drain()
            return
        if head is None or head.size > LONGEST_WHOLE:
            raise InvalidToken("a long message of somebody who is not logged on")
        await self._answer(answer(head, Code.OPERATIONS_ERROR, "bind first: this gateway passes nobody on unknown"))

    async def _leave(self, octets: bytes) -> None:
        """Let the server go, with a last word where there is room for one."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._requests.inside:
            server.abort()
            return
        with contextlib.suppress(SaslError, OSError):  # it may have gone before
            server.write(octets)
        await server.end()

    # What comes from the server

    def _attach(self, server: CarriedStream) -> None:
        self._server = server
        self._watch.changed(logged_on=True)
        self._carrying = asyncio.create_task(self._carry(server))

    async def _carry(self, server: CarriedStream) -> None:
        """Carry what the server says until it leaves, which ends the session."""
        boundaries = Boundaries()
        inside = False
        why = "the server has closed the connection"
        try:
            while octets := await server.read(PIECE):
                self._watch.touch()
                cut = boundaries.take(octets)
                for piece, ends in ((octets[:cut], True), (octets[cut:], False)):
                    if not piece:
                        continue
                    if not inside:
                        await self._turn.acquire()
                        inside = True
                    self._client.write(piece)
                    await self._client.drain()
                    if ends:
                        self._turn.release()
                        inside = False
                self._watch.touch()
        except (SaslError, OSError) as error:
            why = f"the connection to the server is lost: {error}"
        except asyncio.CancelledError:
            if inside:
                self._turn.release()
            raise
        self._watch.end(why)

    async def _detach(self) -> None:
        """Stop carrying, between two messages of the server; what it has not answered is abandoned."""
        carrying, self._carrying = self._carrying, None
        if carrying is None:
            return
        async with asyncio.timeout(self._door.limits.logon_seconds), self._turn:
            carrying.cancel()
            await asyncio.wait([carrying])

    async def _answer(self, octets: bytes) -> None:
        if octets:
            async with self._turn:
                self._client.write(octets)
                await self._client.drain()

    # Binds

    async def _bind(self, request: WholeRequest) -> None:
        number = request.head.number
        # RFC 4513 section 4: "Upon receipt of a Bind request, the server immediately moves the session to an
        # anonymous authorization state."
        await self._detach()
        await self._leave(unbind(number))
        bind = read_bind(request.octets)
        refusal = self._objection(bind)
        if refusal is None and bind.method is BindMethod.PASSWORD:
            self._watch.changed(logged_on=True)
            refusal = await unless_gone(self._client, self._log_on(bind))
        else:
            _record(bind, refusal)
        self._watch.changed(logged_on=self._server is not None)
        if refusal is None:
            await self._answer(bind_response(number, Code.SUCCESS))
            if self._server is not None:
                self._attach(self._server)
        else:
            await self._answer(bind_response(number, refusal.code, refusal.text))

    def _objection(self, bind: BindRequest) -> _Refusal | None:
        """Return why a bind is not even tried, or None."""
        if bind.version != _VERSION:
            return _Refusal(Code.PROTOCOL_ERROR, f"only version {_VERSION} of LDAP is spoken here")
        if bind.critical:
            return _Refusal(Code.UNAVAILABLE_CRITICAL_EXTENSION, "this gateway obeys no control of a bind")
        if bind.method in (BindMethod.SASL, BindMethod.OTHER):
            return _Refusal(Code.AUTH_METHOD_NOT_SUPPORTED, "binds are simple here; SASL needs no gateway")
        if bind.method is BindMethod.UNAUTHENTICATED:
            # RFC 4513 section 5.1.2: "Servers SHOULD by default fail Unauthenticated Bind requests with a resultCode
            # of unwillingToPerform." A program that forgot to ask for the password would let everybody in.
            return _Refusal(Code.UNWILLING_TO_PERFORM, "a name without a password authenticates nobody")
        if bind.method is BindMethod.ANONYMOUS:
            if self._upstream.serves_anonymous:
                return None
            return _Refusal(Code.UNWILLING_TO_PERFORM, "nobody is passed on unknown: [[authority]] anonymous is off")
        if self._client.tls is None and not self._door.listener.takes_clear:
            return _Refusal(Code.CONFIDENTIALITY_REQUIRED, "start TLS before a password")
        return None

    async def _log_on(self, bind: BindRequest) -> _Refusal | None:
        async def work() -> tuple[CarriedStream, Security]:
            return await self._upstream.log_on(bind.name, _password(bind))

        try:
            self._server = await self._door.audited(_WORDS[bind.method], bind.name, self._peer, work)
        except SaslError as error:
            return _refused(error)
        return None

    # TLS with the client

    async def _start_tls(self, head: Head) -> None:
        context = self._door.context
        if context is None:
            # RFC 4511 section 4.14.2: what is not supported is protocolError.
            await self._answer(answer(head, Code.PROTOCOL_ERROR, "this listener has no certificate"))
        elif self._client.tls is not None or self._server is not None:
            await self._answer(answer(head, Code.OPERATIONS_ERROR, "TLS begins once, and before a bind"))
        elif self._requests.waiting:
            raise InvalidToken("octets are pipelined behind the request to start TLS")
        else:
            await self._answer(answer(head, Code.SUCCESS))
            async with asyncio.timeout(self._door.limits.logon_seconds):
                await self._client.start_tls(context)

    # The end

    def _say_goodbye(self, why: _Refusal) -> None:
        if not self._turn.locked():  # inside a message there is no room for another
            with contextlib.suppress(OSError, SaslError):
                self._client.write(disconnect(why.code, why.text))


def _record(bind: BindRequest, refusal: _Refusal | None) -> None:
    """Leave the record of a bind that needs no server."""
    attempt = Attempt(_WORDS[bind.method])
    attempt.asked(Question(bind.name, "", ()))
    if refusal is None:
        attempt.accepted(Outcome())
    else:
        attempt.refused(LogonDenied(refusal.text))


def _password(bind: BindRequest) -> str:
    try:
        return bind.password.decode()
    except UnicodeDecodeError:
        # RFC 4513 section 5.1.3: passwords are transferred as UTF-8.
        raise LogonDenied("the password is not UTF-8") from None


def _refused(error: SaslError) -> _Refusal:
    """Return what a client is told of a logon that failed."""
    if isinstance(error, BindRefused):
        if error.code not in _OURS:
            return _Refusal(error.code, (error.diagnostic or error.text)[:_LONGEST_TEXT])
        return _Refusal(Code.UNWILLING_TO_PERFORM, error.text)
    if isinstance(error, NoLookup):
        return _Refusal(Code.UNWILLING_TO_PERFORM, error.text)
    if isinstance(error, LogonDenied | UnknownCredentials):
        return _Refusal(Code.INVALID_CREDENTIALS, "wrong name or password")
    if isinstance(error, NoAuthenticatingAuthority):
        return _Refusal(Code.UNAVAILABLE, error.text)
    return _Refusal(Code.OTHER, error.text)
