"""NTLM and GSS-SPNEGO as SASL mechanisms: who speaks first, the layer that the flags say, what the outcome tells."""

from __future__ import annotations

import pytest

from pair import To, authenticate, carry, flip, tampered
from saslsspi import (
    ChannelBindingPolicy,
    ChannelBindings,
    Client,
    MemoryAuthority,
    NegotiatePolicy,
    Password,
    Policy,
    Property,
    SaslError,
    Server,
    choose,
)
from saslsspi.sasl.registry import find_mechanism
from saslsspi.status import SecurityStatus

MECHANISMS = pytest.mark.parametrize("mechanism", ["NTLM", "GSS-SPNEGO"])
PEOPLE = MemoryAuthority({"alice": "wonderland"})
BOUND = ChannelBindings.tls_unique(b"the channel")
ONLY_NTLM = NegotiatePolicy(packages="ntlm")


def client(mechanism: str, service: str = "imap", *, password: str = "wonderland", **policy: object) -> Client:
    bindings = policy.pop("bindings", None)
    return Client(
        mechanism,
        service=service,
        host="host.example",
        credentials=Password("alice", password, realm="DOM"),
        policy=Policy(negotiate=ONLY_NTLM, **policy),  # type: ignore[arg-type]
        bindings=bindings,  # type: ignore[arg-type]
    )


def server(mechanism: str, service: str = "imap", *, success_data: bool = True, **policy: object) -> Server:
    bindings = policy.pop("bindings", None)
    return Server(
        mechanism,
        service=service,
        host="host.example",
        authority=PEOPLE,
        policy=Policy(negotiate=ONLY_NTLM, **policy),  # type: ignore[arg-type]
        bindings=bindings,  # type: ignore[arg-type]
        success_data=success_data,
    )


def status(*arguments: object) -> SecurityStatus:
    with pytest.raises(SaslError) as caught:
        authenticate(*arguments)  # type: ignore[arg-type]
    assert isinstance(caught.value.status, SecurityStatus)
    return caught.value.status


@MECHANISMS
@pytest.mark.parametrize("success_data", [True, False])
def test_both_sides_agree_on_who_and_how(mechanism: str, success_data: bool) -> None:
    ours, theirs = client(mechanism), server(mechanism, success_data=success_data)
    authenticate(ours, theirs)
    assert ours.done
    assert theirs.done
    assert (theirs.security.authcid, theirs.security.realm) == ("alice", "")
    assert (ours.security.qop, ours.security.ssf, ours.security.cipher) == ("auth-conf", 128, "rc4")
    assert theirs.security.account is not None


@MECHANISMS
@pytest.mark.parametrize(("limit", "qop"), [(0, "auth"), (1, "auth-int"), (128, "auth-conf")])
def test_the_layer_is_what_both_policies_permit(mechanism: str, limit: int, qop: str) -> None:
    for ours, theirs in (
        (client(mechanism, max_ssf=limit), server(mechanism)),
        (client(mechanism), server(mechanism, max_ssf=limit)),
    ):
        authenticate(ours, theirs)
        assert ours.security.qop == theirs.security.qop == qop
        assert (ours.layer is None) is (theirs.layer is None) is (limit == 0)


@MECHANISMS
@pytest.mark.parametrize(("service", "clear"), [("imap", True), ("ldap", False)])
def test_a_layer_that_only_signs_is_sealed_with_ldap(mechanism: str, service: str, clear: bool) -> None:
    ours, theirs = client(mechanism, service, max_ssf=1), server(mechanism, service)
    authenticate(ours, theirs)
    assert ours.layer is not None
    assert theirs.layer is not None
    wire = ours.layer.wrap(b"a message")
    assert (b"a message" in wire) is clear
    assert theirs.layer.unwrap(wire) == b"a message"
    assert ours.layer.unwrap(theirs.layer.wrap(b"an answer")) == b"an answer"


@MECHANISMS
@pytest.mark.parametrize("size", [1, 65520, 65521, 300_000])
def test_large_messages_are_cut_where_our_own_policy_would_take_no_more(mechanism: str, size: int) -> None:
    ours, theirs = client(mechanism), server(mechanism)
    authenticate(ours, theirs)
    assert ours.layer is not None
    assert theirs.layer is not None
    wire = ours.layer.wrap(bytes(size))
    assert int.from_bytes(wire[:4]) <= 65536
    assert theirs.layer.unwrap(wire) == bytes(size)
    # Nobody told the peer a size, so its buffers may be as large as the length field says.
    theirs.layer.max_payload = 500_000
    assert ours.layer.unwrap(theirs.layer.wrap(bytes(400_000))) == bytes(400_000)


@MECHANISMS
def test_a_layer_survives_any_split_of_the_stream(mechanism: str) -> None:
    ours, theirs = client(mechanism), server(mechanism)
    authenticate(ours, theirs)
    assert ours.layer is not None
    assert theirs.layer is not None
    messages = [b"one", b"", b"two" * 100]
    assert b"".join(carry(ours.layer, theirs.layer, messages)) == b"".join(messages)


@MECHANISMS
def test_without_an_initial_response_the_first_challenge_is_empty(mechanism: str) -> None:
    ours, theirs = client(mechanism), server(mechanism)
    assert theirs.step(None) == b""
    response = ours.start()
    assert response
    assert theirs.step(response)


@MECHANISMS
def test_a_required_layer_that_was_not_agreed_is_fatal(mechanism: str) -> None:
    assert status(client(mechanism, max_ssf=1), server(mechanism, min_ssf=128)) is (
        SecurityStatus.SEC_E_SECURITY_QOS_FAILED
    )
    assert status(client(mechanism, min_ssf=128), server(mechanism, max_ssf=1)) is (
        SecurityStatus.SEC_E_SECURITY_QOS_FAILED
    )


@MECHANISMS
def test_a_wrong_password_is_denied(mechanism: str) -> None:
    assert status(client(mechanism, password="wrong"), server(mechanism)) is SecurityStatus.SEC_E_LOGON_DENIED


@MECHANISMS
def test_bindings_are_verified_and_told(mechanism: str) -> None:
    required = {"channel_binding": ChannelBindingPolicy.REQUIRE}
    ours, theirs = client(mechanism, bindings=BOUND, **required), server(mechanism, bindings=BOUND, **required)
    authenticate(ours, theirs)
    assert ours.security.channel_binding == theirs.security.channel_binding == "tls-unique"
    assert status(client(mechanism), server(mechanism, bindings=BOUND, **required)) is (
        SecurityStatus.SEC_E_BAD_BINDINGS
    )
    elsewhere = ChannelBindings.tls_unique(b"another channel")
    assert status(client(mechanism, bindings=elsewhere), server(mechanism, bindings=BOUND)) is (
        SecurityStatus.SEC_E_BAD_BINDINGS
    )


@pytest.mark.requirement("RFC4178-7-01")
def test_a_changed_offer_is_noticed() -> None:
    # The last octet of NTLM's first message: its version, which the MIC covers.
    tap = tampered(To.SERVER, 0, flip(-1))
    assert status(client("GSS-SPNEGO"), server("GSS-SPNEGO"), tap) is SecurityStatus.SEC_E_MESSAGE_ALTERED


@MECHANISMS
def test_again_makes_another_exchange_with_the_same_credentials(mechanism: str) -> None:
    ours, theirs = client(mechanism), server(mechanism)
    for _ in range(3):
        ours, theirs = ours.again(), theirs.again()
        authenticate(ours, theirs)
        assert theirs.done


def test_neither_promises_that_the_server_proves_itself() -> None:
    for name in ("NTLM", "GSS-SPNEGO"):
        assert not find_mechanism(name).properties & Property.MUTUAL
    chosen = choose(["NTLM", "GSS-SPNEGO", "SCRAM-SHA-256"], Policy())
    assert chosen.mechanism.name == "SCRAM-SHA-256"
    with pytest.raises(SaslError):
        choose(["NTLM"], Policy(properties=Property.MUTUAL))
