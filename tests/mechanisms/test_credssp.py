"""CREDSSP over SASL (docs/credssp-sasl.md): turns, layers, sizes, identities, failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ldap3
import pytest

from cli.driver import Process, cross, encoded
from pair import Message, To, authenticate, carry, flip, tampered
from saslsspi import (
    Account,
    Client,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    Password,
    Policy,
    Property,
    Server,
    errors,
)
from saslsspi.__main__ import main
from saslsspi.adapters.ldap import Connection
from saslsspi.engine.policy import PublicKeyLeg
from saslsspi.packages.credssp.credentials import PasswordCredentials
from saslsspi.sasl.registry import find_mechanism
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running

PEOPLE = MemoryAuthority([Account(username="alice", password="wonderland", may_act_as=frozenset({"bob"}))])
LAYERS = [
    (Policy(max_ssf=0), "auth", 0),
    (Policy(min_ssf=1, max_ssf=1), "auth-int", 1),
    (Policy(min_ssf=2), "auth-conf", 256),
]


def _inside(policy: Policy | None) -> Policy:
    """NTLM alone inside: what Kerberos finds on a machine is not for this file."""
    return replace(policy or Policy(), negotiate=NegotiatePolicy(packages="ntlm"))


def client(
    policy: Policy | None = None, *, password: str = "wonderland", authzid: str = "", max_message: int = 0
) -> Client:
    return Client(
        "CREDSSP", service="ldap", host="h.example", credentials=Password("alice", password), policy=_inside(policy),
        authzid=authzid, max_message=max_message,
    )  # fmt: skip


def server(policy: Policy | None = None, *, max_message: int = 0, success_data: bool = True) -> Server:
    return Server(
        "CREDSSP", service="ldap", host="h.example", authority=PEOPLE, policy=_inside(policy), max_message=max_message,
        success_data=success_data,
    )  # fmt: skip


def joined(ours: Policy | None = None, theirs: Policy | None = None) -> tuple[Client, Server]:
    first, second = client(ours), server(theirs)
    authenticate(first, second)
    return first, second


def test_the_mechanism_says_what_it_is() -> None:
    mechanism = find_mechanism("credssp")
    assert (mechanism.name, mechanism.package, mechanism.max_ssf) == ("CREDSSP", "CREDSSP", 256)
    assert mechanism.properties & Property.MUTUAL
    assert not mechanism.properties & Property.DELEGATES


@pytest.mark.parametrize(("policy", "qop", "ssf"), LAYERS, ids=[qop for _, qop, _ in LAYERS])
@pytest.mark.parametrize("limit", [0, 100])
@pytest.mark.parametrize("initial_response", [True, False])
def test_every_layer_is_agreed_on_and_serves(
    policy: Policy, qop: str, ssf: int, limit: int, initial_response: bool
) -> None:
    first, second = client(policy, max_message=limit), server(max_message=limit)
    sent = authenticate(first, second, initial_response=initial_response)
    assert not limit or max(len(message.octets) for message in sent) <= limit
    for side in (first, second):
        assert (side.security.qop, side.security.ssf, side.security.authcid) == (qop, ssf, "alice")
    if not ssf:
        assert first.layer is second.layer is None
        return
    assert first.layer is not None
    assert second.layer is not None
    texts = [b"hello", b"", bytes(200_000), bytes(16384)]
    assert b"".join(carry(first.layer, second.layer, texts)) == b"".join(texts)
    assert b"".join(carry(second.layer, first.layer, texts)) == b"".join(texts)


def test_seven_messages_without_a_cut() -> None:
    sent = authenticate(client(), server())
    # ClientHello, flight, Finished and token, token, token and proof, proof, credentials, offer, choice
    assert [message.to for message in sent] == [To.SERVER, To.CLIENT] * 4 + [To.SERVER]


@pytest.mark.parametrize("size", [17, 22, 23, 100, 16406, 16407, 40000])
def test_no_buffer_is_larger_than_the_peer_takes(size: int) -> None:
    for ssf in (1, 256):
        policy = Policy(max_buffer=size, max_ssf=ssf, min_ssf=ssf)
        try:
            first, second = joined(Policy(max_ssf=ssf, min_ssf=ssf, min_peer_buffer=0), policy)
        except errors.QopNotSupported:
            assert size <= (18 if ssf == 1 else 22 + 27)  # a record, and what may be owed in front of it
            continue
        assert first.layer is not None
        assert second.layer is not None
        wire = first.layer.wrap(bytes(first.layer.max_payload))
        assert 0 < int.from_bytes(wire[:4]) <= size
        assert int.from_bytes(wire[:4]) == len(wire) - 4
        assert len(second.layer.unwrap(wire)) == first.layer.max_payload


def test_integrity_signs_and_does_not_hide() -> None:
    first, second = joined(Policy(max_ssf=1))
    assert first.layer is not None
    assert second.layer is not None
    wire = first.layer.wrap(b"hello")
    assert wire[:6] == b"\0\0\0\x17\0\x10"
    assert wire[22:] == b"hello"
    assert wire[18:22] == b"\x03\0\0\0", "sequence numbers go on from the exchange"
    altered = wire[:-1] + b"X"
    with pytest.raises(errors.MessageAltered):
        second.layer.unwrap(altered)


@pytest.mark.parametrize("ssf", [1, 256])
def test_altered_repeated_and_lost_buffers_end_the_layer(ssf: int) -> None:
    for change in (flip(-1), lambda octets: (), lambda octets: (octets, octets)):
        first, second = joined(Policy(min_ssf=ssf, max_ssf=ssf))
        assert first.layer is not None
        assert second.layer is not None
        with pytest.raises((errors.MessageAltered, errors.OutOfSequence)):
            carry(first.layer, second.layer, [b"one", b"two"], tampered(To.SERVER, 0, change))  # type: ignore[arg-type]
        with pytest.raises(errors.ContextMisuse):
            second.layer.unwrap(b"\0\0\0\0")


def test_a_buffer_of_half_a_record_is_refused() -> None:
    first, second = joined()
    assert first.layer is not None
    assert second.layer is not None
    wire = first.layer.wrap(b"hello")[4:-1]
    with pytest.raises(errors.InvalidToken):
        second.layer.unwrap(len(wire).to_bytes(4) + wire)


def test_nothing_is_delegated_unless_the_policy_says_so() -> None:
    _, second = joined()
    assert second.security.delegated == PasswordCredentials("", "", "")
    delegating = Policy(credssp=CredSspPolicy(delegate=True, allow_fresh_ntlm_only=("ldap/h.example",)))
    _, second = joined(delegating)
    assert second.security.delegated == PasswordCredentials("", "alice", "wonderland")
    assert "wonderland" not in repr(second.security)
    with pytest.raises(errors.DelegationPolicy):
        joined(Policy(credssp=CredSspPolicy(delegate=True)))


def test_the_key_may_go_in_a_leg_of_its_own() -> None:
    _, second = joined(Policy(credssp=CredSspPolicy(public_key_leg=PublicKeyLeg.AFTER_NEGOTIATE)))
    assert second.done


@pytest.mark.parametrize(("authzid", "allowed"), [("", True), ("alice", True), ("bob", True), ("carol", False)])
def test_the_authorization_identity_is_checked(authzid: str, allowed: bool) -> None:
    first, second = client(authzid=authzid), server()
    if allowed:
        authenticate(first, second)
        assert second.security.authzid == authzid
    else:
        with pytest.raises(errors.NoImpersonation):
            authenticate(first, second)
    with pytest.raises(errors.InvalidParameter):
        client(authzid="x" * 16381)


def test_a_wrong_password_is_told_to_the_client_and_then_raised() -> None:
    first, second = client(password="wrong"), server()
    token: bytes | None = first.start()
    for _ in range(2):
        token = first.step(second.step(token) or b"")
    failure = second.step(token)
    assert failure, "the error code goes as one more challenge"
    with pytest.raises(errors.LogonDenied) as told:
        first.step(failure)
    assert told.value.ntstatus == 0xC000006D
    with pytest.raises(errors.LogonDenied):
        second.step(b"")
    with pytest.raises(errors.ContextMisuse):
        second.step(b"")


def test_layers_that_nobody_shares_are_an_error() -> None:
    with pytest.raises(errors.QopNotSupported):
        joined(Policy(max_ssf=0), Policy(min_ssf=1))
    with pytest.raises(errors.QopNotSupported):
        joined(Policy(min_ssf=2), Policy(max_ssf=1))


def test_two_empty_messages_in_a_row_are_an_error() -> None:
    first, second = client(), server()
    hello = first.start()
    assert hello is not None
    assert second.step(hello[:20]) == b""  # the record is not whole
    with pytest.raises(errors.InvalidToken):
        second.step(b"")
    first = client()
    flight = server().step(first.start())
    assert flight is not None
    assert first.step(flight[:20]) == b""
    with pytest.raises(errors.InvalidToken):
        first.step(b"")


def test_success_before_the_choice_is_not_believed() -> None:
    for steps in range(4):
        first, second = client(), server()
        token = first.start()
        for _ in range(steps):
            token = first.step(second.step(token) or b"")
        with pytest.raises(errors.MutualAuthFailed):
            first.succeed()


def test_octets_behind_the_choice_or_the_offer_are_an_error() -> None:
    def doubled(to: To, number: int) -> Sequence[Message]:
        return authenticate(client(), server(), tampered(to, number, lambda octets: (octets + b"\x17\x03\x03\0\x01x",)))

    for to in (To.SERVER, To.CLIENT):
        with pytest.raises(errors.SaslError):
            doubled(to, 4 if to is To.SERVER else 3)
    first, second = client(), server()
    token = first.start()
    for _ in range(4):
        token = first.step(second.step(token) or b"")
    assert second.step(token) is None
    with pytest.raises(errors.InvalidToken):
        first.step(b"\x17\x03\x03\0\x01x")


def test_every_message_altered_is_an_error_of_ours() -> None:
    for to in To:
        for number in range(4):
            for position in (0, 3, 12, -1):
                first, second = client(), server()
                try:
                    authenticate(first, second, tampered(to, number, flip(position, 0x40)))
                except errors.SaslError:
                    continue
                assert not (first.done and second.done), (to, number, position)


def test_a_server_speaks_an_empty_challenge_where_there_is_no_initial_response() -> None:
    assert server().step(None) == b""


def test_again_shares_the_credential() -> None:
    first, second = client(), server()
    for _ in range(2):
        first, second = first.again(), second.again()
        authenticate(first, second)
        assert second.done


# In LDAP. ldap3 2.9.1 calls ssl.match_hostname on Python 3.11.


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")
@pytest.mark.parametrize(("policy", "qop", "ssf"), LAYERS, ids=[qop for _, qop, _ in LAYERS])
def test_a_search_of_megabytes_under_every_layer(policy: Policy, qop: str, ssf: int) -> None:
    server = LdapServer(authority=PEOPLE, policy=_inside(None), entries=12_000, anonymous_search=True)
    with running(server):
        connection = Connection(
            ldap3.Server("127.0.0.1", server.port, get_info=ldap3.NONE),
            mechanism="CREDSSP",
            credentials=Password("alice", "wonderland"),
            policy=_inside(policy),
            host="localhost",
            receive_timeout=20,
            collect_usage=True,
        )
        assert connection.bind(read_server_info=False)
        assert connection.security is not None
        assert (connection.security.qop, connection.security.ssf) == (qop, ssf)
        connection.search(f"ou=many,{server.suffix}", "(uid=*)", attributes=["*"])
        assert len(connection.response) == 12_000
        assert connection.usage.bytes_received > 4_000_000
        assert connection.extend.standard.who_am_i() == "u:alice"
        connection.unbind()


@pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")
def test_the_command_line_logs_on(capsys: pytest.CaptureFixture[str]) -> None:
    server = LdapServer(authority=PEOPLE, policy=_inside(None))
    with running(server):
        command = ["auth", f"ldap://localhost:{server.port}", "--mechanism", "CREDSSP", "--user", "alice", "--delegate"]
        assert main([*command, "--password", "wonderland", "--min-ssf", "128"]) == 0
        printed = capsys.readouterr().out
        assert "CREDSSP" in printed
        assert "wonderland" not in printed
        assert main([*command, "--password", "wrong"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("what", [("CREDSSP",), ("--package", "CREDSSP")])
def test_the_line_protocol_speaks_it(what: tuple[str, ...]) -> None:
    common = (*what, "--service", "ldap", "--host", "h.example")
    with (
        Process("client", *common, "--user", "alice", "--delegate") as ours,
        Process("server", *common, "--account", "alice:wonderland") as theirs,
    ):
        first, second = cross(ours, theirs, ours.read())
        if len(what) == 1:
            first = ours.say("-")  # the carrier's success
        assert (first.word, second.word) == ("done", "done")
        assert first.record["authcid"] == second.record["authcid"] == "alice"
        assert first.record["ssf"] == 256
        assert theirs.say("unwrap " + ours.say("wrap " + encoded(b"hello")).token).token == encoded(b"hello")
        assert ours.say("again").word == "more"
