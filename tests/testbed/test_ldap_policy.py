"""What a server permits and whom it asks: its policy, its authority, and the hook that is told of binds."""

from __future__ import annotations

import threading

import pytest

from saslsspi import Account, MemoryAuthority, Policy, Property
from saslsspi.accounts.account import Question
from saslsspi.errors import NoAuthenticatingAuthority
from saslsspi.testbed.ldap.server import Bound, Limits
from testbed.ldap_fixtures import ACCOUNTS, ALICE_DN, SUFFIX, ldap_server
from testbed.raw_ldap import (
    CONFIDENTIALITY,
    NO_METHOD,
    STRONGER_AUTH,
    SUCCESS,
    UNAVAILABLE,
    WHO_AM_I,
    RawLdap,
    digest_client,
    extended,
    sasl_bind,
    search,
    simple_bind,
)

# What the policy says


@pytest.mark.requirement("LDAP4513-5.2.1.5-03")
def test_only_configured_mechanisms_are_listed_and_taken() -> None:
    with ldap_server(mechanisms=["DIGEST-MD5"]) as server, RawLdap(server.port) as raw:
        assert mechanisms(raw) == ["DIGEST-MD5"]
        assert raw.ask(sasl_bind("SCRAM-SHA-256", b"n,,n=alice,r=abc")).code == NO_METHOD
        assert raw.sasl().code == SUCCESS


@pytest.mark.requirement("LDAP4513-5.2.1.5-03")
def test_mechanism_that_lacks_a_property_is_neither_listed_nor_taken() -> None:
    policy = Policy(properties=Property.MUTUAL, allow_plaintext=True)
    with ldap_server(policy=policy) as server, RawLdap(server.port) as raw:
        assert "DIGEST-MD5" in mechanisms(raw)
        assert "PLAIN" not in mechanisms(raw)
        assert raw.ask(sasl_bind("PLAIN", b"\0alice\0wonderland")).code in (NO_METHOD, CONFIDENTIALITY)


@pytest.mark.requirement("LDAP4513-5.2.1.5-04")
@pytest.mark.parametrize(("min_ssf", "code"), [(1, STRONGER_AUTH), (56, CONFIDENTIALITY)])
def test_required_strength_guards_binds_and_operations(min_ssf: int, code: int) -> None:
    with ldap_server(policy=Policy(min_ssf=min_ssf, allow_plaintext=True)) as server, RawLdap(server.port) as raw:
        listed = mechanisms(raw)  # the root DSE is for everybody
        assert "DIGEST-MD5" in listed
        assert "PLAIN" not in listed, "it has no layer"
        assert raw.find(search(SUFFIX))[1].code == code
        assert raw.ask(extended(WHO_AM_I)).code == code
        assert raw.ask(simple_bind(ALICE_DN, "wonderland")).code == CONFIDENTIALITY
        assert raw.ask(sasl_bind("PLAIN", b"\0alice\0wonderland")).code == CONFIDENTIALITY
        assert raw.sasl(policy=Policy(min_ssf=min_ssf)).code == SUCCESS
        assert raw.who_am_i() == "u:alice"


def test_weaker_qop_than_required_is_refused_though_the_client_insists() -> None:
    with ldap_server(policy=Policy(min_ssf=1)) as server, RawLdap(server.port) as raw:
        challenge = raw.ask(sasl_bind("DIGEST-MD5")).credentials
        assert challenge is not None
        assert b'qop="auth-int,auth-conf"' in challenge
        response = digest_client().step(challenge.replace(b'"auth-int,auth-conf"', b'"auth"'))
        assert raw.ask(sasl_bind("DIGEST-MD5", response)).code == STRONGER_AUTH


@pytest.mark.requirement("RFC4422-4-03")
@pytest.mark.requirement("LDAP4513-5.2.1.5-02")
def test_mechanisms_can_be_read_before_and_after_the_bind(raw: RawLdap) -> None:
    before = mechanisms(raw)
    assert {"DIGEST-MD5", "PLAIN"} <= set(before)
    raw.sasl(policy=Policy(min_ssf=56))
    assert mechanisms(raw) == before


def mechanisms(raw: RawLdap) -> list[str]:
    entries, result = raw.find(search("", scope=0, attributes=("supportedSASLMechanisms",)))
    assert result.code == SUCCESS
    return entries[0].attributes.get("supportedSASLMechanisms", [])


# The authority


class Slow(MemoryAuthority):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(ACCOUNTS)
        self.asked, self.answer = threading.Event(), threading.Event()

    def lookup(self, question: Question) -> Account | None:
        self.asked.set()
        assert self.answer.wait(10)
        return super().lookup(question)


@pytest.mark.requirement("LDAP4511-4.2.1-03")
def test_slow_authority_holds_up_nobody_else_and_nothing_overtakes_the_bind() -> None:
    authority = Slow()
    with ldap_server(authority=authority) as server, RawLdap(server.port) as slow, RawLdap(server.port) as other:
        challenge = slow.ask(sasl_bind("DIGEST-MD5")).credentials
        assert challenge is not None
        proof = sasl_bind("DIGEST-MD5", digest_client().step(challenge))
        bind, asked = slow.pipeline(proof, extended(WHO_AM_I))
        assert authority.asked.wait(10)
        assert other.who_am_i() == "", "another client is served meanwhile"
        authority.answer.set()
        first, second = slow.receive(), slow.receive()
        assert first is not None
        assert second is not None
        assert [(first.id, first.code), (second.id, second.value)] == [(bind, SUCCESS), (asked, b"u:alice")]


def test_client_that_leaves_during_a_lookup_is_forgotten() -> None:
    authority = Slow()
    with ldap_server(authority=authority) as server, RawLdap(server.port) as other:
        with RawLdap(server.port) as raw:
            challenge = raw.ask(sasl_bind("DIGEST-MD5")).credentials
            assert challenge is not None
            raw.start(sasl_bind("DIGEST-MD5", digest_client().step(challenge)))
            assert authority.asked.wait(10)
            assert server.connections == 2
        authority.answer.set()
        assert other.who_am_i() == ""


@pytest.mark.parametrize("error", [NoAuthenticatingAuthority("down"), ValueError("the password is swordfish")])
def test_authority_that_fails_makes_the_server_unavailable(error: Exception) -> None:
    class Broken:
        def lookup(self, question: Question) -> Account | None:
            raise error

    with ldap_server(authority=Broken()) as server, RawLdap(server.port) as raw:
        answer = raw.sasl()
        assert answer.code == UNAVAILABLE
        assert "swordfish" not in answer.text


def test_authority_that_never_answers_makes_the_server_unavailable() -> None:
    authority = Slow()
    with (
        ldap_server(authority=authority, limits=Limits(authority_timeout=0.05)) as server,
        RawLdap(server.port) as raw,
    ):
        try:
            assert raw.sasl().code == UNAVAILABLE
        finally:
            authority.answer.set()


def test_hook_is_told_of_every_bind_that_succeeds() -> None:
    told: list[Bound] = []
    with (
        ldap_server(on_security=told.append, policy=Policy(allow_plaintext=True)) as server,
        RawLdap(server.port) as raw,
    ):
        raw.ask(simple_bind(ALICE_DN, "wrong"))
        raw.ask(simple_bind(ALICE_DN, "wonderland"))
        raw.sasl(policy=Policy(min_ssf=1, max_ssf=1), authzid="u:bob")
    assert [(bound.method, bound.authzid, bound.ssf) for bound in told] == [
        ("simple", f"dn:{ALICE_DN}", 0),
        ("DIGEST-MD5", "u:bob", 1),
    ]
    assert told[0].security is None
    assert told[1].security is not None
    assert told[1].security.qop == "auth-int"
