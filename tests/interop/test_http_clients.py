"""Our requests and httpx adapters: against lighttpd, against our middleware, over TLS with bindings, with Kerberos."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from interop.certificate import ServerCertificate, make_server_certificate
from interop.http_server import AuthenticatingServer
from interop.kdc import Kdc
from interop.lighttpd import Lighttpd
from interop.people import ALICE
from interop.require import require_peer
from interop.wsgi_server import WsgiServer
from packages.credssp.ours import accepting
from saslsspi import (
    ChannelBindingPolicy,
    ChannelBindings,
    Context,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    Password,
    Policy,
)
from saslsspi.adapters.http import HttpAcceptor
from saslsspi.adapters.wsgi import WsgiAuthentication
from saslsspi.errors import ContextMisuse, MessageAltered, MutualAuthFailed, SaslError
from saslsspi.sspi import HttpDigestPolicy

require_peer("requests", "httpx")

import httpx  # noqa: E402
import requests  # noqa: E402

from saslsspi.adapters.httpx import HttpxAuth  # noqa: E402
from saslsspi.adapters.requests import HttpAuth  # noqa: E402

pytestmark = pytest.mark.interop

PEOPLE = MemoryAuthority({ALICE.name: ALICE.password})
RIGHT, WRONG = Password(ALICE.name, ALICE.password), Password(ALICE.name, "not hers")
NTLM_ONLY = NegotiatePolicy(packages="ntlm")
HERE = Policy(negotiate=NTLM_ONLY, http_digest=HttpDigestPolicy(algorithms=("SHA-256", "MD5")))
CONNECTION_BOUND = ("NTLM", "Negotiate")

Result = tuple[int, str]
Send = Callable[..., Result]


def with_requests(
    url: str, who: Password | None, *, times: int = 1, ca: str = "", body: Any = b"tea", **how: Any
) -> Result:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = ca or True
        session.auth = HttpAuth(who, **how)
        for _ in range(times):
            answer = session.post(url, data=body, timeout=20)
    return answer.status_code, answer.text


def with_httpx(
    url: str, who: Password | None, *, times: int = 1, ca: str = "", body: Any = b"tea", **how: Any
) -> Result:
    verify = ssl.create_default_context(cafile=ca or None)
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(auth=HttpxAuth(who, **how), limits=limits, verify=verify, trust_env=False) as client:
        for _ in range(times):
            answer = client.post(url, content=body, timeout=20)
    return answer.status_code, answer.text


def with_httpx_async(
    url: str, who: Password | None, *, times: int = 1, ca: str = "", body: Any = b"tea", **how: Any
) -> Result:
    async def run() -> Result:
        verify = ssl.create_default_context(cafile=ca or None)
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(
            auth=HttpxAuth(who, **how), limits=limits, verify=verify, trust_env=False
        ) as client:
            for _ in range(times):
                answer = await client.post(url, content=body, timeout=20)
        return answer.status_code, answer.text

    return asyncio.run(run())


EACH = pytest.mark.parametrize(
    "send", [with_requests, with_httpx, with_httpx_async], ids=["requests", "httpx", "async"]
)
BLOCKING = pytest.mark.parametrize("send", [with_requests, with_httpx], ids=["requests", "httpx"])


def told(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    text = f"{environ['REMOTE_USER']} {environ['AUTH_TYPE']} {body.decode()}".encode()
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


def site(schemes: Sequence[str], *, tls: ServerCertificate | None = None, **how: Any) -> WsgiServer:
    acceptor = HttpAcceptor.of(PEOPLE, schemes, realm="tea.example", policy=how.pop("policy", HERE), **how)
    if tls is None:
        return WsgiServer(WsgiAuthentication(told, acceptor))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    bindings = ChannelBindings.tls_server_end_point(ssl.PEM_cert_to_DER_cert(tls.certificate_file.read_text()))
    return WsgiServer(WsgiAuthentication(told, acceptor, bindings=bindings), tls=context)


@pytest.fixture(scope="module")
def lighttpd() -> Iterator[Lighttpd]:
    with Lighttpd() as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    return make_server_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.requirement("RFC7616-3.4-09")
@EACH
@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_lighttpd_takes_our_digest_again_and_again(lighttpd: Lighttpd, send: Send, algorithm: str) -> None:
    """The nonce count rises from request to request; lighttpd refuses one that was used."""
    assert send(f"{lighttpd.url}{algorithm}/page", RIGHT, times=3) == (200, lighttpd.text)


@EACH
def test_lighttpd_refuses_a_wrong_password(lighttpd: Lighttpd, send: Send) -> None:
    assert send(lighttpd.url + "md5/page", WRONG)[0] == 401


@EACH
@pytest.mark.parametrize("integrity", [False, True], ids=["auth", "auth-int"])
def test_digest_is_crossed_with_our_middleware(send: Send, integrity: bool) -> None:
    with site(["Digest"], integrity=integrity) as server:
        assert send(server.url, RIGHT, times=3, mutual=True) == (200, "alice Digest tea")
        assert len(server.seen) == 4  # one challenge, and then none any more


@EACH
@pytest.mark.parametrize("scheme", CONNECTION_BOUND)
def test_schemes_of_a_connection_log_on_once(send: Send, scheme: str) -> None:
    with site([scheme]) as server:
        assert send(server.url, RIGHT, times=3, policy=HERE) == (200, f"alice {scheme} tea")
        assert len(server.seen) == 5


@EACH
@pytest.mark.parametrize("scheme", ["Digest", *CONNECTION_BOUND])
def test_a_wrong_password_is_a_401(send: Send, scheme: str) -> None:
    with site([scheme]) as server:
        assert send(server.url, WRONG, policy=HERE)[0] == 401


@BLOCKING
def test_the_first_scheme_of_the_list_is_taken(send: Send) -> None:
    with site(["Digest", "NTLM", "Negotiate"]) as server:
        assert send(server.url, RIGHT, schemes=["NTLM", "Digest"], policy=HERE)[1] == "alice NTLM tea"
        assert send(server.url, RIGHT, schemes=["Digest", "NTLM"], policy=HERE)[1] == "alice Digest tea"


@EACH
@pytest.mark.parametrize("scheme", ["Digest", *CONNECTION_BOUND])
def test_bindings_of_tls_are_sent(send: Send, scheme: str, tls: ServerCertificate) -> None:
    strict = Policy(negotiate=NTLM_ONLY, http_digest=HERE.http_digest, channel_binding=ChannelBindingPolicy.REQUIRE)
    with site([scheme], tls=tls, policy=strict) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert send(url, RIGHT, ca=str(tls.ca_file), policy=HERE) == (200, f"alice {scheme} tea")


@BLOCKING
def test_credssp_hands_the_password_over_where_the_policy_says(send: Send) -> None:
    with AuthenticatingServer("CredSSP", accepting) as server:
        policy = Policy(credssp=CredSspPolicy(delegate=True, allow_fresh_ntlm_only=("HTTP/*",)), negotiate=NTLM_ONLY)
        who = Password("alice", "wonderland", realm="DOM")

        def get() -> Result:
            with requests.Session() as session:
                session.auth = HttpAuth(who, schemes=["CredSSP"], policy=policy)
                answer = session.get(server.url, timeout=20)
            return answer.status_code, answer.text

        def fetch() -> Result:
            auth = HttpxAuth(who, schemes=["CredSSP"], policy=policy)
            with httpx.Client(auth=auth, limits=httpx.Limits(max_connections=1)) as client:
                answer = client.get(server.url, timeout=20)
            return answer.status_code, answer.text

        assert (get if send is with_requests else fetch)() == (200, "alice")
        assert server.errors == []


@pytest.mark.parametrize("scheme", ["Negotiate", "Kerberos"])
def test_a_ticket_logs_on(kdc: Kdc, scheme: str) -> None:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        accept = partial(Context.accept, scheme, principal="HTTP/localhost", authority=PEOPLE)
        with AuthenticatingServer(scheme, accept) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            auth = HttpAuth(None, schemes=[scheme], mutual=True)
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(url, auth=auth, timeout=20)
    assert (answer.status_code, answer.text.partition("@")[0]) == (200, "alice")


def test_a_redirect_elsewhere_gets_no_credentials() -> None:
    with site(["Digest"]) as other:

        def away(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
            start("302 Found", [("Location", other.url), ("Content-Length", "0")])
            return [b""]

        acceptor = HttpAcceptor.of(PEOPLE, ["Digest"], realm="tea.example", policy=HERE)
        with WsgiServer(WsgiAuthentication(away, acceptor)) as server:
            with requests.Session() as session:
                session.auth = HttpAuth(RIGHT)
                assert session.get(server.url, timeout=20).status_code == 401
            with httpx.Client(auth=HttpxAuth(RIGHT), follow_redirects=True) as client:
                assert client.get(server.url, timeout=20).status_code == 401
        assert all("HTTP_AUTHORIZATION" not in environ for environ in other.seen)


def test_a_body_that_can_be_read_again_is_sent_again_and_another_is_refused() -> None:
    with site(["NTLM"]) as server:
        assert with_requests(server.url, RIGHT, body=io.BytesIO(b"tea"), policy=HERE)[1] == "alice NTLM tea"
        with pytest.raises(ContextMisuse, match="sent again"):
            with_requests(server.url, RIGHT, body=Once(b"tea"), policy=HERE)


class Once(io.RawIOBase):
    """A file that cannot go back."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def __len__(self) -> int:
        return len(self._text)

    def read(self, size: int = -1) -> bytes:
        text, self._text = self._text, b""
        return text


@BLOCKING
def test_a_server_that_proves_nothing_or_wrongly_is_an_error(send: Send, lighttpd: Lighttpd) -> None:
    with pytest.raises(MutualAuthFailed):  # lighttpd sends no Authentication-Info
        send(lighttpd.url + "md5/page", RIGHT, mutual=True)

    def lying(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if "HTTP_AUTHORIZATION" not in environ:
            start("401 Unauthorized", [("WWW-Authenticate", 'Digest realm="r", nonce="0123456789abcdef", qop="auth"'),
                                       ("Content-Length", "0")])  # fmt: skip
        else:
            cnonce = environ["HTTP_AUTHORIZATION"].partition('cnonce="')[2].partition('"')[0]
            info = f'rspauth="{"0" * 32}", qop=auth, nc=00000001, cnonce="{cnonce}"'
            start("200 OK", [("Authentication-Info", info), ("Content-Length", "0")])
        return [b""]

    with WsgiServer(lying) as server, pytest.raises((MessageAltered, MutualAuthFailed)):
        send(server.url, RIGHT)


@BLOCKING
@pytest.mark.parametrize(
    "challenge",
    ["Digest", 'Digest realm="x', "Negotiate !!!", "NTLM TlRMTVNTUAACAAAA", "=", ", ,", "Digest " + "x" * 300_000],
)
def test_a_malformed_challenge_is_an_error_of_ours_or_a_401(send: Send, challenge: str) -> None:
    def nonsense(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("401 Unauthorized", [("WWW-Authenticate", challenge), ("Content-Length", "0")])
        return [b""]

    with WsgiServer(nonsense) as server, contextlib.suppress(SaslError, requests.RequestException, httpx.HTTPError):
        assert send(server.url, RIGHT, policy=HERE)[0] == 401


def test_what_is_wrong_with_the_arguments_is_told(tmp_path: Path) -> None:
    for wrong in (["Basic"], []):
        with pytest.raises(SaslError, match="schemes are some of"):
            HttpAuth(RIGHT, schemes=wrong)


def test_the_examples_of_the_document_work(lighttpd: Lighttpd) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text.partition("\n## Servers\n")[0], re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/http.md", "exec"), names)  # our own document
    with names["session"] as session, names["client"] as client:
        assert session.get(lighttpd.url + "md5/page", timeout=20).text == lighttpd.text
        with pytest.raises(MutualAuthFailed):
            client.get(lighttpd.url + "md5/page", timeout=20)
    assert {"jump", "logon", "sealed", "open_body"} <= names.keys()
