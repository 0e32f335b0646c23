"""The mail doors in front of servers of ours: the standard library's own logins come in, better ones go out."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.mail_world import (
    IMAP,
    MESSAGE,
    POP3,
    PROTOCOLS,
    SMTP,
    MailProtocol,
    Wire,
    leave,
    move_message,
    opened,
    serving,
)
from gateway.test_ldap import listener_of, wait_until
from gateway.world import audited, gateway, limited, open_files
from interop.certificate import make_server_certificate
from saslsspi import MemoryAuthority, Policy
from saslsspi.accounts import Chain, MemoryTokens
from saslsspi.gateway.mail.imap import login_arguments
from saslsspi.gateway.settings import Tls

CLEAR = Policy()  # the servers are on loopback, and what goes out shows no password
ERRORS = (imaplib.IMAP4.error, smtplib.SMTPException, poplib.error_proto)
MECHANISMS = ("SCRAM-SHA-256", "DIGEST-MD5", "NTLM")


def old_client(protocol: MailProtocol, port: int) -> Any:
    """The standard library's own client."""
    if protocol is SMTP:
        return opened(smtplib.SMTP("localhost", port, timeout=20))
    if protocol is IMAP:
        return opened(imaplib.IMAP4("localhost", port, timeout=20))
    return opened(poplib.POP3("localhost", port, timeout=20))


def log_in(client: Any, user: str, password: str) -> None:
    """Log on as programs have always done."""
    if isinstance(client, poplib.POP3):
        client.user(user)
        client.pass_(password)
    else:
        client.login(user, password)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = open_files()
    yield
    wait_until(lambda: open_files() <= before)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_an_old_login_goes_out_as_a_better_one(protocol: MailProtocol, mechanism: str) -> None:
    with (
        serving(protocol, mechanisms=[mechanism]) as (server, reports),
        gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR) as started,
        audited() as records,
    ):
        client = old_client(protocol, started.port)
        log_in(client, "alice", "wonderland")
        move_message(client, server, MESSAGE)
        leave(client)
        assert [(one.security.mechanism, one.security.authcid) for one in reports] == [(mechanism, "alice")]
        wait_until(lambda: started.gateway.clients == 0)
    (ours,) = [one for one in records if one.negotiated == mechanism]
    assert (ours.accepted, ours.username) == (True, "alice")
    assert ours.peer.startswith(("127.0.0.1:", "[::1]:"))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_sealed_layer_goes_out(protocol: MailProtocol) -> None:
    with (
        serving(protocol, mechanisms=["DIGEST-MD5"], policy=Policy(min_ssf=56)) as (server, reports),
        gateway(protocol.name, f"localhost:{server.port}") as started,
    ):
        client = old_client(protocol, started.port)
        log_in(client, "alice", "wonderland")
        move_message(client, server, MESSAGE)
        leave(client)
        assert reports[0].security.ssf >= 56


@pytest.mark.parametrize("begins", [Tls.IMMEDIATE, Tls.STARTTLS])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_tls_on_both_sides(protocol: MailProtocol, begins: Tls, tmp_path: Path) -> None:
    told, context = listener_of(tmp_path, tls=begins)
    (tmp_path / "there").mkdir()
    there = make_server_certificate(tmp_path / "there")
    serving_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving_context.load_cert_chain(there.certificate_file, there.key_file)
    with serving(protocol, certificate=serving_context) as (server, reports):
        port = server.tls_port if begins is Tls.IMMEDIATE else server.port
        behind = {"tls": begins, "ca": str(there.ca_file)}
        with gateway(protocol.name, f"localhost:{port}", listener=told, **behind) as started:
            connect: Callable[..., Any] = {
                SMTP: smtplib.SMTP_SSL, IMAP: imaplib.IMAP4_SSL, POP3: poplib.POP3_SSL,
            }[protocol]  # fmt: skip
            if begins is Tls.IMMEDIATE:
                name = "ssl_context" if protocol is IMAP else "context"
                client = opened(connect("localhost", started.port, timeout=20, **{name: context}))
            else:
                client = old_client(protocol, started.port)
                protocol.start_tls(client, context)
            log_in(client, "alice", "wonderland")
            move_message(client, server, MESSAGE)
            leave(client)
        assert reports[0].security.authcid == "alice"
        assert reports[0].ssf >= 128


@pytest.mark.parametrize("password", ["looking-glass", "ü", ""])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_wrong_password_is_refused_and_a_right_one_may_follow(protocol: MailProtocol, password: str) -> None:
    with (
        serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _),
        gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR) as started,
        audited() as records,
    ):
        client = old_client(protocol, started.port)
        # IMAP's and POP3's own classes send ASCII, and say so themselves.
        with pytest.raises((*ERRORS, UnicodeEncodeError)) as caught:
            log_in(client, "alice", password)
        if not isinstance(caught.value, UnicodeEncodeError):
            assert any(word in repr(caught.value) for word in ("AUTHENTICATIONFAILED", "535", "[AUTH]", "BAD", "501"))
        log_in(client, "alice", "wonderland")
        move_message(client, server, MESSAGE)
        leave(client)
    assert [one for one in records if one.accepted and one.negotiated]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_token_goes_out_for_whose_password_is_right(protocol: MailProtocol, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts"
    accounts.write_text('[accounts]\nalice = "local secret"\nbob = "another"\n')
    accounts.chmod(0o600)
    script = tmp_path / "tokens.py"
    # The first token of everybody has expired.
    script.write_text(
        "import pathlib, sys\nplace = pathlib.Path(sys.argv[0]).with_name('asked-' + sys.argv[1])\n"
        "count = len(place.read_text()) if place.exists() else 0\nplace.write_text('x' * (count + 1))\n"
        "print(f'{sys.argv[1]}-{count}')\n"
    )
    authority = Chain(MemoryTokens({"alice-1": "alice", "bob-1": "bob"}), MemoryAuthority({}))
    made = make_server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate_file, made.key_file)
    with (
        serving(protocol, certificate=context, authority=authority, mechanisms=["OAUTHBEARER", "XOAUTH2"]) as served,
        gateway(
            protocol.name, f"localhost:{served[0].port}", tls=Tls.STARTTLS, ca=str(made.ca_file),
            accounts=(f"toml:{accounts}",), token_command=f"{sys.executable} {script} {{user}}",
        ) as started,
        audited() as records,
    ):  # fmt: skip
        for user, password in (("alice", "local secret"), ("bob", "another"), ("alice", "local secret")):
            client = old_client(protocol, started.port)
            log_in(client, user, password)
            leave(client)
        for user in ("alice", "eve"):
            client = old_client(protocol, started.port)
            with pytest.raises(ERRORS):
                log_in(client, user, "another")
            leave(client)
        assert [one.security.authcid for one in served[1]] == ["alice", "bob", "alice"]
        # Asked once, and once more where it had expired; not for each logon, and never for who is not let in.
        assert {path.name: len(path.read_text()) for path in tmp_path.glob("asked-*")} == {
            "asked-alice": 2,
            "asked-bob": 2,
        }
    ours = [one for one in records if one.negotiated or "PLAIN" in one.how or one.how in ("LOGIN", "USER and PASS")]
    # smtplib tries the same password by each mechanism.
    assert [one.accepted for one in ours] == [True] * 3 + [False] * (4 if protocol is SMTP else 2)


def plain(*fields: str) -> bytes:
    return base64.b64encode("\0".join(fields).encode())


@pytest.fixture(params=PROTOCOLS, ids=str)
def wire(request: pytest.FixtureRequest) -> Iterator[tuple[MailProtocol, Wire]]:
    protocol = request.param
    with (
        serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _),
        gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR) as started,
        Wire(started.port) as raw,
    ):
        raw.line()
        yield protocol, raw


AUTH = {"imap": b"a AUTHENTICATE ", "smtp": b"AUTH ", "pop3": b"AUTH "}
GOOD = {"imap": b"a OK", "smtp": b"235", "pop3": b"+OK"}
MORE = {"imap": b"+ ", "smtp": b"334 ", "pop3": b"+ "}
BAD = (b"a NO", b"a BAD", b"5", b"-ERR")


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("mechanism", ["PLAIN", "plain", "LOGIN"])
def test_plain_and_login_come_in(wire: tuple[MailProtocol, Wire], mechanism: str, initial: bool) -> None:
    protocol, raw = wire
    words = (
        [plain("", "alice", "wonderland")] if mechanism.upper() == "PLAIN" else [plain("alice"), plain("wonderland")]
    )
    command = AUTH[protocol.name] + mechanism.encode()
    answer = raw.ask(command + b" " + words.pop(0) if initial else command)
    while words:
        assert answer.startswith(MORE[protocol.name])
        answer = raw.ask(words.pop(0))
    assert answer.startswith(GOOD[protocol.name])


@pytest.mark.parametrize(
    "argument",
    [
        b"SCRAM-SHA-256", b"EXTERNAL =", b"", b"PLAIN %%%", b"PLAIN " + plain("", "alice", "wrong"),
        b"PLAIN " + plain("bob", "alice", "wonderland"), b"PLAIN " + plain("alice", "wonderland"),
        b"PLAIN " + plain("", "alice", ""), b"PLAIN " + plain("", "", "wonderland"), b"PLAIN =",
        b"PLAIN " + base64.b64encode(b"\0alice\0\xff\xfe"), b"NONSENSE \xff\xfe",
    ],
)  # fmt: skip
def test_what_is_refused_leaves_a_record(wire: tuple[MailProtocol, Wire], argument: bytes) -> None:
    protocol, raw = wire
    if not argument and protocol is POP3:
        argument = b"X"  # AUTH alone lists the mechanisms there
    with audited() as records:
        assert raw.ask(AUTH[protocol.name] + argument).startswith(BAD)
        ours = [one for one in records if one.how in ("PLAIN", "LOGIN", "an unknown mechanism")]
        assert [one.accepted for one in ours] == [False]
        assert "wonderland" not in ours[0].text()
    assert raw.ask(AUTH[protocol.name] + b"PLAIN " + plain("", "alice", "wonderland")).startswith(GOOD[protocol.name])


def test_a_logon_that_is_given_up(wire: tuple[MailProtocol, Wire]) -> None:
    protocol, raw = wire
    for mechanism in (b"PLAIN", b"LOGIN"):
        assert raw.ask(AUTH[protocol.name] + mechanism).startswith(MORE[protocol.name])
        assert raw.ask(b"*").startswith(BAD)


def test_what_is_not_a_logon_waits_for_one(wire: tuple[MailProtocol, Wire]) -> None:
    protocol, raw = wire
    for word in {"imap": [b"a SELECT INBOX", b"a X"], "smtp": [b"MAIL FROM:<a@b>", b"X"], "pop3": [b"STAT", b"PASS x"]}[
        protocol.name
    ]:
        assert raw.ask(word).startswith(BAD)


def test_whoever_goes_on_failing_is_let_go(wire: tuple[MailProtocol, Wire]) -> None:
    protocol, raw = wire
    for _ in range(3):
        assert raw.ask(AUTH[protocol.name] + b"PLAIN " + plain("", "alice", "wrong")).startswith(BAD)
    assert b"too many refusals" in raw.rest()


def test_whoever_says_nothing_of_use_is_let_go(wire: tuple[MailProtocol, Wire]) -> None:
    protocol, raw = wire
    raw.send(*[b"a NOOP" if protocol is IMAP else b"NOOP"] * 120)
    assert b"too many commands" in raw.rest()


@pytest.mark.parametrize("octets", [b"\0" * 300_000, b"a" * 300_000, b"\xff\n" * 300, b"\r\n\r\n", b"\x16\x03\x01\x00"])
def test_rubbish_ends_the_connection(wire: tuple[MailProtocol, Wire], octets: bytes) -> None:
    _, raw = wire
    try:
        raw.sock.sendall(octets)
        raw.sock.shutdown(1)
        raw.rest()
    except OSError:
        pass


def test_literals_of_imap(wire: tuple[MailProtocol, Wire]) -> None:
    protocol, raw = wire
    if protocol is not IMAP:
        return
    assert raw.ask(b"a LOGIN {5}").startswith(b"+")
    assert raw.ask(b'alice {10+}\r\nwonder\\"nd').startswith(b"a NO")
    assert raw.ask(b"a LOGIN {5}").startswith(b"+")
    assert raw.ask(b'alice "wonderland"').startswith(b"a OK")
    assert raw.ask(b"b NOOP").startswith(b"b OK")


def test_literals_without_end(wire: tuple[MailProtocol, Wire]) -> None:
    protocol, raw = wire
    if protocol is IMAP:
        raw.send(b"a LOGIN {9999999999}")
        assert b"BYE" in raw.rest()


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (b'alice "won\\"der\\\\"', (b"alice", b'won"der\\')),
        (b'EXAMPLE\\alice ""', (b"EXAMPLE\\alice", b"")),
        (b"{3}\r\na b {0}\r\n", (b"a b", b"")),
    ],
)
def test_arguments_of_login(text: bytes, pair: tuple[bytes, bytes]) -> None:
    assert login_arguments(text) == pair


def test_passwords_beyond_loopback_wait_for_tls(tmp_path: Path) -> None:
    told, context = listener_of(tmp_path, tls=Tls.STARTTLS, address="0.0.0.0")
    for protocol in PROTOCOLS:
        with (
            serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _),
            gateway(protocol.name, f"localhost:{server.port}", listener=told, policy=CLEAR) as started,
            audited() as records,
        ):
            client = old_client(protocol, started.port)
            with pytest.raises(ERRORS):
                log_in(client, "alice", "wonderland")
            assert not [one for one in records if one.accepted]
            protocol.start_tls(client, context)
            log_in(client, "alice", "wonderland")
            leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_no_server_no_session(protocol: MailProtocol) -> None:
    with gateway(protocol.name, "localhost:1", policy=CLEAR) as started, Wire(started.port) as raw:
        assert raw.line().startswith((b"* BYE", b"421", b"-ERR [SYS/TEMP]"))
        assert raw.line() == b""


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_either_side_may_leave_and_silence_ends(protocol: MailProtocol) -> None:
    with serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _):
        limits = limited(idle_seconds=0.5)
        with gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR, limits=limits) as started:
            client = old_client(protocol, started.port)
            log_in(client, "alice", "wonderland")
            wait_until(lambda: started.gateway.clients == 0)
        with gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR) as started:
            client = old_client(protocol, started.port)
            log_in(client, "alice", "wonderland")
            (client.sock if protocol is not IMAP else client.socket()).shutdown(2)
            wait_until(lambda: started.gateway.clients == 0)
        with gateway(
            protocol.name, f"localhost:{server.port}", policy=CLEAR, limits=limited(logon_seconds=0.5)
        ) as gate:
            client = old_client(protocol, gate.port)
            wait_until(lambda: gate.gateway.clients == 0)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_command_in_front_of_tls_is_not_taken(protocol: MailProtocol, tmp_path: Path) -> None:
    told, _ = listener_of(tmp_path, tls=Tls.STARTTLS)
    words = {"imap": (b"a STARTTLS", b"b LOGOUT"), "smtp": (b"STARTTLS", b"QUIT"), "pop3": (b"STLS", b"QUIT")}
    with (
        serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _),
        gateway(protocol.name, f"localhost:{server.port}", listener=told, policy=CLEAR) as started,
        Wire(started.port) as raw,
    ):
        raw.line()
        raw.send(*words[protocol.name])
        assert raw.line().startswith((b"a OK", b"220", b"+OK"))
        assert b"not understood" in raw.rest()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_what_comes_behind_a_logon_before_its_answer_is_carried(protocol: MailProtocol) -> None:
    commands = {"imap": b"b NOOP", "smtp": b"NOOP", "pop3": b"NOOP"}
    with (
        serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _),
        gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR) as started,
        Wire(started.port) as raw,
    ):
        raw.line()
        raw.send(AUTH[protocol.name] + b"PLAIN " + plain("", "alice", "wonderland"), commands[protocol.name])
        assert raw.line().startswith(GOOD[protocol.name])
        assert raw.line().startswith((b"b OK", b"250", b"+OK"))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_client_that_leaves_during_its_logon_leaves_a_record(protocol: MailProtocol) -> None:
    with (
        serving(protocol, mechanisms=["SCRAM-SHA-256"]) as (server, _),
        gateway(protocol.name, f"localhost:{server.port}", policy=CLEAR) as started,
        audited() as records,
    ):
        for _ in range(20):
            with Wire(started.port) as raw:
                raw.line()
                raw.send(AUTH[protocol.name] + b"PLAIN " + plain("", "alice", "wonderland"))
        wait_until(lambda: started.gateway.clients == 0)
    ours = [one for one in records if one.how == "PLAIN"]
    assert len(ours) == 20
    assert all(one.accepted or "gone" in one.reason for one in ours)
