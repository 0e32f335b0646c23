"""The contract checks of any mechanism, on ours: what a plugin author does with one import."""

from __future__ import annotations

import pytest

import saslsspi
from saslsspi import Property
from saslsspi.engine.exchange import Outcome
from saslsspi.sasl.mechanism import First, Mechanism, ServerExchange, ServerParameters
from saslsspi.sasl.single_message import SingleMessageClient
from saslsspi_conformance.contract import MechanismContract
from saslsspi_conformance.peers.gss import stand_in as gss_stand_in

_ALICE = saslsspi.Password("alice", "wonderland")
_ACCOUNTS = saslsspi.MemoryAuthority({"alice": "wonderland"})


class TestDigestMd5(MechanismContract):
    mechanism = "DIGEST-MD5"
    credentials = _ALICE
    authority = _ACCOUNTS
    realm = "example.test"


class TestPlain(MechanismContract):
    mechanism = "PLAIN"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestScramSha256(MechanismContract):
    mechanism = "SCRAM-SHA-256"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestExternal(MechanismContract):
    mechanism = "EXTERNAL"
    authority = _ACCOUNTS
    external_identity = "alice"


class TestNtlm(MechanismContract):
    mechanism = "NTLM"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestGssSpnego(MechanismContract):
    mechanism = "GSS-SPNEGO"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestScramSha1(MechanismContract):
    mechanism = "SCRAM-SHA-1"
    credentials = _ALICE
    authority = _ACCOUNTS


class TestAnonymous(MechanismContract):
    mechanism = "ANONYMOUS"
    policy = saslsspi.Policy(allow_anonymous=True)


class TestCredssp(MechanismContract):
    mechanism = "CREDSSP"
    credentials = _ALICE
    authority = _ACCOUNTS
    policy = saslsspi.Policy(negotiate=saslsspi.NegotiatePolicy(packages="ntlm"))


class TestGssapi(MechanismContract):
    """What GSSAPI adds to Kerberos, on the stand-in for it."""

    mechanism = gss_stand_in.mechanism()
    credentials = _ALICE
    authority = _ACCOUNTS
    realm = "EXAMPLE.TEST"


# The checks find what they are for.


class _Careless(ServerExchange):
    """A server that believes everybody, at any time, and fails over what it did not expect."""

    def __init__(self, parameters: ServerParameters) -> None:
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | None:
        if response is not None and response.startswith(b"\xff"):
            raise ValueError("what is this?")
        self.outcome = Outcome(username="alice", ssf=1)
        return None


class CarelessContract(MechanismContract):
    mechanism = Mechanism(
        name="CARELESS",
        first=First.CLIENT,
        properties=Property.NONE,
        client=lambda parameters: SingleMessageClient("CARELESS", b"alice", Outcome(username="alice")),
        server=_Careless,
    )
    authority = _ACCOUNTS


def test_a_mechanism_whose_sides_disagree_is_found() -> None:
    with pytest.raises(AssertionError):
        CarelessContract().test_both_sides_agree_on_what_was_negotiated()


def test_a_mechanism_that_fails_over_nonsense_is_found() -> None:
    with pytest.raises(AssertionError):
        CarelessContract().test_nonsense_raises_nothing_but_our_errors_at_the_server(b"\xff" * 7)
