"""Authentication for httpx: `httpx.Client(auth=HttpxAuth(Password("alice", "wonderland")))`, and AsyncClient likewise.

NTLM, Negotiate, Kerberos and CredSSP authenticate a connection. httpx does not let anybody say which connection a
request takes; with `httpx.Limits(max_connections=1)` there is one, so that is what a client for these schemes needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, cast

import httpx

from saslsspi.adapters.http.client.identity import HttpIdentity
from saslsspi.adapters.http.client.logon import HttpLogon
from saslsspi.adapters.http.client.spaces import origin
from saslsspi.adapters.http.headers import MOST_REFUSAL, with_cookies
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.adapters.stream.tls_bindings import server_end_point
from saslsspi.errors import InvalidToken

__all__ = ["HttpxAuth"]

_UNAUTHORIZED: Final = 401


class _Hold(NamedTuple):
    """What the flow asks for beside requests: an answer's octets, which are then as if nobody had read them."""

    response: httpx.Response
    limit: int


_Flow: TypeAlias = Generator["httpx.Request | _Hold", Any, None]


class HttpxAuth(HttpIdentity, httpx.Auth):
    """Logs on with Negotiate, Kerberos, NTLM, Digest or CredSSP, whichever of these the server and you agree on.

    It takes what HttpIdentity takes, and serves any number of requests, clients, threads and tasks at once.
    """

    requires_request_body = True

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Take part in a request of a Client."""
        request.read()
        flow = self._flow(request)
        wanted = next(flow)
        while True:
            got = _held(wanted) if isinstance(wanted, _Hold) else (yield wanted)
            try:
                wanted = flow.send(got)
            except StopIteration:
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Take part in a request of an AsyncClient."""
        await request.aread()
        flow = self._flow(request)
        wanted = await _beside_loop(flow, None)
        while wanted is not None:
            got = await _held_async(wanted) if isinstance(wanted, _Hold) else (yield wanted)
            wanted = await _beside_loop(flow, got)

    def _flow(self, request: httpx.Request) -> _Flow:
        here = origin(str(request.url))
        logon = self._logon(request)
        if (credentials := logon.begin()) is not None:
            request = _authorized(request, credentials)
        while True:
            response: httpx.Response = yield request
            sent = response.request
            # httpx has followed redirects: what is elsewhere gets no credentials, and another URI its own.
            if origin(str(sent.url)) != here:
                return
            if sent is not request:
                request, logon = sent, self._logon(sent)
            if response.status_code != _UNAUTHORIZED:
                break
            stream: Any = response.extensions.get("network_stream")
            tls = stream.get_extra_info("ssl_object") if stream is not None else None
            logon.bindings = None if tls is None else server_end_point(tls)
            credentials = logon.answer(_values(response, b"www-authenticate"), over=stream)
            if credentials is None:
                return
            yield _Hold(response, MOST_REFUSAL)
            request = _authorized(request, credentials, response.cookies)
        proof = next(iter(_values(response, b"authentication-info")), None)
        body = (yield _Hold(response, self.max_answer)) if logon.covers_answer and proof is not None else b""
        logon.finish(_values(response, b"www-authenticate"), proof, body)

    def _logon(self, request: httpx.Request) -> HttpLogon:
        # What httpx has read stands in memory, and that of a redirect too.
        body = request.read() if isinstance(request.stream, httpx.ByteStream) else None
        target = request.url.raw_path.decode("ascii")
        return HttpLogon(self, request.method, str(request.url), target, body=body)


async def _beside_loop(flow: _Flow, got: Any) -> httpx.Request | _Hold | None:
    """Let the flow go on in a thread, where Kerberos may ask a KDC, and return what it wants; None: it is over."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # Trio, which httpx runs under too
        return _next(flow, got)
    return await beside_loop(_next, flow, got)


def _next(flow: _Flow, got: Any) -> httpx.Request | _Hold | None:
    try:
        return flow.send(got)
    except StopIteration:
        return None


class _OneRequest(Mapping[str, str]):
    """The headers of one request, credentials among them. Copies have none.

    For a redirect httpx copies the headers, and keeps Authorization where the origin is the same, though its uri is
    then another's, and where http leads to https. The items of a mapping are what it copies.
    """

    def __init__(self, headers: httpx.Headers, credentials: str) -> None:
        self._others = httpx.Headers([pair for pair in headers.raw if pair[0].lower() != b"authorization"])
        self._all = httpx.Headers([*self._others.raw, (b"Authorization", credentials.encode("latin-1"))])

    def __getitem__(self, name: str) -> str:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getattr__(self, name: str) -> Any:  # what httpx.Headers has beside
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._all, name)

    def items(self) -> Any:
        """Return what a copy gets."""
        return self._others.items()


def _authorized(request: httpx.Request, credentials: str, cookies: httpx.Cookies | None = None) -> httpx.Request:
    """Return a request as it was, with credentials, and with the cookies of the answer before."""
    headers = httpx.Headers(request.headers.raw)
    probe = httpx.Request(request.method, request.url)
    if cookies is not None:
        cookies.set_cookie_header(probe)
    if (new := probe.headers.get("Cookie")) is not None:
        headers["Cookie"] = with_cookies(headers.get("Cookie", ""), new)
    again = httpx.Request(
        request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
    )
    again.headers = cast(httpx.Headers, _OneRequest(headers, credentials))
    return again


def _values(response: httpx.Response, name: bytes) -> list[str]:
    """Return a field's values, a character an octet: httpx decodes them as it sees fit."""
    return [value.decode("latin-1") for field, value in response.headers.raw if field.lower() == name]


def _held(hold: _Hold) -> bytes:
    response = hold.response
    if response.is_stream_consumed:
        return response.content
    held = _Octets(hold)
    for piece in response.iter_raw():
        if held.take(piece):
            response.close()
            raise held.too_many()
    return held.given_back()


async def _held_async(hold: _Hold) -> bytes:
    response = hold.response
    if response.is_stream_consumed:
        return response.content
    held = _Octets(hold)
    async for piece in response.aiter_raw():
        if held.take(piece):
            await response.aclose()
            raise held.too_many()
    return held.given_back()


class _Octets:
    """Octets of an answer that are read up to a limit, and given back to it."""

    def __init__(self, hold: _Hold) -> None:
        self._response, self._limit = hold
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> bool:
        """Keep a piece; whether it is too much."""
        self._pieces.append(piece)
        self._size += len(piece)
        return self._size > self._limit

    def too_many(self) -> InvalidToken:
        return InvalidToken(f"an answer of more than {self._limit} octets, which is more than is held")

    def given_back(self) -> bytes:
        octets = b"".join(self._pieces)
        self._response.stream = httpx.ByteStream(octets)
        self._response.is_stream_consumed = self._response.is_closed = False
        return octets
