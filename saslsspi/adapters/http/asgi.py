"""ASGI middleware that lets authenticated users pass (ASGI 3.0, under asyncio).

Digest serves under every server. The schemes that authenticate a connection need to know which one a request came over:
the server, or a small class around it, puts an object into `scope["saslsspi.connection"]` that it makes anew for each
connection of HTTP/1.1. No server does so of itself; `scope["client"]` will not do, as address and port come again, and
under HTTP/2 and HTTP/3 nothing is taken from there, as those connections are shared. Without it NTLM and CredSSP are
not offered, and Negotiate is taken where one token suffices, as with Kerberos.

A WebSocket is judged by its opening request; one that is refused is closed, which servers answer with 403.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from saslsspi.adapters.http.acceptor import HttpDecision, HttpRequest
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.adapters.http.middleware import CONNECTION, SAFE, Middleware
from saslsspi.adapters.stream.beside_loop import beside_loop

__all__ = ["CONNECTION", "AsgiAuthentication"]

_TRAILERS: Final = "http.response.trailers"

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class AsgiAuthentication(Middleware[Application, Scope]):
    """An application that serves authenticated users only.

    What the inner application finds: `scope["user"]` is the HttpUser, with username, scheme, realm, groups and context.

    Under auth-int a request's body is read before the application runs. Authentication-Info of the answer goes into its
    trailers where the server has the extension http.response.trailers; elsewhere the answer is held until it is whole.
    The acceptor's work, which may ask an authority that blocks, is done in a thread. What it takes stands with
    Middleware.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or hand on what is none."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        credentials = _field(scope, self._acceptor.credentials_field)
        entity = b""
        if (algorithm := self._acceptor.entity_algorithm(credentials)) is not None and scope["type"] == "http":
            body = await _whole(receive, self._max_body)
            if body is None:
                await _answer(scope, receive, send, 413, [])
                return
            digest = EntityHash(algorithm)
            digest.update(body)
            entity, receive = digest.hexdigest(), _again(body, receive)
        decision = await beside_loop(self._acceptor.judge, self._request(scope, credentials, entity))
        if decision.delay:
            await asyncio.sleep(decision.delay)
        if decision.user is None:
            await _answer(scope, receive, send, decision.status, decision.headers)
            return
        inner = {**scope, "user": decision.user}
        await self._application(inner, receive, _Answer(scope, send, decision))

    def _request(self, scope: Scope, credentials: str, entity: bytes) -> HttpRequest:
        shared = scope.get("http_version", "1.1") in ("2", "3")
        return HttpRequest(
            method=scope.get("method", "GET"),
            targets=self._targets(_paths(scope), scope.get("scheme", "http"), _field(scope, "Host")),
            credentials=credentials,
            connection=None if shared else self._connection(scope),
            bindings=self._bindings if scope.get("scheme") in ("https", "wss") else None,
            entity=entity,
            peer=":".join(map(str, scope.get("client") or ())),
        )


class _Answer:
    """The application's send: adds what the decision has for the answer."""

    def __init__(self, scope: Scope, send: Send, decision: HttpDecision) -> None:
        self._send = send
        self._verdict = decision
        self._trails = _TRAILERS in (scope.get("extensions") or {})
        self._digest = None if decision.signs is None or scope["type"] != "http" else EntityHash(decision.signs)
        self._held: list[Message] = []
        self._own_trailers = False

    async def __call__(self, message: Message) -> None:
        """Send a message, now or when the body is whole."""
        kind = message["type"]
        if kind in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", ()), *_encoded(self._verdict.headers)]
            self._own_trailers = bool(message.get("trailers"))
            if self._digest is not None and self._trails:
                message["trailers"] = True
        if self._digest is None:
            await self._send(message)
        elif self._trails:
            await self._trailed(message, self._digest)
        else:
            await self._hold(message, self._digest)

    async def _trailed(self, message: Message, digest: EntityHash) -> None:
        kind = message["type"]
        last = not message.get("more_body" if kind == "http.response.body" else "more_trailers")
        if kind == "http.response.trailers" and last:
            message["headers"] = [*message.get("headers", ()), *self._proof(digest)]
        await self._send(message)
        if kind == "http.response.body":
            digest.update(message.get("body", b""))
            if last and not self._own_trailers:
                # RFC 2617 section 3.2.3: "The Authentication-Info header is allowed in the trailer".
                await self._send({"type": _TRAILERS, "headers": self._proof(digest), "more_trailers": False})

    async def _hold(self, message: Message, digest: EntityHash) -> None:
        self._held.append(message)
        if message["type"] != "http.response.body":
            return
        digest.update(message.get("body", b""))
        if not message.get("more_body"):
            for kept in self._held:
                if kept["type"] == "http.response.start":
                    kept["headers"] = [*kept["headers"], *self._proof(digest)]
                await self._send(kept)
            self._held = []

    def _proof(self, digest: EntityHash) -> list[tuple[bytes, bytes]]:
        return _encoded(self._verdict.sign(digest.hexdigest()))


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


def _field(scope: Scope, name: str) -> str:
    wanted = name.lower().encode()
    values = [value for key, value in scope.get("headers", ()) if key.lower() == wanted]
    return b", ".join(values).decode("latin-1")


def _paths(scope: Scope) -> list[str]:
    """Return path and query as this server was asked for them."""
    query = bytes(scope.get("query_string") or b"").decode("latin-1")
    paths = [quote(scope["path"], SAFE)]
    if raw := scope.get("raw_path"):
        paths.append(bytes(raw).partition(b"?")[0].decode("latin-1"))
    return [path + ("?" + query if query else "") for path in paths]


async def _whole(receive: Receive, limit: int) -> bytes | None:
    """Read a body; None where it is too large, or the client is gone."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > limit:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives a body that was read, and then what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(scope: Scope, receive: Receive, send: Send, status: int, headers: list[tuple[str, str]]) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": 1008})
        return
    body = f"{status} {http.HTTPStatus(status).phrase}\n".encode()
    more = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    await send({"type": "http.response.start", "status": status, "headers": _encoded([*headers, *more])})
    await send({"type": "http.response.body", "body": body})
