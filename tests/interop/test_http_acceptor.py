"""curl, requests and httpx against our WSGI and ASGI middleware."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from interop.kdc import REALM as KERBEROS_REALM
from interop.kdc import Kdc
from interop.people import ALICE
from interop.require import program, require_peer
from interop.wsgi_server import WsgiServer
from packages.credssp.ours import FREELY, NTLM_ONLY
from saslsspi import MemoryAuthority, Policy
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor, HttpUser
from saslsspi.adapters.wsgi import WsgiAuthentication
from saslsspi.sspi import CredsspCred, HttpDigestPolicy, SchannelProtocol, SchCredentials

pytestmark = pytest.mark.interop

USER, PASSWORD, REALM = "alice", "wonderland", "example.test"
PEOPLE = MemoryAuthority({USER: PASSWORD, "Jäsøn Doe": "Secret, or not?", "jörg": "größe", "anna": "größe"})
ALGORITHMS = ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"]


def acceptor(*schemes: str, algorithms: tuple[str, ...] = ("SHA-256", "MD5"), **digest: Any) -> HttpAcceptor:
    policy = Policy(http_digest=HttpDigestPolicy(algorithms=algorithms, **digest))
    return HttpAcceptor.of(PEOPLE, schemes or ("Digest",), realm=REALM, policy=policy)


def application(environ: Any, start_response: Any) -> list[bytes]:
    """Say who is there, by which scheme, and how much was posted."""
    size = len(environ["wsgi.input"].read())
    body = f"{environ['AUTH_TYPE']} {environ['REMOTE_USER']} {size}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def served(*schemes: str, **more: Any) -> WsgiServer:
    return WsgiServer(WsgiAuthentication(application, acceptor(*schemes, **more)))


def curl(*arguments: str) -> str:
    """Return what curl prints: the body, a blank, the status."""
    require_peer("curl")
    command = [program("curl"), "--silent", "--noproxy", "*", "--max-time", "20", "--write-out", " %{http_code}"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30, check=False).stdout


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_curl_digest(algorithm: str) -> None:
    with served(algorithms=(algorithm,)) as server:
        url = server.url + "tea?cups=2&milk=%20no"
        assert curl("--digest", "--user", f"{USER}:{PASSWORD}", url, url) == f"Digest {USER} 0 200Digest {USER} 0 200"
        assert curl("--digest", "--user", f"{USER}:wrong", url).endswith(" 401")
    # The second URL's first request goes under the nonce of the first: three requests, and not four.
    assert len([1 for environ in server.seen if "HTTP_AUTHORIZATION" in environ]) == 3


def test_curl_digest_posts() -> None:
    with served() as server:
        said = curl("--digest", "--user", f"{USER}:{PASSWORD}", "--data", "x" * 3000, server.url)
    assert said == f"Digest {USER} 3000 200"


def test_curl_ntlm() -> None:
    with served("NTLM", "Digest") as server:
        user = ["--ntlm", "--user", f"{USER}:{PASSWORD}"]
        assert curl(*user, server.url, server.url) == f"NTLM {USER} 0 200NTLM {USER} 0 200"
        assert len(server.seen) == 3  # negotiate, authenticate, and the second URL on the same connection
        assert curl(*user, "--data", "x" * 3000, server.url) == f"NTLM {USER} 3000 200"
        assert curl("--ntlm", "--user", f"{USER}:wrong", server.url).endswith(" 401")
        assert curl(server.url).endswith(" 401")  # another connection, and nobody


def test_curl_takes_the_scheme_that_it_prefers() -> None:
    with served("Digest", "NTLM") as server:
        assert curl("--anyauth", "--user", f"{USER}:{PASSWORD}", server.url).endswith(" 200")


def test_curl_without_credentials_sees_every_scheme() -> None:
    with served("Negotiate", "NTLM", "Digest") as server:
        head = curl("--include", server.url)
    offers = [line.split()[1] for line in head.splitlines() if line.lower().startswith("www-authenticate:")]
    assert offers == ["Negotiate", "NTLM", "Digest", "Digest"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_requests_digest(algorithm: str) -> None:
    require_peer("requests")
    import requests
    from requests.auth import HTTPDigestAuth

    with served(algorithms=(algorithm,)) as server, requests.Session() as session:
        session.trust_env = False
        session.auth = HTTPDigestAuth(USER, PASSWORD)
        for _ in range(3):
            answer = session.post(server.url + "tea?cups=2", data=b"y" * 70, timeout=10)
            assert (answer.status_code, answer.text) == (200, f"Digest {USER} 70")
            assert "rspauth" in answer.headers["Authentication-Info"]
        assert session.get(server.url, auth=HTTPDigestAuth(USER, "wrong"), timeout=10).status_code == 401
    assert len(server.seen) == 6  # one challenge for three answers; and two for a wrong password


@pytest.mark.parametrize("peer", ["curl", "requests", "httpx"])
def test_names_and_passwords_beyond_ascii_log_on_as_each_client_writes_them(peer: str) -> None:
    """curl writes and hashes UTF-8; requests and httpx hash it; requests writes ISO 8859-1, httpx no such name."""
    require_peer(peer)
    with served(algorithms=("MD5",)) as server:
        if peer == "curl":
            assert curl("--digest", "--user", "jörg:größe", server.url) == "Digest jörg 0 200"
            assert curl("--digest", "--user", "jörg:grösse", server.url).endswith(" 401")
        elif peer == "requests":
            import requests
            from requests.auth import HTTPDigestAuth

            with requests.Session() as session:
                session.trust_env = False
                for password, status in (("größe", 200), ("grösse", 401)):
                    answer = session.get(server.url, auth=HTTPDigestAuth("jörg", password), timeout=10)
                    assert answer.status_code == status
        else:
            import httpx

            for password, status in (("größe", 200), ("grösse", 401)):
                answered = httpx.get(server.url, auth=httpx.DigestAuth("anna", password), trust_env=False)
                assert answered.status_code == status


async def asgi_application(scope: Any, receive: Any, send: Any) -> None:
    """Say who is there, by which scheme, and how much was posted."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = f"{scope['user'].scheme} {scope['user'].username} {size}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_httpx_digest(algorithm: str) -> None:
    require_peer("httpx")
    import httpx

    async def visit() -> list[Any]:
        middleware = AsgiAuthentication(asgi_application, acceptor(algorithms=(algorithm,)))
        transport = httpx.ASGITransport(app=middleware)
        async with httpx.AsyncClient(transport=transport, base_url="http://tea.example") as client:
            right, wrong = httpx.DigestAuth(USER, PASSWORD), httpx.DigestAuth(USER, "wrong")
            return [
                await client.post("/tea%20cup?cups=2", content=b"y" * 70, auth=right),
                await client.get("/", auth=right),
                await client.get("/", auth=wrong),
                await client.get("/"),
            ]

    first, second, wrong, nobody = asyncio.run(visit())
    assert (first.status_code, first.text) == (200, f"Digest {USER} 70")
    assert (second.status_code, second.text) == (200, f"Digest {USER} 0")
    assert "rspauth" in second.headers["Authentication-Info"]
    assert (wrong.status_code, nobody.status_code) == (401, 401)


def test_httpx_digest_over_a_connection() -> None:
    """The same against the WSGI middleware, over the wire; httpx takes up the nonce for its next request."""
    require_peer("httpx")
    import httpx

    with served() as server, httpx.Client(trust_env=False, auth=httpx.DigestAuth(USER, PASSWORD)) as client:
        for _ in range(3):
            assert client.get(server.url + "tea?cups=2").text == f"Digest {USER} 0"
    assert len(server.seen) == 4


def test_requests_credssp(tmp_path: Path) -> None:
    require_peer("requests-credssp")
    import requests
    from requests_credssp import HttpCredSSPAuth

    from interop.test_credssp_pyspnego import write_rsa_certificate

    file = tmp_path / "server.pem"
    write_rsa_certificate(file)
    # See docs/credssp.md: it wants an answer to its last TLS flight.
    schannel = SchCredentials(certificate=str(file), protocols=SchannelProtocol.SP_PROT_TLS1_2)
    policy = Policy(credssp=FREELY, negotiate=NTLM_ONLY)
    site = HttpAcceptor.of(
        PEOPLE, ["CredSSP"], realm="", policy=policy, credentials={"CredSSP": CredsspCred(schannel=schannel)}
    )
    users: list[HttpUser] = []

    def noting(environ: Any, start_response: Any) -> list[bytes]:
        users.append(environ["saslsspi.user"])
        return application(environ, start_response)

    middleware = WsgiAuthentication(noting, site)
    with WsgiServer(middleware) as server, requests.Session() as session:
        session.trust_env = False
        session.auth = HttpCredSSPAuth(f"DOM\\{USER}", PASSWORD, auth_mechanism="ntlm")
        answer = session.get(server.url, timeout=10)
        assert (answer.status_code, answer.text) == (200, f"CredSSP {USER} 0")
    assert users[-1].security.delegated is not None


def test_curl_digest_with_auth_int_works_without_a_body() -> None:
    """Under auth-int curl signs the empty body, whichever it sends."""
    site = HttpAcceptor.of(PEOPLE, realm=REALM, integrity=True)
    with WsgiServer(WsgiAuthentication(application, site)) as server:
        user = ["--digest", "--user", f"{USER}:{PASSWORD}"]
        assert curl(*user, server.url) == f"Digest {USER} 0 200"
        assert curl(*user, "--data", "milk", server.url).endswith(" 401")
    assert "qop=auth-int" in server.seen[1]["HTTP_AUTHORIZATION"]


@pytest.mark.parametrize("known", [True, False], ids=["connection", "no connection"])
def test_curl_negotiate_with_a_ticket(kdc: Kdc, known: bool) -> None:
    """Kerberos needs one token, and so no connection; curl shows a ticket with each request."""
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        connection = (lambda environ: environ["saslsspi.connection"]) if known else (lambda environ: None)
        site = HttpAcceptor.of(PEOPLE, ["Negotiate"], realm="", principal="HTTP/localhost")
        with WsgiServer(WsgiAuthentication(application, site, connection=connection)) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            said = curl("-4", "--negotiate", "--user", ":", url, url)
    assert said == f"Negotiate alice@{KERBEROS_REALM} 0 200" * 2
