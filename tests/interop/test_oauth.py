"""Tokens of OAuth beside other people's programs: our clients at Dovecot, curl and aiosmtplib at our servers."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

jwt = pytest.importorskip("jwt")

from adapters.mail_world import (  # noqa: E402
    IMAP,
    MESSAGE,
    POP3,
    PROTOCOLS,
    SMTP,
    MailProtocol,
    certificate,
    close_opened,
    leave,
    serving,
)
from interop.certificate import make_server_certificate  # noqa: E402
from interop.dovecot import Dovecot  # noqa: E402
from interop.require import program, require_peer  # noqa: E402
from saslsspi import LogonDenied, Policy, SaslError, Token, TokenRefused  # noqa: E402
from saslsspi.accounts import JwtAuthority  # noqa: E402
from saslsspi.adapters.aiosmtplib import SaslAsyncSMTP  # noqa: E402
from saslsspi.adapters.mail.asyncio_stream import LineClient  # noqa: E402
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS  # noqa: E402

pytestmark = pytest.mark.interop
KEY = b"0123456789abcdef0123456789abcdef"
BOTH = ["OAUTHBEARER", "XOAUTH2"]


def token(user: str = "alice", *, seconds: int = 600, key: bytes = KEY, **claims: Any) -> str:
    now = int(time.time())
    facts = {"sub": user, "email": user, "scope": "mail", "iat": now - 7200, "exp": now + seconds} | claims
    return str(jwt.encode(facts, key, algorithm="HS256"))


class Issuer:
    """Gives tokens, and counts them."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.tokens[min(self.asked, len(self.tokens)) - 1]


@pytest.fixture(scope="module")
def relayed() -> Iterator[tuple[Dovecot, list[bytes]]]:
    with (
        serving(SMTP, auth_required=False) as (relay, _),
        Dovecot(relay_port=relay.port, mechanisms="plain oauthbearer xoauth2", token_key=KEY) as server,
    ):
        yield server, relay.mailbox.messages


@pytest.fixture(scope="module")
def dovecot(relayed: tuple[Dovecot, list[bytes]]) -> Dovecot:
    return relayed[0]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_opened()


def port(protocol: MailProtocol, dovecot: Dovecot) -> int:
    return {IMAP: dovecot.imap_port, POP3: dovecot.pop3_port, SMTP: dovecot.submission_port}[protocol]


def trusting(dovecot: Dovecot) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(dovecot.ca_file))


def connected(protocol: MailProtocol, dovecot: Dovecot) -> Any:
    client = protocol.connect(dovecot.host, port(protocol, dovecot))
    protocol.start_tls(client, trusting(dovecot))
    return client


@pytest.mark.parametrize("mechanism", [*BOTH, None])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_our_clients_log_on_to_dovecot(protocol: MailProtocol, mechanism: str | None, dovecot: Dovecot) -> None:
    client = connected(protocol, dovecot)
    security = client.authenticate_sasl(mechanism, credentials=Token("alice", token()))
    assert security.mechanism == (mechanism or security.mechanism)
    assert security.authcid == "alice"
    leave(client)


@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_an_expired_token_is_renewed_once(protocol: MailProtocol, mechanism: str, dovecot: Dovecot) -> None:
    issuer = Issuer(token(seconds=-3600), token(), "never")
    credentials = Token("alice", issuer)
    client = connected(protocol, dovecot)
    client.authenticate_sasl(mechanism, credentials=credentials)
    leave(client)
    later = connected(protocol, dovecot)
    later.authenticate_sasl(mechanism, credentials=credentials)
    leave(later)
    assert issuer.asked == 2


@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_token_is_renewed_once_and_not_twice(protocol: MailProtocol, mechanism: str, dovecot: Dovecot) -> None:
    issuer = Issuer(token(seconds=-3600), token(seconds=-1800), token())
    client = connected(protocol, dovecot)
    with pytest.raises(LogonDenied, match=r"invalid_token|401"):
        client.authenticate_sasl(mechanism, credentials=Token("alice", issuer))
    assert issuer.asked == 2
    client.authenticate_sasl(mechanism, credentials=Token("alice", token()))  # the connection stands
    leave(client)


@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize(
    ("name", "given"),
    [("alice", token(key=b"another key, of as many octets..")), ("bob", token()), ("alice", "rubbish")],
    ids=["another key", "another user", "rubbish"],
)
def test_dovecot_refuses_and_says_why(mechanism: str, name: str, given: str, dovecot: Dovecot) -> None:
    client = connected(IMAP, dovecot)
    with pytest.raises(LogonDenied) as caught:
        client.authenticate_sasl(mechanism, credentials=Token(name, given))
    assert given not in str(caught.value)
    leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_no_token_goes_in_clear(protocol: MailProtocol, dovecot: Dovecot) -> None:
    issuer = Issuer(token())
    client = protocol.connect(dovecot.host, port(protocol, dovecot))
    with pytest.raises(SaslError, match="token in clear"):
        client.authenticate_sasl(BOTH, credentials=Token("alice", issuer), force=True)
    assert issuer.asked == 0


@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_asyncio_clients_log_on_and_renew(protocol: MailProtocol, mechanism: str, dovecot: Dovecot) -> None:
    issuer = Issuer(token(seconds=-3600), token(), "never")

    async def run() -> None:
        words = LINE_PROTOCOLS[protocol.name]
        client = await LineClient.connect(words, dovecot.host, port(protocol, dovecot), starttls=trusting(dovecot))
        async with client:
            security = await client.authenticate_sasl(mechanism, credentials=Token("alice", issuer))
            assert security.mechanism == mechanism

    asyncio.run(run())
    assert issuer.asked == 2


@pytest.mark.parametrize("mechanism", BOTH)
def test_aiosmtplib_submits_to_dovecot(mechanism: str, relayed: tuple[Dovecot, list[bytes]]) -> None:
    dovecot, messages = relayed
    issuer = Issuer(token(seconds=-3600), token(), "never")

    async def run() -> None:
        client = SaslAsyncSMTP(
            hostname=dovecot.host, port=dovecot.submission_port, start_tls=True, tls_context=trusting(dovecot)
        )
        await client.connect()
        await client.authenticate_sasl(mechanism, credentials=Token("alice", issuer))
        await client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
        await client.quit()

    before = len(messages)
    asyncio.run(run())
    assert (len(messages), issuer.asked) == (before + 1, 2)


# Our servers


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_curl_sends_a_token(protocol: MailProtocol, right: bool, tmp_path: Any) -> None:
    require_peer("curl")
    tls = make_server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    authority = JwtAuthority(KEY, algorithms=["HS256"], username="email", scope="mail")
    (tmp_path / "mail").write_bytes(b"Subject: x\r\n\r\nx\r\n")
    with serving(protocol, certificate=context, authority=authority) as (server, reports):
        command = [
            program("curl"), "--silent", "--ssl-reqd", "--cacert", str(tls.ca_file), "--max-time", "30",
            f"{protocol.name}://localhost:{server.port}/{'INBOX' if protocol is IMAP else ''}", "--user", "alice",
            "--oauth2-bearer", token() if right else token(seconds=-3600),
            *(["--mail-from", "a@x.test", "--mail-rcpt", "b@x.test", "--upload-file", str(tmp_path / "mail")]
              if protocol is SMTP else []),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert (done.returncode == 0) is right, done.stderr
        assert [one.security.authcid for one in reports] == (["alice"] if right else [])
        assert all(one.security.mechanism in BOTH for one in reports)


def test_refusals_of_ours_are_read_by_our_clients() -> None:
    tls = certificate()
    authority = JwtAuthority(KEY, algorithms=["HS256"], scope="mail", openid_configuration="https://login.example/")
    with serving(IMAP, certificate=tls.server, bindings=tls.bindings, authority=authority) as (server, _):
        client = IMAP.connect("localhost", server.port)
        IMAP.start_tls(client, tls.client)
        with pytest.raises(LogonDenied, match="needs the scope 'mail'") as caught:
            client.authenticate_sasl(credentials=Token("alice", token(scope="calendar")), policy=Policy())
        assert isinstance(caught.value.__cause__, TokenRefused)
        assert caught.value.__cause__.openid_configuration == "https://login.example/"
        client.authenticate_sasl(credentials=Token("alice", token()))
        leave(client)
