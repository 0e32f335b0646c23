"""Tokens in mail: aiosmtpd with a JWT authority, servers that ask somebody."""

from __future__ import annotations

import asyncio
import smtplib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from adapters.mail_world import PROTOCOLS, MailProtocol, certificate, leave, serving
from interop.daemon import free_port
from saslsspi import LogonDenied, Policy, Token
from saslsspi.accounts import JwtAuthority, TokenAuthority
from saslsspi.adapters.aiosmtpd import SaslSmtpProtocol
from saslsspi.adapters.aiosmtplib import SaslAsyncSMTP
from saslsspi.adapters.mail.asyncio_stream import LineClient
from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.adapters.mail.server import SaslService
from saslsspi.adapters.smtp import SaslSMTP

jwt = pytest.importorskip("jwt")

KEY = b"0123456789abcdef0123456789abcdef"
BOTH = ["OAUTHBEARER", "XOAUTH2"]
CLEAR = Policy(allow_plaintext=True)


def token(seconds: int = 600) -> str:
    return str(jwt.encode({"sub": "alice", "exp": int(time.time()) + seconds}, KEY, algorithm="HS256"))


class Given:
    """Gives tokens, and counts."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.tokens[self.asked - 1]


@pytest.fixture(scope="module")
def aiosmtpd_port() -> Iterator[int]:
    service = SaslService(
        service="smtp",
        host=["localhost", "127.0.0.1"],
        authority=JwtAuthority(KEY, algorithms=["HS256"], scope=""),
        policy=CLEAR,
    )

    class Serving(Controller):
        def factory(self) -> Any:
            return SaslSmtpProtocol(Sink(), sasl=service, auth_required=True, hostname="localhost")

    controller = Serving(None, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller.port
    controller.stop()


@pytest.mark.parametrize("mechanism", BOTH)
def test_aiosmtpd_takes_jwts(mechanism: str, aiosmtpd_port: int) -> None:
    given = Given(token(-600), token())
    with SaslSMTP("127.0.0.1", aiosmtpd_port, timeout=30) as client:
        client.ehlo()
        assert mechanism in client.esmtp_features["auth"]
        security = client.authenticate_sasl(mechanism, credentials=Token("alice", given), policy=CLEAR)
        assert security.authcid == "alice"
        assert client.sendmail("a@example.test", ["b@example.test"], "Subject: x\r\n\r\nx") == {}
    assert given.asked == 2
    with SaslSMTP("127.0.0.1", aiosmtpd_port, timeout=30) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.authenticate_sasl(mechanism, credentials=Token("alice", token(-600)), policy=CLEAR)


class Asking(TokenAuthority):
    scope = "mail"

    async def validate(self, token: str) -> str | None:
        await asyncio.sleep(0)
        return "alice" if token == "T0ken" else None


@pytest.mark.parametrize("client", ["LineClient", "aiosmtplib"])
def test_a_function_that_gives_tokens_holds_no_loop_up(client: str, aiosmtpd_port: int) -> None:
    tokens, threads = [token(-600), token()], []

    def give() -> str:
        threads.append(threading.current_thread())
        return tokens.pop(0)

    async def run() -> None:
        options: Any = {"credentials": Token("alice", give), "policy": CLEAR}
        if client == "aiosmtplib":
            smtp = SaslAsyncSMTP(hostname="127.0.0.1", port=aiosmtpd_port, start_tls=False)
            await smtp.connect()
            await smtp.authenticate_sasl("XOAUTH2", **options)
            await smtp.quit()
        else:
            async with await LineClient.connect(SMTP, "127.0.0.1", aiosmtpd_port) as lines:
                await lines.authenticate_sasl("XOAUTH2", **options)

    asyncio.run(run())
    assert len(threads) == 2
    assert threading.current_thread() not in threads


@pytest.mark.requirement("RFC7628-3-02", "RFC7628-3.2.3-01")
@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_server_asks_with_an_async_function(protocol: MailProtocol, mechanism: str) -> None:
    tls = certificate()
    with serving(protocol, certificate=tls.server, bindings=tls.bindings, authority=Asking()) as (server, reports):
        client = protocol.connect("localhost", server.port)
        protocol.start_tls(client, tls.client)
        with pytest.raises(LogonDenied, match="needs the scope 'mail'"):
            client.authenticate_sasl(mechanism, credentials=Token("alice", "wrong"))
        client.authenticate_sasl(mechanism, credentials=Token("alice", "T0ken"))
        leave(client)
        assert [one.security.authcid for one in reports] == ["alice"]
