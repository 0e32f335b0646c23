"""What docs/oauth.md shows does what it says."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters.mail_world import IMAP, certificate, serving
from saslsspi import LogonDenied, TemporarilyUnavailable
from saslsspi.accounts import MemoryTokens

jwt = pytest.importorskip("jwt")
pytest.importorskip("httpx")

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.findall((Path(__file__).parents[2] / "docs" / "oauth.md").read_text(encoding="utf-8")):
        exec(compile(block, "oauth.md", "exec"), names)  # our own document
    return names


class Issuer(BaseHTTPRequestHandler):
    """Answers as RFC 7662 section 2.2 has it."""

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = asked["token"] == ["T0ken"] and self.headers["Authorization"].startswith("Basic ")
        told = {"active": right} | ({"scope": "openid imap", "username": "alice"} if right else {})
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/introspect"
        server.shutdown()
        thread.join()


def signed(seconds: int) -> str:
    claims = {"email": "alice", "aud": "mail", "iss": "https://login.example", "scope": "imap"}
    return str(jwt.encode(claims | {"exp": int(time.time()) + seconds}, KEY, algorithm="HS256"))


@pytest.mark.parametrize("kind", ["memory", "jwt", "introspection"])
def test_the_client_of_the_page_at_the_servers_of_the_page(kind: str, names: dict[str, Any], issuer: str) -> None:
    authority, right, wrong = {
        "memory": (MemoryTokens({"T0ken": "alice"}), "T0ken", "old"),
        "jwt": (names["verifying"](KEY), signed(600), signed(-600)),
        "introspection": (names["Introspection"](issuer, "us", "secret"), "T0ken", "old"),
    }[kind]
    tls = certificate()
    with serving(IMAP, certificate=tls.server, bindings=tls.bindings, authority=authority) as (server, reports):
        given = [wrong, right]
        assert names["inbox"]("localhost", server.port, "alice", lambda: given.pop(0), tls.client) >= 0
        with pytest.raises(LogonDenied):
            names["inbox"]("localhost", server.port, "alice", wrong, tls.client)
        assert [one.security.authcid for one in reports] == ["alice"]


def test_an_issuer_that_is_away_refuses_nobody_for_good(names: dict[str, Any]) -> None:
    tls = certificate()
    authority = names["Introspection"]("http://127.0.0.1:9/", "us", "secret")
    with serving(IMAP, certificate=tls.server, bindings=tls.bindings, authority=authority) as (server, _):
        client = IMAP.connect("localhost", server.port)
        IMAP.start_tls(client, tls.client)
        with pytest.raises(TemporarilyUnavailable):
            client.authenticate_sasl(credentials=names["saslsspi"].Token("alice", "T0ken"))
