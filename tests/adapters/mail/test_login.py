"""login, user and pass_ are what programs call: the class is swapped, and nothing else."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
from typing import Any

import pytest

from adapters.mail_world import (
    IMAP,
    MESSAGE,
    POP3,
    PROTOCOLS,
    SMTP,
    MailProtocol,
    Peer,
    certificate,
    move_message,
    scripted,
    serving,
)
from saslsspi import LogonDenied, SaslError
from saslsspi.testbed.tap import Tap

OWN_ERROR = {"smtp": smtplib.SMTPException, "imap": imaplib.IMAP4.error, "pop3": POP3.error}


def log_in(client: Any, user: str, password: str) -> Any:
    if hasattr(client, "pass_"):
        assert client.user(user).startswith(b"+OK")
        return client.pass_(password)
    return client.login(user, password)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize(("user", "password"), [("alice", "wonderland"), ("jörg", "grüße")])
def test_the_best_mechanism_is_taken(protocol: MailProtocol, user: str, password: str) -> None:
    with serving(protocol) as (server, reports), Tap("127.0.0.1", server.port) as tap:
        client = protocol.connect("127.0.0.1", tap.port)
        answer = log_in(client, user, password)
        assert answer in ((235, b"Authentication successful"), ("OK", [b"AUTHENTICATE completed"]), b"+OK logged on")
        assert client.security.mechanism.startswith("SCRAM-SHA-512")
        assert not tap.saw(password.encode())
        move_message(client, server, MESSAGE)
    assert reports[0].security.authcid == user


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_wrong_password_is_the_library_s_error_and_ours(protocol: MailProtocol) -> None:
    with serving(protocol) as (server, reports):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(protocol.error) as caught:
            log_in(client, "alice", "not hers")
        assert isinstance(caught.value, LogonDenied)
        log_in(client, "alice", "wonderland")
    assert len(reports) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_in_clear_no_password_is_shown_to_anybody(protocol: MailProtocol) -> None:
    with serving(protocol, mechanisms=["PLAIN"]) as (server, reports), Tap("127.0.0.1", server.port) as tap:
        client = protocol.connect("127.0.0.1", tap.port)
        with pytest.raises(OWN_ERROR[protocol.name], match="create_default_context") as caught:
            log_in(client, "alice", "wonderland")
        assert isinstance(caught.value, SaslError)
        assert not tap.saw(b"wonderland")
        assert not tap.saw(b"AGFsaWNl"), "the password in base64"
    assert not reports


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_under_verified_tls_plain_does(protocol: MailProtocol) -> None:
    with serving(protocol, mechanisms=["PLAIN"], certificate=certificate().server) as (server, reports):
        client = protocol.connect("localhost", server.port)
        protocol.start_tls(client, certificate().client)
        log_in(client, "alice", "wonderland")
    assert reports[0].security.mechanism == "PLAIN"


def smtp_login(peer: Peer) -> None:
    peer.say(b"220 old ESMTP")
    peer.hear()
    peer.say(b"250-old", b"250 AUTH LOGIN")
    peer.hear()
    peer.say(b"334 UGFzc3dvcmQ6")
    peer.hear()
    peer.say(b"235 welcome")


def imap_login(peer: Peer) -> None:
    peer.say(b"* OK [CAPABILITY IMAP4rev1] old")
    for answer in (b"* CAPABILITY IMAP4rev1", b""):
        line = peer.hear()
        if not line:
            return
        peer.say(*([answer] if answer else []), line.split()[0] + b" OK done")


def pop3_login(peer: Peer) -> None:
    peer.say(b"+OK old")
    peer.hear()
    peer.say(b"-ERR no CAPA")
    for _ in range(2):
        peer.hear()
        peer.say(b"+OK")


SCRIPTS = {"smtp": (SMTP, smtp_login), "imap": (IMAP, imap_login), "pop3": (POP3, pop3_login)}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("verified", [True, False])
def test_a_server_without_sasl_gets_the_password_from_the_library_itself_under_verified_tls(
    name: str, verified: bool
) -> None:
    protocol, script = SCRIPTS[name]
    heard: list[bytes] = []

    def inside(peer: Peer) -> None:
        tls = Peer(certificate().server.wrap_socket(peer.sock, server_side=True))
        try:
            script(tls)
            tls.rest()
        finally:
            heard.extend(tls.heard)
            tls.close()

    careless = ssl._create_unverified_context()
    with scripted(inside) as (port, join):
        client = protocol.connect_tls("localhost", port, certificate().client if verified else careless)
        if verified:
            log_in(client, "alice", "wonderland")
        else:
            with pytest.raises(OWN_ERROR[name], match="verified"):
                log_in(client, "alice", "wonderland")
        assert client.security is None
        client.shutdown() if name == "imap" else client.close()
        join()
    shown = b" ".join(heard)
    assert (b"wonderland" in shown or b"d29uZGVybGFuZA==" in shown) is verified
