"""requests and httpx before a server that is a function: what goes over the wire is seen octet for octet."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from adapters.http.browser import acceptor
from saslsspi.adapters.http import HttpAcceptor, HttpRequest
from saslsspi.adapters.httpx import HttpxAuth
from saslsspi.adapters.requests import HttpAuth

MD5 = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'


class Sent(NamedTuple):
    """A request as it went out."""

    method: str
    url: str
    fields: dict[str, bytes]
    body: bytes

    @property
    def target(self) -> str:
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def credentials(self) -> str:
        return self.fields.get("authorization", b"").decode("latin-1")


@dataclass
class Reply:
    """What is answered; the body may be pieces that are made when they are read."""

    status: int = 200
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: Any = b"tea"


Serve = Callable[[Sent], Reply]


class Pieces(io.RawIOBase, httpx.SyncByteStream):
    """A body without end that counts what was taken of it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        return len(buffer)

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        while True:
            self.taken += 65536
            yield bytes(65536)


def of_acceptor(site: HttpAcceptor, then: Serve = lambda sent: Reply()) -> Serve:
    """A server that lets users pass to what follows."""

    def serve(sent: Sent) -> Reply:
        algorithm = site.entity_algorithm(sent.credentials)
        assert algorithm is None
        decision = site.judge(HttpRequest(method=sent.method, targets=(sent.target,), credentials=sent.credentials))
        if decision.user is None:
            return Reply(decision.status, decision.headers)
        reply = then(sent)
        reply.fields = [*reply.fields, *decision.headers]
        return reply

    return serve


class _Adapter(HTTPAdapter):
    def __init__(self, serve: Serve, seen: list[Sent]) -> None:
        super().__init__()
        self._serve, self._seen = serve, seen

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        fields = {
            name.lower(): value if isinstance(value, bytes) else value.encode("latin-1")
            for name, value in request.headers.items()
        }
        body: Any = request.body or b""
        octets = body.encode() if isinstance(body, str) else body.read() if hasattr(body, "read") else b"".join(
            [body] if isinstance(body, bytes) else body
        )  # fmt: skip
        sent = Sent(str(request.method), str(request.url), fields, octets)
        self._seen.append(sent)
        reply = self._serve(sent)
        held = io.BytesIO(reply.body) if isinstance(reply.body, bytes) else reply.body
        raw = HTTPResponse(held, reply.fields, reply.status, preload_content=False, original_response=_Original(reply))
        return self.build_response(request, raw)


class _Original:
    """What requests takes cookies from."""

    def __init__(self, reply: Reply) -> None:
        from email.message import Message

        self.msg = Message()
        for name, value in reply.fields:
            self.msg[name] = value

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        pass


class Browser:
    """A session of one of the two libraries, and the requests that it sent."""

    def __init__(self, library: str, serve: Serve, who: Any, **how: Any) -> None:
        self.seen: list[Sent] = []
        self._library = library
        if library == "requests":
            self.session = requests.Session()
            self.session.trust_env = False
            self.session.auth = HttpAuth(who, **how)
            for scheme in ("http://", "https://"):
                self.session.mount(scheme, _Adapter(serve, self.seen))
        else:

            def handle(request: httpx.Request) -> httpx.Response:
                fields = {name.decode().lower(): value for name, value in request.headers.raw}
                sent = Sent(request.method, str(request.url), fields, request.read())
                self.seen.append(sent)
                reply = serve(sent)
                stream = httpx.ByteStream(reply.body) if isinstance(reply.body, bytes) else reply.body
                pairs = [(name.encode(), value.encode("latin-1")) for name, value in reply.fields]
                return httpx.Response(reply.status, headers=pairs, stream=stream)

            self.client = httpx.Client(
                transport=httpx.MockTransport(handle), auth=HttpxAuth(who, **how), follow_redirects=True
            )

    def send(self, url: str, method: str = "GET", body: Any = None) -> int:
        """Send a request and return the status; the body of the answer is not read."""
        if self._library == "requests":
            with self.session.request(method, url, data=body, stream=True) as answer:
                return answer.status_code
        request = self.client.build_request(method, url, content=body)
        answer_ = self.client.send(request, stream=True)
        answer_.close()
        return answer_.status_code

    @property
    def credentials(self) -> list[str]:
        return [sent.credentials for sent in self.seen]


EACH = pytest.mark.parametrize("library", ["requests", "httpx"])


def digest_site(**how: Any) -> HttpAcceptor:
    return acceptor("Digest", **how)
