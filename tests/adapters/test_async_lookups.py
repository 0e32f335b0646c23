"""An authority whose lookup is an `async def` serves where there is an event loop, and is a clear error elsewhere."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from adapters.http.browser import REALM, DigestClient
from adapters.http.test_middleware import asgi, asgi_application, challenges, wsgi, wsgi_application
from adapters.mail_world import IMAP, POP3, SMTP, MailProtocol, serving
from saslsspi import Account, Chain, MemoryAuthority, Password, Policy, Question, Server
from saslsspi.accounts import Delegating
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor
from saslsspi.adapters.wsgi import WsgiAuthentication
from saslsspi.errors import LogonDenied, NoAuthenticatingAuthority
from testbed.ldap_fixtures import SUFFIX, ldap_server
from testbed.raw_ldap import RawLdap, simple_bind

PEOPLE = MemoryAuthority({"alice": "wonderland"})


class Late:
    """One that is to be awaited, and notes in which loop it was."""

    def __init__(self) -> None:
        self.loops: set[int] = set()

    async def lookup(self, question: Question) -> Account | None:
        self.loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0)
        return PEOPLE.lookup(question)


AROUND = pytest.mark.parametrize(
    "around",
    [lambda late: late, Delegating, lambda late: Chain(MemoryAuthority({"bob": "x"}), late)],
    ids=["alone", "delegating", "chain"],
)


@AROUND
@pytest.mark.parametrize("protocol", [SMTP, IMAP, POP3], ids=str)
def test_mail(protocol: MailProtocol, around: Any) -> None:
    late = Late()
    with serving(protocol, authority=around(late), policy=Policy(allow_plaintext=True)) as (server, _):
        for mechanism in ("DIGEST-MD5", "SCRAM-SHA-256", "NTLM", "PLAIN"):
            for password, right in (("wonderland", True), ("looking-glass", False)):
                client: Any = protocol.connect("127.0.0.1", server.port)
                logon = {"credentials": Password("alice", password), "policy": Policy(allow_plaintext=True)}
                try:
                    client.authenticate_sasl(mechanism=mechanism, **logon)
                except (LogonDenied, protocol.error):
                    assert not right
                else:
                    assert right
    assert len(late.loops) == 1


@AROUND
def test_ldap(around: Any) -> None:
    late = Late()
    with (
        ldap_server(authority=around(late), policy=Policy(allow_plaintext=True)) as server,
        RawLdap(server.port) as raw,
    ):
        assert raw.sasl().code == 0
        assert raw.sasl(password="looking-glass").code == 49
        assert raw.ask(simple_bind(f"uid=alice,ou=people,{SUFFIX}", "wonderland")).code == 0
        assert raw.ask(simple_bind(f"uid=alice,ou=people,{SUFFIX}", "looking-glass")).code == 49
    assert len(late.loops) == 1


@AROUND
def test_asgi(around: Any) -> None:
    site = AsgiAuthentication(asgi_application, HttpAcceptor.of(around(Late()), ["Digest"], realm=REALM))
    for password, status in (("wonderland", 200), ("looking-glass", 401)):
        answer = DigestClient(password=password).answer(challenges(asgi(site)[0]["headers"]))
        assert asgi(site, answer)[0]["status"] == status


@AROUND
def test_wsgi_has_no_loop_and_says_so_in_its_log(around: Any, caplog: pytest.LogCaptureFixture) -> None:
    site = WsgiAuthentication(wsgi_application, HttpAcceptor.of(around(Late()), ["Digest"], realm=REALM))
    _, headers, _ = wsgi(site)
    status, *_ = wsgi(site, DigestClient().answer(challenges(headers)))
    assert str(status).startswith("401")
    assert "async lookup" in caplog.text
    gc.collect()  # a coroutine that nobody awaited would warn here, and warnings are errors


@AROUND
def test_a_server_without_a_loop_is_told_and_nothing_is_left_unawaited(around: Any) -> None:
    server = Server("PLAIN", service="imap", host="h", authority=around(Late()), external_ssf=256)
    with pytest.raises(NoAuthenticatingAuthority, match=r"lookup .* async lookup"):
        server.step(b"\0alice\0wonderland")
    gc.collect()
