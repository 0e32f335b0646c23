"""ManageSieve (RFC 5804): our client and the embedded server, blocking and asyncio, with every layer."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import saslsspi
from adapters.mail_world import ALICE, PEOPLE, REALM, TIMEOUT, Wire, certificate
from saslsspi import DowngradeDetected, MutualAuthFailed, PackageNotFound, Policy, SaslError
from saslsspi.__main__ import main
from saslsspi.adapters.sieve import SIEVE, LineClient, SaslSieve, SieveLogonDenied, SieveRefused, SieveScript
from saslsspi.errors import InvalidToken, PeerUnsupported
from saslsspi.testbed import loopback
from saslsspi.testbed.mail.channel import LineChannel
from saslsspi.testbed.mail.server import Authenticated, MailSession
from saslsspi.testbed.mail.sieve import SieveServer

SCRIPT = b'require "fileinto";\r\nif header :is "Subject" "\\"jks\\"" { fileinto "x"; }\r\n# {7+}\r\n'
SECURED = ["DIGEST-MD5", "SCRAM-SHA-256", "NTLM", "CREDSSP"]


@contextmanager
def serving(**options: Any) -> Iterator[tuple[SieveServer, list[Authenticated]]]:
    reports: list[Authenticated] = []
    options.setdefault("authority", saslsspi.MemoryAuthority(PEOPLE))
    with loopback.running(SieveServer(realm=REALM, on_security=reports.append, **options)) as server:
        yield server, reports


def connect(server: SieveServer) -> SaslSieve:
    return SaslSieve("localhost", server.port, timeout=TIMEOUT)


@pytest.mark.parametrize("mechanism", SECURED)
def test_every_mechanism_logs_on_and_scripts_come_back_whole(mechanism: str) -> None:
    with serving() as (server, reports), connect(server) as client:
        security = client.authenticate_sasl(mechanism, credentials=ALICE)
        client.putscript("main", SCRIPT)
        client.putscript('quoted "name"\\', b"keep;")
        client.setactive("main")
        assert client.listscripts() == [SieveScript("main", True), SieveScript('quoted "name"\\', False)]
        assert client.getscript("main") == SCRIPT
        client.checkscript(SCRIPT)
        client.deletescript('quoted "name"\\')
        with pytest.raises(SieveRefused, match="in use"):
            client.deletescript("main")
        assert client.noop() == "nothing"
        assert reports[0].security.authcid == security.authcid == "alice"


@pytest.mark.parametrize(
    ("policy", "qop"),
    [(Policy(max_ssf=0), "auth"), (Policy(max_ssf=1), "auth-int"), (Policy(min_ssf=128), "auth-conf")],
)
def test_every_layer_of_digest_md5_carries_the_protocol(policy: Policy, qop: str) -> None:
    with serving() as (server, _), connect(server) as client:
        assert client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=policy).qop == qop
        client.putscript("large", b"# " + b"x" * 200_000)
        assert len(client.getscript("large")) == 200_002
        assert client.capabilities.mechanisms


def test_the_proof_comes_with_success() -> None:
    """RFC 5804 section 2.1: the last data go with the OK, and the client is done only with them."""
    client = saslsspi.Client("SCRAM-SHA-256", service="sieve", host="localhost", credentials=ALICE)
    with serving() as (server, _), Wire(server.port) as wire:
        wire.until(b"OK")
        challenge = wire.ask(b'AUTHENTICATE "SCRAM-SHA-256" "' + b64encode(client.start() or b"") + b'"')
        last = wire.ask(b'"' + b64encode(client.step(b64decode(challenge.strip(b'"'))) or b"") + b'"')
        assert last.startswith(b'OK (SASL "')
        client.succeed(b64decode(last.split(b'"')[1]))
        assert client.done


def test_success_without_the_proof_is_no_success() -> None:
    with speaking(b'"SASL" "SCRAM-SHA-256"\r\nOK\r\n', b"OK\r\n") as port:
        client = SaslSieve("localhost", port, timeout=TIMEOUT)
        with pytest.raises(MutualAuthFailed):
            client.authenticate_sasl("SCRAM-SHA-256", credentials=ALICE)


def test_a_wrong_password_can_be_followed_by_the_right_one() -> None:
    with serving() as (server, _), connect(server) as client:
        with pytest.raises(SieveLogonDenied):
            client.authenticate_sasl("DIGEST-MD5", credentials=("alice", "not hers"))
        assert client.authenticate_sasl("DIGEST-MD5", credentials=("alice", "wonderland")).authcid == "alice"
        with pytest.raises(SaslError, match="authenticated already"):
            client.authenticate_sasl("DIGEST-MD5", credentials=ALICE)


def test_nothing_is_done_before_a_logon() -> None:
    with serving() as (server, _), connect(server) as client, pytest.raises(SieveRefused, match="not before"):
        client.listscripts()


@pytest.mark.requirement("RFC5804-2.2-04")
def test_tls_brings_the_capabilities_anew_and_plain_with_them() -> None:
    made = certificate()
    with serving(certificate=made.server, bindings=made.bindings) as (server, _), connect(server) as client:
        assert client.capabilities.starttls
        assert client.capabilities.mechanisms is not None
        assert "PLAIN" not in client.capabilities.mechanisms
        with pytest.raises(PackageNotFound, match="in clear"):
            client.authenticate_sasl("PLAIN", credentials=ALICE)
        client.starttls(made.client)
        assert not client.capabilities.starttls
        assert client.capabilities.mechanisms is not None
        assert "PLAIN" in client.capabilities.mechanisms
        assert client.authenticate_sasl("SCRAM-SHA-256-PLUS", credentials=ALICE).channel_binding
        with pytest.raises(SaslError, match="before authentication"):
            client.starttls(made.client)


def test_a_server_without_tls_is_said_to_have_none() -> None:
    with serving() as (server, _), connect(server) as client, pytest.raises(PeerUnsupported):
        client.starttls(ssl.create_default_context())


def test_clear_text_behind_the_reply_to_starttls_is_not_read_under_tls() -> None:
    with speaking(b'"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK\r\n', b'OK\r\n"SASL" "PLAIN"\r\nOK\r\n') as port:
        client = SaslSieve("localhost", port, timeout=TIMEOUT)
        with pytest.raises(InvalidToken, match="clear"):
            client.starttls(certificate().client)


@pytest.mark.requirement("RFC5804-2.1-14")
def test_a_better_mechanism_that_was_hidden_shows_under_the_layer() -> None:
    class Hiding(SieveServer):
        def session(self, channel: LineChannel) -> MailSession:
            session = super().session(channel)
            kind = type(session)

            class Shortened(kind):  # type: ignore[valid-type, misc]  # whatever the server's sessions are
                @property
                def mechanisms(self) -> tuple[str, ...]:
                    return kind.mechanisms.fget(self) if self.channel.layered else ("DIGEST-MD5",)

            session.__class__ = Shortened
            return session

    options: Any = {"authority": saslsspi.MemoryAuthority(PEOPLE), "realm": REALM}
    with loopback.running(Hiding(**options)) as server:
        client = connect(server)
        with pytest.raises(DowngradeDetected, match="hidden"):
            client.authenticate_sasl(credentials=ALICE)
        assert client.sock.fileno() == -1


def test_asyncio_speaks_it_too() -> None:
    made = certificate()

    async def run(port: int) -> tuple[str, str]:
        async with await LineClient.connect(SIEVE, "localhost", port, starttls=made.client) as client:
            security = await client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=Policy(min_ssf=1))
            reply = await client.command(b'HAVESPACE "main" 10')
            return security.qop, reply.word

    with serving(certificate=made.server, bindings=made.bindings) as (server, _):
        assert asyncio.run(run(server.port)) == ("auth-conf", "OK")


def test_auth_and_serve_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as (server, _):
        words = ["auth", f"sieve://localhost:{server.port}", "--user", "alice", "--password", "wonderland"]
        assert main([*words, "--mechanism", "DIGEST-MD5"]) == 0
    printed = capsys.readouterr().out
    assert "LISTSCRIPTS" in printed
    assert "0 scripts" in printed


@contextmanager
def speaking(*answers: bytes) -> Iterator[int]:
    """A server that greets with the first answer, and sends one more for each line or two that it hears."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        try:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(TIMEOUT)
                for answer in answers:
                    sock.sendall(answer)
                    if not sock.recv(65536):
                        return
        except OSError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(TIMEOUT)


PIECES = [
    b'"SASL" "DIGEST-MD5"', b"OK", b"NO", b"BYE", b"{3}", b"{3+}", b"\r\n", b'"', b"(", b")", b"\xff", b"\0",
    b'OK (SASL "', b"{99999999999}", b'"STARTTLS"', b"a" * 2000,
]  # fmt: skip
RUBBISH = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


@given(RUBBISH, RUBBISH)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rubbish_of_a_server_is_an_error_of_ours(greeting: bytes, answer: bytes) -> None:
    with speaking(greeting + b"\r\n", answer + b"\r\n") as port:
        try:
            client = SaslSieve("127.0.0.1", port, timeout=0.2)
            try:
                client.authenticate_sasl("DIGEST-MD5", credentials=ALICE)
            finally:
                client.close()
        except (SaslError, TimeoutError):
            return
