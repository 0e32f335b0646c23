"""RFC 5804: the conformance cases of ManageSieve against our own server and client, and what no peer can see."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

import saslsspi
from adapters.mail.line_world import HonestServer
from adapters.mail_world import ALICE, PEOPLE, REALM, TIMEOUT, Peer, Wire, certificate, scripted
from saslsspi.adapters.mail.line_protocol import Reply, ReplyKind
from saslsspi.adapters.mail.protocols.sieve import SIEVE, sieve_response
from saslsspi.adapters.mail.strings import string, words
from saslsspi.adapters.sieve import SaslSieve, SieveLogonDenied
from saslsspi.errors import TemporarilyUnavailable
from saslsspi.testbed import loopback
from saslsspi.testbed.mail.server import MailLimits
from saslsspi.testbed.mail.sieve import SieveServer
from saslsspi_conformance.case import Case, all_cases
from saslsspi_conformance.runner.performer import RunOptions
from saslsspi_conformance.runner.plugin import ConformancePlugin
from saslsspi_conformance.runner.results import CaseVerdict
from saslsspi_conformance.runner.selection import Selection
from saslsspi_conformance.targets.embedded import itself

UNSEEN = "mail.server.sieve_uninvited_initial_response"
"""The case needs CRAM-MD5, which we have not."""


def own_cases() -> list[Any]:
    cases = (case for case in all_cases().values() if case.carrier == "sieve" and case.name != UNSEEN)
    return [pytest.param(case, marks=pytest.mark.requirement(*case.requirements), id=case.name) for case in cases]


@pytest.fixture(scope="module")
def runner() -> Iterator[ConformancePlugin]:
    with itself(("sieve",)) as targets:
        yield ConformancePlugin(targets, Selection(), RunOptions(destructive=True), lambda result: None)


@pytest.mark.parametrize("case", own_cases())
def test_a_case_passes(runner: ConformancePlugin, case: Case) -> None:
    found = runner.perform(case)
    assert found.verdict is CaseVerdict.PASS, found.detail


def answered(answer: bytes) -> pytest.ExceptionInfo[saslsspi.SaslError]:
    """Log on at a server that answers AUTHENTICATE so; return the error."""

    def script(peer: Peer) -> None:
        server = HonestServer(SIEVE, peer)
        server.greet()
        server.until_authentication()
        peer.say(answer)
        peer.rest()

    with scripted(script) as (port, _):
        client = SaslSieve("localhost", port, timeout=TIMEOUT)
        with pytest.raises(saslsspi.SaslError) as caught:
            client.authenticate_sasl("DIGEST-MD5", credentials=ALICE)
        client.close()
    return caught


@pytest.mark.requirement("RFC5804-1.3-01", "RFC5804-1.3-04")
def test_a_code_that_says_more_than_we_know_is_what_stands_before_the_slash() -> None:
    assert isinstance(answered(b'NO (TRYLATER/SOON) "in a minute"').value, TemporarilyUnavailable)


@pytest.mark.requirement("RFC5804-1.3-02")
def test_a_code_that_we_do_not_know_is_ignored() -> None:
    error = answered(b'NO (WHAT "ever" (NEVER 7)) "not you"').value
    assert isinstance(error, SieveLogonDenied)
    assert "not you" in str(error)
    assert sieve_response(b'OK (WHAT/EVER) "fine"') == Reply(
        ReplyKind.SUCCESS, b"fine", None, "OK", (b'OK (WHAT/EVER) "fine"',)
    )


@pytest.mark.requirement("RFC5804-1.7-09")
def test_a_capability_that_we_do_not_know_is_ignored() -> None:
    def script(peer: Peer) -> None:
        peer.say(b'"WHATEVER" "x y"', b'"X-MORE"', b'"SASL" "DIGEST-MD5"', b"OK")
        peer.rest()

    with scripted(script) as (port, _):
        client = SaslSieve("localhost", port, timeout=TIMEOUT)
        assert client.capabilities.mechanisms == ("DIGEST-MD5",)
        client.close()


@pytest.mark.requirement("RFC5804-1.2-04")
def test_a_client_that_has_logged_on_may_be_silent_for_half_an_hour() -> None:
    assert MailLimits().idle_timeout >= 30 * 60


@pytest.mark.requirement("RFC5804-4-02")
@pytest.mark.parametrize(
    ("text", "ours", "servers"),
    [
        (b"x" * 1024, b'"' + b"x" * 1024 + b'"', b'"' + b"x" * 1024 + b'"'),
        (b"x" * 1025, b"{1025+}\r\n" + b"x" * 1025, b"{1025}\r\n" + b"x" * 1025),
        (b'"' * 513, b"{513+}\r\n" + b'"' * 513, b"{513}\r\n" + b'"' * 513),
    ],
    ids=["1024", "1025", "513 quotes"],
)
def test_a_quoted_string_has_1024_octets_at_most(text: bytes, ours: bytes, servers: bytes) -> None:
    assert string(text, from_client=True) == ours
    assert string(text, from_client=False) == servers
    assert [word.text for word in words(ours)] == [text]


@pytest.mark.requirement("RFC5804-2.1-08")
def test_an_initial_response_for_a_mechanism_in_which_the_server_speaks_first_is_refused() -> None:
    authority = saslsspi.MemoryAuthority(PEOPLE)
    with loopback.running(SieveServer(authority=authority, realm=REALM)) as server, Wire(server.port) as wire:
        wire.until(b"OK")
        assert wire.ask(b'AUTHENTICATE "DIGEST-MD5" "AAAA"').startswith(b"NO")
        assert wire.ask(b'AUTHENTICATE "DIGEST-MD5"').startswith(b'"')


@pytest.mark.requirement("RFC5804-2.1.1-01", "RFC5804-2.2.1-01")
def test_a_server_of_another_name_gets_no_password() -> None:
    made = certificate()
    authority = saslsspi.MemoryAuthority(PEOPLE)
    with loopback.running(SieveServer(authority=authority, realm=REALM, certificate=made.server)) as server:
        client = SaslSieve("127.0.0.1", server.port, timeout=TIMEOUT)
        client.host = "elsewhere.example"
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(made.client)

        careless = ssl.create_default_context()
        careless.check_hostname = False
        careless.verify_mode = ssl.CERT_NONE
        client = SaslSieve("127.0.0.1", server.port, timeout=TIMEOUT)
        client.starttls(careless)
        with pytest.raises(saslsspi.PackageNotFound):
            client.authenticate_sasl("PLAIN", credentials=ALICE)
        client.close()
