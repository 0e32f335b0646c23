"""The adapters that serve: whoever is refused there leaves a record, with from where if the carrier knows."""

from __future__ import annotations

import base64
import contextlib
import logging
import poplib
import smtplib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from adapters.http.browser import DigestClient, TokenClient, acceptor, offered, request
from adapters.http.test_middleware import asgi, asgi_application, challenges, wsgi, wsgi_application
from saslsspi import MemoryAuthority, Policy, SaslError
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpDecision, HttpRequest
from saslsspi.adapters.ldap import Connection
from saslsspi.adapters.wsgi import WsgiAuthentication
from saslsspi.engine.hooks.audit import AuditRecord
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running
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
