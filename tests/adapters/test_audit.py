"""The adapters that serve: whoever is refused there leaves a record, with from where if the carrier knows."""

from __future__ import annotations

import base64
import contextlib
import logging
import poplib
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from adapters.http.browser import DigestClient, TokenClient, acceptor, offered, request
from adapters.http.test_middleware import asgi, asgi_application, challenges, wsgi, wsgi_application
from adapters.mail_world import Wire
from saslsspi import MemoryAuthority, Policy, SaslError, Server
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpDecision, HttpRequest
from saslsspi.adapters.ldap import Connection
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.adapters.wsgi import WsgiAuthentication
from saslsspi.engine.hooks.audit import AuditRecord
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail import server_of
from saslsspi.testbed.mail.pop3 import Pop3Server
from saslsspi.testbed.mail.smtp import SmtpServer

Records = Callable[[], list[AuditRecord]]
PEOPLE = MemoryAuthority({"alice": "wonderland"})
CLEAR = Policy(allow_plaintext=True)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[Records]:
    with caplog.at_level(logging.INFO, "saslsspi.audit"):
        yield lambda: [record.__dict__["audit"] for record in caplog.records if record.name == "saslsspi.audit"]


def from_here(asked: HttpRequest) -> HttpRequest:
    return replace(asked, peer="192.0.2.7:4711")


@pytest.mark.parametrize(("password", "accepted"), [("wonderland", True), ("looking-glass", False)])
def test_digest_in_http(password: str, accepted: bool, records: Records) -> None:
    site, client = acceptor(), DigestClient(password=password)
    site.judge(from_here(request(client.answer(offered(site.judge(request()))))))
    (record,) = records()
    assert (record.accepted, record.username, record.peer) == (accepted, "alice", "192.0.2.7:4711")


@pytest.mark.parametrize("scheme", ["Digest", "NTLM", "Negotiate", "CredSSP"])
@pytest.mark.parametrize("blob", ["!!!", "AAAA", "TlRMTVNTUAAB", 'username="alice"'])
def test_rubbish_in_http(scheme: str, blob: str, records: Records) -> None:
    asked = replace(request(f"{scheme} {blob}"), connection=object())
    decision: HttpDecision = acceptor(scheme).judge(from_here(asked))
    assert decision.user is None
    assert decision.error is not None
    (record,) = records()
    assert (record.accepted, record.peer) == (False, "192.0.2.7:4711")
    assert record.reason == str(decision.error)


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_what_is_no_base64_ends_a_logon_that_has_begun(scheme: str, records: Records) -> None:
    site, connection = acceptor(scheme), object()
    begun = site.judge(replace(request(TokenClient(scheme).step()), connection=connection))
    assert begun.error is None
    assert records() == []
    site.judge(replace(request(f"{scheme} !!!"), connection=connection))
    assert [record.accepted for record in records()] == [False]


@pytest.mark.parametrize(("password", "accepted"), [("wonderland", True), ("looking-glass", False)])
def test_wsgi_says_from_where(password: str, accepted: bool, records: Records) -> None:
    site = WsgiAuthentication(wsgi_application, acceptor())
    _, headers, _ = wsgi(site)
    answer = DigestClient(password=password).answer(challenges(headers))
    wsgi(site, answer, REMOTE_ADDR="192.0.2.7", REMOTE_PORT="4711")
    (record,) = records()
    assert (record.accepted, record.username, record.peer) == (accepted, "alice", "192.0.2.7:4711")


@pytest.mark.parametrize(("password", "accepted"), [("wonderland", True), ("looking-glass", False)])
def test_asgi_says_from_where(password: str, accepted: bool, records: Records) -> None:
    """The acceptor runs in a thread beside the loop there."""
    site = AsgiAuthentication(asgi_application, acceptor())
    answer = DigestClient(password=password).answer(challenges(asgi(site)[0]["headers"]))
    asgi(site, answer, client=("192.0.2.7", 4711))
    (record,) = records()
    assert (record.accepted, record.username, record.peer) == (accepted, "alice", "192.0.2.7:4711")


def test_a_replayed_request(records: Records) -> None:
    site, client = acceptor(), DigestClient()
    asked = request(client.answer(offered(site.judge(request()))))
    site.judge(asked)
    site.judge(asked)
    assert [record.accepted for record in records()] == [True, False]


@pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")
@pytest.mark.parametrize(("password", "accepted"), [("wonderland", True), ("looking-glass", False)])
def test_ldap(password: str, accepted: bool, records: Records) -> None:
    with running(LdapServer(authority=PEOPLE)) as server:
        connection = Connection(f"ldap://localhost:{server.port}", mechanism="NTLM", credentials=("alice", password))
        try:
            connection.bind()
            connection.unbind()
        except SaslError:
            pass
    (record,) = records()
    assert (record.accepted, record.how, record.username) == (accepted, "NTLM", "alice")
    assert record.peer.startswith("127.0.0.1:")


@pytest.mark.parametrize(("password", "accepted"), [("wonderland", True), ("looking-glass", False)])
@pytest.mark.parametrize("kind", [SmtpServer, Pop3Server])
def test_mail(kind: type[SmtpServer | Pop3Server], password: str, accepted: bool, records: Records) -> None:
    initial = base64.b64encode(b"\0alice\0" + password.encode()).decode()
    with running(kind(authority=PEOPLE, policy=CLEAR)) as server:
        if kind is SmtpServer:
            with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
                client.ehlo()
                client.docmd("AUTH", f"PLAIN {initial}")
        else:
            box = poplib.POP3("127.0.0.1", server.port, timeout=10)
            with contextlib.suppress(poplib.error_proto):
                box._shortcmd(f"AUTH PLAIN {initial}")  # type: ignore[attr-defined]
            box.close()
    (record,) = records()
    assert (record.accepted, record.how, record.username) == (accepted, "PLAIN", "alice")
    assert record.peer.startswith("127.0.0.1:")


@pytest.mark.parametrize("end", ["cancels", "leaves", "says rubbish"])
@pytest.mark.parametrize("name", list(LINE_PROTOCOLS))
def test_a_mail_exchange_that_its_client_gives_up_is_one_record(name: str, end: str, records: Records) -> None:
    protocol = LINE_PROTOCOLS[name]
    with running(server_of(protocol)(authority=PEOPLE)) as server:
        with listed(protocol, server.port) as wire:
            wire.send(protocol.begin("DIGEST-MD5", None, b"a").removesuffix(b"\r\n"))
            assert wire.line()
            if end != "leaves":
                wire.send(protocol.response(b"*" if end == "cancels" else b"%%%").removesuffix(b"\r\n"))
                assert wire.line()
        wait_for(records)
    (record,) = records()
    assert (record.accepted, record.how, record.peer.partition(":")[0]) == (False, "DIGEST-MD5", "127.0.0.1")
    assert ("gave up" in record.reason) == (end != "says rubbish")


@pytest.mark.parametrize(("asked", "how"), [("X-NOBODYS", "an unknown mechanism"), ("PLAIN", "PLAIN")])
@pytest.mark.parametrize("name", list(LINE_PROTOCOLS))
def test_a_mail_command_with_a_mechanism_that_is_not_offered_is_one_record(
    name: str, asked: str, how: str, records: Records
) -> None:
    protocol = LINE_PROTOCOLS[name]
    with running(server_of(protocol)(authority=PEOPLE)) as server, listed(protocol, server.port) as wire:
        wire.send(protocol.begin(asked, None, b"a").removesuffix(b"\r\n"))
        assert wire.line()
        (record,) = records()
    assert (record.accepted, record.how) == (False, how)


@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "binds anew"])
def test_a_bind_that_its_client_gives_up_is_one_record(leaves: bool, records: Records) -> None:
    with running(LdapServer(authority=PEOPLE)) as server, Wire(server.port) as wire:
        wire.sock.sendall(sasl_bind(1, "DIGEST-MD5"))
        assert wire.sock.recv(4096)
        if not leaves:
            wire.sock.sendall(sasl_bind(2, "X-NOBODYS"))
            assert wire.sock.recv(4096)
        wire.sock.close()
        wait_for(records)
    first, *more = records()
    assert (first.accepted, first.how) == (False, "DIGEST-MD5")
    assert "gave up" in first.reason
    assert [record.how for record in more] == ([] if leaves else ["an unknown mechanism"])


def test_a_server_that_nobody_spoke_to_leaves_no_record(records: Records) -> None:
    server = Server("SCRAM-SHA-256", service="x", host="h", authority=PEOPLE)
    server.abort()
    server.abort()
    assert records() == []


def test_a_logon_that_has_succeeded_is_not_refused_afterwards(records: Records) -> None:
    server = Server("PLAIN", service="x", host="h", authority=PEOPLE, external_ssf=128)
    server.step(b"\0alice\0wonderland")
    server.abort()
    assert [record.accepted for record in records()] == [True]


def listed(protocol: LineProtocol, port: int) -> Wire:
    """Connect, and come to where commands are taken."""
    wire = Wire(port)
    wire.until(b"OK") if protocol.announces else wire.line()
    if protocol.name == "smtp":
        wire.send(protocol.capability)
        wire.until(b"250 ")
    return wire


def sasl_bind(number: int, mechanism: str) -> bytes:
    """RFC 4511 section 4.2."""
    name = mechanism.encode()
    choice = b"\xa3" + bytes([len(name) + 2]) + b"\x04" + bytes([len(name)]) + name
    bind = b"\x02\x01\x03\x04\x00" + choice
    whole = b"\x02\x01" + bytes([number]) + b"\x60" + bytes([len(bind)]) + bind
    return b"\x30" + bytes([len(whole)]) + whole


def wait_for(records: Records) -> None:
    """Wait until a server in another thread has noticed that its client has gone."""
    for _ in range(1000):
        if records():
            return
        time.sleep(0.01)
