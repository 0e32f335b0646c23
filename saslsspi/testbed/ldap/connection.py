"""One client's session: requests in, responses out, and the state between (RFC 4511 section 4, RFC 4513 section 4).

Messages are taken one at a time. Searches run beside the loop that reads, so that they can be abandoned; a bind and
StartTLS wait for them. The state is small: who is bound, how strong the layer is, and the SASL exchange in progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from saslsspi.engine.hooks.audit import audited_from
from saslsspi.errors import InvalidParameter, InvalidToken, SaslError
from saslsspi.testbed.ldap.bind import Binder
from saslsspi.testbed.ldap.channel import LdapChannel
from saslsspi.testbed.ldap.directory import Entry
from saslsspi.testbed.ldap.messages import (
    Abandon,
    Extended,
    Message,
    SaslBind,
    Scope,
    Search,
    SimpleBind,
    Unbind,
    UnknownBind,
    Unsupported,
    read_message,
)
from saslsspi.testbed.ldap.names import parse_name
from saslsspi.testbed.ldap.responses import (
    BIND,
    EXTENDED,
    SEARCH_DONE,
    Result,
    ResultCode,
    bind_response,
    disconnection,
    extended_response,
    response,
    search_entry,
)
from saslsspi.testbed.ldap.settings import Bound, Settings, Surroundings

__all__ = ["LdapConnection"]

_LOG: Final = logging.getLogger(__name__)

START_TLS: Final = "1.3.6.1.4.1.1466.20037"
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
_ALL_OPERATIONAL: Final = "1.3.6.1.4.1.4203.1.5.1"  # RFC 3673: "+" returns the operational attributes
_ROOT_DSE: Final = ("", Scope.BASE)
_BATCH_SIZE: Final = 1 << 14
"""Entries leave joined, about so many octets at a time."""
_TURN: Final = 256
"""After so many entries the other clients have their turn."""
_OK: Final = Result(ResultCode.SUCCESS)


class LdapConnection:
    """The session on one channel.

    Args:
        settings: The server's.
        channel: The connection.
    """

    def __init__(self, settings: Settings, channel: LdapChannel) -> None:
        self._settings = settings
        self._channel = channel
        self._binder = Binder(settings)
        self._authzid = ""
        self._layer_ssf = 0
        self._searches: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Serve until the client unbinds, leaves, or breaks the rules."""
        with audited_from(self._channel.peer):
            await self._serve()

    async def _serve(self) -> None:
        try:
            while await self._next():
                pass
            await self._finish_searches()
        except InvalidToken as error:
            self._disconnect(Result(ResultCode.PROTOCOL_ERROR, error.text))
        except TimeoutError:
            self._disconnect(Result(ResultCode.UNAVAILABLE, "the time for the next message is over"))
        except (SaslError, OSError) as error:  # a layer that failed says nothing more; a lost connection cannot
            _LOG.debug("%s: connection ends: %s", self._channel.peer, error)
        except Exception:
            _LOG.exception("%s: connection ends", self._channel.peer)
        finally:
            self._binder.abort()
            for search in self._searches.values():
                search.cancel()

    async def _next(self) -> bool:
        limits = self._settings.limits
        try:
            async with asyncio.timeout(limits.idle_timeout):
                octets = await self._channel.receive(limits.message if self._authzid else limits.anonymous_message)
        except TimeoutError:
            if self._searches:  # the client waits for us; a search has its own time limit
                return True
            raise
        if octets is None:
            return False
        return await self._dispatch(read_message(octets))

    async def _dispatch(self, message: Message) -> bool:
        """Begin or carry out what is asked for; False ends the session."""
        number, operation, _ = message
        if number in self._searches:
            raise InvalidToken(f"message id {number} belongs to an operation that has not ended")
        if isinstance(operation, (SimpleBind, SaslBind, UnknownBind)):
            await self._bind(message, operation)
            return True
        if isinstance(operation, Unbind):
            return False
        if isinstance(operation, Abandon):
            self._binder.abort()
            if search := self._searches.get(operation.target):
                search.cancel()
            return True
        refusal = self._refusal(message)
        # RFC 4511 section 4.2.1: no other operation comes between the requests of one SASL bind.
        self._binder.abort()
        if isinstance(operation, Extended):
            await self._extended(number, operation, refusal)
        elif isinstance(operation, Search):
            await self._begin_search(number, operation, refusal)
        else:
            refusal = refusal or Result(ResultCode.UNWILLING_TO_PERFORM, "this directory does not change or compare")
            await self._answer(response(number, operation.response_tag, refusal))
        return True

    def _refusal(self, message: Message) -> Result | None:
        """Return why an operation is not carried out in the state of this session, or None."""
        operation, settings = message.operation, self._settings
        if message.critical:
            return Result(ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, f"no control {message.critical[0]} here")
        if self._binder.in_progress:
            return Result(ResultCode.OPERATIONS_ERROR, "a SASL bind was in progress; it is aborted")
        if isinstance(operation, Extended) and operation.name == START_TLS:
            return None
        # RFC 4513 section 5.2.1.5: everybody may read the root DSE, before and after a bind.
        if isinstance(operation, Search) and (operation.base, operation.scope) == _ROOT_DSE:
            return None
        if self._ssf < settings.policy.min_ssf:
            if settings.policy.min_ssf > 1:
                return Result(ResultCode.CONFIDENTIALITY_REQUIRED, "the connection is not protected as it must be")
            return Result(ResultCode.STRONGER_AUTH_REQUIRED, "the connection has no integrity protection")
        if isinstance(operation, (Search, Unsupported)) and not self._authzid and not settings.anonymous_search:
            return Result(ResultCode.STRONGER_AUTH_REQUIRED, "bind first")
        return None

    @property
    def _ssf(self) -> int:
        return max(self._layer_ssf, self._channel.tls_bits)

    @property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self._channel.tls_bits, self._ssf, self._channel.tls_identity)

    # Binds

    async def _bind(self, message: Message, request: SimpleBind | SaslBind | UnknownBind) -> None:
        await self._finish_searches()
        # RFC 4513 section 4: "Upon receipt of a Bind request, the server immediately moves the session to an
        # anonymous authorization state."
        self._authzid = ""
        if message.critical:
            self._binder.abort()
            refusal = Result(ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, f"no control {message.critical[0]} here")
            await self._answer(response(message.id, BIND, refusal))
            return
        reply = await self._binder.bind(request, self._surroundings)
        if reply.layer is not None and not self._channel.at_rest:
            raise InvalidToken("octets are pipelined behind the bind request that installs a security layer")
        # The response is the last message under the old layer, or in clear (RFC 4513 section 5.2.1.4).
        self._channel.send(bind_response(message.id, reply.result, reply.credentials))
        if reply.layer is not None and reply.security is not None:
            self._channel.install(reply.layer)
            self._layer_ssf = reply.security.ssf
        if reply.result.code is ResultCode.SUCCESS:
            self._authzid = reply.authzid
            if self._settings.on_security is not None:
                bound = Bound(self._channel.peer, reply.method, reply.authzid, self._ssf, reply.security)
                self._settings.on_security(bound)
        await self._drain()

    # Extended operations

    async def _extended(self, number: int, request: Extended, refusal: Result | None) -> None:
        if refusal is not None:
            await self._answer(extended_response(number, refusal))
        elif request.name == WHO_AM_I and request.value is None:
            # RFC 4532 section 2.2: an anonymous client receives a value of zero length.
            await self._answer(extended_response(number, _OK, value=self._authzid.encode()))
        elif request.name == START_TLS and request.value is None and self._settings.certificate is not None:
            await self._start_tls(number)
        else:
            # RFC 4511 section 4.12: "If the server does not recognize the request name, it MUST return
            # protocolError"; so it is for a value that must not be there.
            await self._answer(response(number, EXTENDED, Result(ResultCode.PROTOCOL_ERROR, "no such operation here")))

    async def _start_tls(self, number: int) -> None:
        context, channel = self._settings.certificate, self._channel
        assert context is not None
        if channel.tls is not None or channel.layered or self._searches:
            why = "TLS is on already" if channel.tls is not None else "operations or a SASL layer are in the way"
            await self._answer(extended_response(number, Result(ResultCode.OPERATIONS_ERROR, why), name=START_TLS))
            return
        if not channel.at_rest:
            raise InvalidToken("octets are pipelined behind the request to start TLS")
        await self._answer(extended_response(number, _OK, name=START_TLS))
        await channel.start_tls(context)
        self._authzid = ""  # RFC 4513 section 3.2

    # Searches

    async def _begin_search(self, number: int, request: Search, refusal: Result | None) -> None:
        if refusal is not None:
            await self._answer(response(number, SEARCH_DONE, refusal))
            return
        while len(self._searches) >= self._settings.limits.operations:
            await asyncio.wait(self._searches.values(), return_when=asyncio.FIRST_COMPLETED)
        task = self._searches[number] = asyncio.create_task(self._search(number, request))
        task.add_done_callback(lambda _: self._searches.pop(number, None))

    async def _search(self, number: int, request: Search) -> None:
        try:
            if (request.base, request.scope) == _ROOT_DSE:
                entry = self._root_dse()
                if request.filter.test(entry.values, entry.values):
                    self._channel.send(_encode(number, entry, request))
                result = _OK
            else:
                result = await self._search_tree(number, request)
            await self._answer(response(number, SEARCH_DONE, result))
        except (SaslError, OSError) as error:
            _LOG.debug("%s: search ends: %s", self._channel.peer, error)
            self._channel.abort()

    async def _search_tree(self, number: int, request: Search) -> Result:
        directory = self._settings.directory
        try:
            base = parse_name(request.base)
        except InvalidParameter as error:
            return Result(ResultCode.INVALID_DN_SYNTAX, error.text)
        if directory.find(base) is None:
            return Result(ResultCode.NO_SUCH_OBJECT, "no such entry", directory.nearest(base))
        limit = min(filter(None, (request.size_limit, self._settings.limits.entries)), default=0)
        count, batch = 0, bytearray()
        for looked_at, entry in enumerate(directory.scope(base, request.scope), 1):
            if request.filter.test(entry.values, directory.known):
                if limit and count == limit:
                    self._channel.send(bytes(batch))
                    return Result(ResultCode.SIZE_LIMIT_EXCEEDED, f"more than {limit} entries")
                count += 1
                batch += _encode(number, entry, request)
            if len(batch) >= _BATCH_SIZE:
                await self._answer(bytes(batch))
                batch.clear()
            if looked_at % _TURN == 0:
                await asyncio.sleep(0)
        if batch:
            await self._answer(bytes(batch))
        return _OK

    def _root_dse(self) -> Entry:
        """Return the root DSE as this connection may see it now (RFC 4512 section 5.1)."""
        settings, channel = self._settings, self._channel
        extensions = [WHO_AM_I]
        if settings.certificate is not None and channel.tls is None and not channel.layered:
            extensions.append(START_TLS)
        operational = {
            "namingContexts": [settings.directory.suffix],
            "supportedLDAPVersion": ["3"],
            "supportedSASLMechanisms": settings.offer_on(self._surroundings).names,
            "supportedExtension": extensions,
            "supportedFeatures": [_ALL_OPERATIONAL],
            "vendorName": ["saslsspi"],
        }
        return Entry("", {"objectClass": ["top"]}, {kind: values for kind, values in operational.items() if values})

    async def _finish_searches(self) -> None:
        # RFC 4511 section 4.2.1: operations are completed, or abandoned, before a bind is processed.
        if self._searches:
            await asyncio.wait(self._searches.values())

    # Sending

    async def _answer(self, messages: bytes) -> None:
        self._channel.send(messages)
        await self._drain()

    async def _drain(self) -> None:
        async with asyncio.timeout(self._settings.limits.idle_timeout):
            await self._channel.drain()

    def _disconnect(self, result: Result) -> None:
        with contextlib.suppress(OSError):  # nothing can be said under a layer that failed
            self._channel.send(disconnection(result))


def _encode(number: int, entry: Entry, request: Search) -> bytes:
    return search_entry(number, entry.encoded_name, entry.encode(request.attributes, types_only=request.types_only))
