"""What the middleware tell the acceptor and the application: bodies, connections, names, and where proofs stand."""

import asyncio
import io
from collections.abc import Iterable
from typing import Any

import pytest

from adapters.http.browser import PEOPLE, USER, DigestClient, TokenClient, acceptor
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor, HttpDecision, HttpRequest
from saslsspi.adapters.wsgi import WsgiAuthentication
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import InvalidParameter, MutualAuthFailed
from saslsspi.sspi import IscReq

SIGNING = int(IscReq.ISC_REQ_INTEGRITY)
TLS = ChannelBindings(application_data=b"tls-server-end-point:" + b"\x17" * 32)

Headers = dict[str, str]


def wsgi_application(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [("X-Body", environ["wsgi.input"].read().decode())])
    write(environ["REMOTE_USER"].encode())
    return [b" by ", environ["AUTH_TYPE"].encode()]


def wsgi(
    middleware: WsgiAuthentication, credentials: str = "", body: bytes = b"", **more: Any
) -> tuple[str, Any, bytes]:
    """Return status, headers and body of a request."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/tea", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body)}
    environ |= {"HTTP_AUTHORIZATION": credentials, "CONTENT_LENGTH": str(len(body)) if body else ""} | more
    begun: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, error: Any = None) -> Any:
        begun[:] = [status, headers]
        return written.append

    rest = list(middleware(environ, start_response))
    return begun[0], begun[1], b"".join(written + rest)


async def asgi_application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-body", body)]})
    for part in (scope["user"].username, " by ", scope["user"].scheme):
        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
    await send({"type": "http.response.body"})


def asgi(middleware: AsgiAuthentication, credentials: str = "", *parts: bytes, **more: Any) -> list[dict[str, Any]]:
    """Return what is sent for a request whose body comes in parts."""
    scope = {"type": "http", "method": "GET", "path": "/tea", "scheme": "http", "query_string": b"", **more}
    scope["headers"] = [*more.get("headers", ()), *([(b"authorization", credentials.encode())] if credentials else [])]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    if scope["type"] == "websocket":
        coming = [{"type": "websocket.connect"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(middleware(scope, receive, send))
    return sent


def challenges(headers: Iterable[tuple[Any, Any]]) -> list[str]:
    pairs = [(name, value) if isinstance(name, str) else (name.decode(), value.decode()) for name, value in headers]
    return [value.removeprefix("Digest ") for name, value in pairs if name.lower() == "www-authenticate"]


def proof(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return dict(headers)[b"authentication-info"].decode()


def test_wsgi_tells_the_application_who_it_is() -> None:
    middleware, client = WsgiAuthentication(wsgi_application, acceptor()), DigestClient()
    status, headers, _ = wsgi(middleware)
    assert status == "401 Unauthorized"
    status, headers, body = wsgi(middleware, client.answer(challenges(headers)))
    assert (status, body) == ("200 OK", f"{USER} by Digest".encode())
    client.verify(dict(headers)["Authentication-Info"])


def test_wsgi_covers_bodies_both_ways_under_auth_int() -> None:
    middleware = WsgiAuthentication(wsgi_application, acceptor(integrity=True), max_body=100)
    client = DigestClient(flags=SIGNING)
    _, headers, _ = wsgi(middleware)
    sent = client.answer(challenges(headers), body=b"milk")
    assert wsgi(middleware, sent, b"silk")[0] == "401 Unauthorized"
    status, headers, body = wsgi(middleware, sent, b"milk")
    assert (status, dict(headers)["X-Body"]) == ("200 OK", "milk")
    with pytest.raises(MutualAuthFailed):
        client.verify(dict(headers)["Authentication-Info"], body + b"!")
    client.verify(dict(headers)["Authentication-Info"], body)


def test_wsgi_takes_a_body_without_length_where_the_server_ends_it() -> None:
    middleware = WsgiAuthentication(wsgi_application, acceptor(integrity=True))
    client = DigestClient(flags=SIGNING)
    sent = client.answer(challenges(wsgi(middleware)[1]), body=b"milk")
    more: dict[str, Any] = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    assert wsgi(middleware, sent, b"milk", **more)[0] == "200 OK"


@pytest.mark.parametrize("length", ["101", "9" * 5000, "-1", "x"])
def test_wsgi_refuses_a_body_that_is_too_large_to_hold(length: str) -> None:
    middleware = WsgiAuthentication(wsgi_application, acceptor(integrity=True), max_body=100)
    client = DigestClient(flags=SIGNING)
    sent = client.answer(challenges(wsgi(middleware)[1]), body=b"m" * 101)
    assert wsgi(middleware, sent, b"m" * 101, CONTENT_LENGTH=length)[0].startswith("413 ")


def test_asgi_refuses_a_body_that_is_too_large_to_hold() -> None:
    middleware = AsgiAuthentication(asgi_application, acceptor(integrity=True), max_body=100)
    client = DigestClient(flags=SIGNING)
    sent = client.answer(challenges(asgi(middleware)[0]["headers"]), body=b"m" * 101)
    assert asgi(middleware, sent, *[b"m"] * 101)[0]["status"] == 413


@pytest.mark.requirement("RFC2617-3.2.2.3-02")
@pytest.mark.parametrize("parts", [[b"milk and sugar"], [b"milk", b" and ", b"sugar"], [b"", b"milk and suga", b"r"]])
def test_chunks_do_not_count_in_the_hash_of_a_body(parts: list[bytes]) -> None:
    middleware = AsgiAuthentication(asgi_application, acceptor(integrity=True))
    client = DigestClient(flags=SIGNING)
    sent = client.answer(challenges(asgi(middleware)[0]["headers"]), body=b"milk and sugar")
    start, *bodies = asgi(middleware, sent, *parts)
    assert (start["status"], dict(start["headers"])[b"x-body"]) == (200, b"milk and sugar")
    client.verify(proof(start["headers"]), b"".join(message.get("body", b"") for message in bodies))


@pytest.mark.requirement("RFC2617-3.2.3-07")
def test_authentication_info_stands_in_the_trailers_where_the_server_has_them() -> None:
    middleware = AsgiAuthentication(asgi_application, acceptor(integrity=True))
    client = DigestClient(flags=SIGNING)
    sent = client.answer(challenges(asgi(middleware)[0]["headers"]), body=b"milk")
    start, *bodies, trailers = asgi(middleware, sent, b"milk", extensions={"http.response.trailers": {}})
    assert start["trailers"] is True
    assert b"authentication-info" not in dict(start["headers"])
    assert (trailers["type"], trailers["more_trailers"]) == ("http.response.trailers", False)
    client.verify(proof(trailers["headers"]), b"".join(message.get("body", b"") for message in bodies))


def test_asgi_serves_websockets_to_users_only() -> None:
    middleware, client = AsgiAuthentication(asgi_application, acceptor()), DigestClient()
    assert asgi(middleware, type="websocket", scheme="ws") == [{"type": "websocket.close", "code": 1008}]
    sent = client.answer(challenges(asgi(middleware)[0]["headers"]))
    (accepted,) = asgi(middleware, sent, type="websocket", scheme="ws")
    assert accepted["type"] == "websocket.accept"
    client.verify(proof(accepted["headers"]))


def test_asgi_hands_the_lifespan_on() -> None:
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(AsgiAuthentication(application, acceptor())({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


class Recorder(HttpAcceptor):
    """An acceptor that notes what it is asked."""

    def judge(self, request: HttpRequest) -> HttpDecision:
        self.request = request
        return super().judge(request)


@pytest.mark.parametrize(("scheme", "bindings"), [("http", None), ("https", TLS)])
def test_bindings_count_under_tls(scheme: str, bindings: ChannelBindings | None) -> None:
    recorder = Recorder.of(PEOPLE, realm="r")
    wsgi(WsgiAuthentication(wsgi_application, recorder, bindings=TLS), **{"wsgi.url_scheme": scheme})
    assert recorder.request.bindings is bindings
    asgi(AsgiAuthentication(asgi_application, recorder, bindings=TLS), scheme=scheme)
    assert recorder.request.bindings is bindings


def test_the_server_says_which_connection_it_is_and_http_2_has_none() -> None:
    recorder = Recorder.of(PEOPLE, ["NTLM"], realm="r")
    wsgi(WsgiAuthentication(wsgi_application, recorder), TokenClient().step(), **{"saslsspi.connection": "one"})
    assert recorder.request.connection == "one"
    middleware = AsgiAuthentication(asgi_application, recorder)
    for version, connection in [("1.1", "one"), ("2", None), ("3", None)]:
        asgi(middleware, http_version=version, **{"saslsspi.connection": "one"})
        assert recorder.request.connection == connection
    asgi(AsgiAuthentication(asgi_application, recorder, connection=lambda scope: scope["client"]), client="two")
    assert recorder.request.connection == "two"


def test_the_target_is_taken_as_it_was_written() -> None:
    recorder = Recorder.of(PEOPLE, realm="r")
    more = {"SCRIPT_NAME": "/t", "PATH_INFO": "/\xc3\xa9", "QUERY_STRING": "a=%20", "HTTP_HOST": "tea.example"}
    wsgi(WsgiAuthentication(wsgi_application, recorder), **more)
    assert recorder.request.targets == ("/t/%C3%A9?a=%20", "http://tea.example/t/%C3%A9?a=%20")
    asgi(AsgiAuthentication(asgi_application, recorder), path="/t/é", query_string=b"a=%20", raw_path=b"/t/%c3%a9")
    assert recorder.request.targets[:2] == ("/t/%C3%A9?a=%20", "/t/%c3%a9?a=%20")


def test_a_prefix_that_a_proxy_takes_off_is_named_and_no_header_is_believed() -> None:
    """The client's uri is /shop/tea, the proxy asks for /tea."""
    told: dict[str, Any] = {"HTTP_X_FORWARDED_PREFIX": "/shop"}
    outer = [(b"x-forwarded-prefix", b"/shop")]
    for prefix, status in [("/shop", 200), ("/shop/", 200), ("", 400), ("/other", 400)]:
        site, client = acceptor(), DigestClient()
        middleware = WsgiAuthentication(wsgi_application, site, stripped_prefix=prefix)
        sent = client.answer(challenges(wsgi(middleware, **told)[1]), "/shop/tea")
        assert wsgi(middleware, sent, **told)[0].startswith(str(status))
        inner = AsgiAuthentication(asgi_application, site, stripped_prefix=prefix)
        sent = client.answer(challenges(asgi(inner, headers=outer)[0]["headers"]), "/shop/tea")
        assert asgi(inner, sent, headers=outer)[0]["status"] == status
        plain = client.answer(challenges(wsgi(middleware)[1]), "/tea")
        assert wsgi(middleware, plain)[0] == "200 OK"


def test_a_prefix_is_a_path() -> None:
    for wrong in ("shop", "http://tea.example/shop", "/b\u00fccher"):
        with pytest.raises(InvalidParameter):
            WsgiAuthentication(wsgi_application, acceptor(), stripped_prefix=wrong)
