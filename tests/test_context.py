"""saslsspi.Context: one side of a security context of any package, both sides in one process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType

import pytest

from saslsspi import Account, Context, MemoryAuthority, Part, Password, Pending, Policy
from saslsspi.errors import (
    ContextExpired,
    ContextMisuse,
    DowngradeDetected,
    InvalidParameter,
    LogonDenied,
    MessageAltered,
    OutOfSequence,
    QopNotSupported,
    SaslError,
    UnknownCredentials,
    UnsupportedFunction,
)
from saslsspi.sspi import IscReq, SchCredentials, SecPkgContextNames, SecPkgContextSizes, WinNTAuthIdentity

TARGET = "ldap/host.example"
ALICE = Password("alice", "wonderland")
PEOPLE = MemoryAuthority({"alice": "wonderland"})
MESSAGES = ("NTLM", "Negotiate", "WDigest")
STREAMS = ("CREDSSP", "Schannel")
UNVERIFIED = int(IscReq.ISC_REQ_MANUAL_CRED_VALIDATION)  # the server's certificate is its own


@dataclass
class Ends:
    """Both sides of a context, and what went between them."""

    client: Context
    server: Context
    tokens: list[bytes]


def ends(package: str, policy: Policy | None = None, server_policy: Policy | None = None) -> Ends:
    """Make both sides; nothing has been said yet."""
    tls = package == "Schannel"
    client = Context.initiate(
        package, target=TARGET, credentials=None if tls else ALICE, policy=policy, flags=UNVERIFIED if tls else 0
    )
    server = Context.accept(
        package, principal=None if tls else TARGET, authority=PEOPLE, policy=server_policy or policy
    )
    return Ends(client, server, [])


def carry(both: Ends, piece: int = 1 << 20) -> Ends:
    """Carry tokens between the sides, in pieces of so many octets, until nothing goes to the peer."""
    speaker, listener = both.client, both.server
    token = speaker.step()
    if token is None:  # the server speaks first
        speaker, listener = listener, speaker
        token = speaker.step()
    while token is not None:
        both.tokens.append(token)
        answers = [listener.step(token[at : at + piece]) for at in range(0, max(len(token), 1), piece)]
        token = next((answer for answer in answers if answer is not None), None)
        speaker, listener = listener, speaker
    assert both.client.done
    assert both.server.done
    return both


def established(package: str, policy: Policy | None = None) -> Ends:
    return carry(ends(package, policy))


@pytest.mark.parametrize("package", [*MESSAGES, *STREAMS])
def test_both_sides_log_on_and_exchange_sealed_messages(package: str) -> None:
    both = established(package)
    for number in range(3):
        for message in (b"", b"attack at dawn %d" % number, bytes(range(256)) * 40):
            wire = both.client.wrap(message)
            assert len(message) < 10 or message not in wire
            assert both.server.unwrap(wire) == message
            assert both.client.unwrap(both.server.wrap(message)) == message
    assert both.client.security.qop == both.server.security.qop == "auth-conf"
    assert both.server.security.package == package
    assert both.server.security.mechanism == ""
    if package != "Schannel":
        assert both.server.security.authcid == "alice"
        assert both.server.query(SecPkgContextNames).username.endswith("alice")


@pytest.mark.parametrize("package", [*MESSAGES, "CREDSSP"])
def test_signatures_travel_beside_their_messages(package: str) -> None:
    both = established(package)
    for _ in range(3):
        both.server.verify(b"attack at dawn", both.client.sign(b"attack at dawn"))
        both.client.verify(b"no", both.server.sign(b"no"))
    with pytest.raises((MessageAltered, OutOfSequence)):
        both.server.verify(b"attack at noon", both.client.sign(b"attack at dawn"))


@pytest.mark.parametrize("package", STREAMS)
@pytest.mark.parametrize("rubbish", [b"HTTP/1.1 400", b"\x17\x03\x03\xff\xff", b"\x17\x03\x03\0\x20" + bytes(32)])
def test_rubbish_behind_a_record_is_an_error_of_ours(package: str, rubbish: bytes) -> None:
    both = established(package)
    wire = both.client.wrap(b"attack at dawn") + rubbish
    for octets in (wire, b"", b"more"):  # and it stays one
        with pytest.raises(SaslError):
            both.server.unwrap(octets)


@pytest.mark.parametrize("package", STREAMS)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_stream_may_be_cut_anywhere(package: str, piece: int) -> None:
    both = carry(ends(package), piece)
    wire = both.client.wrap(b"attack") + both.client.wrap(b" at dawn")
    came = [both.server.unwrap(wire[at : at + piece]) for at in range(0, len(wire), piece)]
    assert b"".join(came) == b"attack at dawn"
    closing = both.client.close()
    assert closing is not None
    assert both.server.unwrap(both.server.wrap(b"")[:0]) == b""
    with pytest.raises(ContextExpired):
        both.server.unwrap(closing)
    with pytest.raises(ContextExpired):
        both.client.wrap(b"more")


def test_what_follows_the_last_token_of_a_stream_is_kept() -> None:
    both = ends("Schannel")
    token = both.client.step()
    flight = both.server.step(token)
    assert flight is not None
    last = both.client.step(flight)
    assert last is not None
    assert both.client.done
    both.server.step(last + both.client.wrap(b"early"))
    assert both.server.unwrap(b"") == b"early"


def test_messages_have_no_word_for_the_end() -> None:
    assert established("NTLM").client.close() is None


def test_none_is_no_token_and_empty_is_one() -> None:
    both = ends("WDigest")
    assert both.client.step() is None  # the server speaks first
    challenge = both.server.step()
    assert challenge
    proof = both.server.step(both.client.step(challenge))
    assert proof
    assert both.client.step(proof) is None
    assert both.client.done


@pytest.mark.parametrize("package", MESSAGES)
def test_begin_hands_out_questions(package: str) -> None:
    both = ends(package)
    asked = 0
    token = both.client.step()
    reply = both.server.begin(token)
    while True:
        while isinstance(reply, Pending):
            asked += 1
            with pytest.raises(ContextMisuse):
                both.server.begin(b"")
            assert reply.question.username == "alice"
            reply = both.server.resume(PEOPLE.lookup(reply.question))
        if reply is None:
            break
        token = both.client.step(reply)
        if token is None:
            break
        reply = both.server.begin(token)
    assert asked == 1
    assert both.server.done


def test_an_unknown_user_is_refused_and_the_context_is_dead() -> None:
    client = Context.initiate("NTLM", target=TARGET, credentials=Password("mallory", "x"))
    server = Context.accept("NTLM", authority=PEOPLE)
    last = client.step(server.step(client.step()))
    with pytest.raises(LogonDenied):
        server.step(last)
    assert not server.done
    for call in (lambda: server.step(last), lambda: server.security, lambda: server.wrap(b"")):
        with pytest.raises(ContextMisuse):
            call()


@pytest.mark.parametrize("package", MESSAGES)
def test_before_completion_there_is_nothing_to_protect(package: str) -> None:
    both = ends(package)
    parts = [Part(b"a", True)]
    for call in (
        lambda: both.client.wrap(b"a"),
        lambda: both.client.unwrap(b"a"),
        lambda: both.client.sign(b"a"),
        lambda: both.client.verify(b"a", b""),
        lambda: both.client.wrap_parts(parts),
        lambda: both.client.unwrap_parts(parts, b""),
        lambda: both.client.export(bytes(16)),
        lambda: both.client.security,
        lambda: both.client.query(SecPkgContextSizes),
    ):
        with pytest.raises(ContextMisuse):
            call()
    assert carry(both).client.done  # nothing of it did harm


@pytest.mark.parametrize("package", MESSAGES)
def test_an_established_context_takes_no_token_and_lives(package: str) -> None:
    both = established(package)
    with pytest.raises(ContextMisuse):
        both.server.step(b"again")
    assert both.client.unwrap(both.server.wrap(b"still here")) == b"still here"


@pytest.mark.parametrize("package", MESSAGES)
def test_a_policy_without_a_layer_asks_for_none(package: str) -> None:
    both = established(package, Policy(max_ssf=0))
    assert both.client.security.ssf == 0
    with pytest.raises(QopNotSupported):
        both.client.wrap(b"a")
    # A signature of NTLM without integrity is the same for every message: none is made, and none is taken.
    with pytest.raises(QopNotSupported):
        both.client.sign(b"a")
    with pytest.raises(QopNotSupported):
        both.server.verify(b"a", b"\x01\0\0\0" + bytes(12))


@pytest.mark.parametrize("package", MESSAGES)
def test_a_policy_of_integrity_signs_in_clear(package: str) -> None:
    policy = Policy(min_ssf=1, max_ssf=1)
    client = Context.initiate(package, target="http/host.example", credentials=ALICE, policy=policy)
    server = Context.accept(package, authority=PEOPLE, policy=policy)
    both = carry(Ends(client, server, []))
    wire = both.client.wrap(b"attack at dawn")
    assert b"attack at dawn" in wire
    assert both.server.unwrap(wire) == b"attack at dawn"
    assert both.server.security.qop == "auth-int"


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_the_policy_is_checked_again_after_completion(package: str) -> None:
    both = ends(package, Policy(min_ssf=129))  # more than the package has
    with pytest.raises(DowngradeDetected):
        carry(both)
    assert not both.client.done
    with pytest.raises(ContextMisuse):
        both.client.wrap(b"a")


@pytest.mark.parametrize("package", MESSAGES)
def test_a_message_that_is_too_long_consumes_nothing(package: str) -> None:
    both = established(package)
    with pytest.raises(InvalidParameter):
        both.client.wrap(bytes(1 << 24))
    with pytest.raises((InvalidParameter, UnsupportedFunction)):
        both.client.wrap_parts([Part(bytes(1 << 23), True), Part(bytes(1 << 23), False)])
    assert both.server.unwrap(both.client.wrap(b"next")) == b"next"


@pytest.mark.parametrize("package", [*MESSAGES, *STREAMS])
def test_a_changed_message_ends_a_context_whose_cipher_runs_on(package: str) -> None:
    both = established(package)
    wire = bytearray(both.client.wrap(b"attack at dawn"))
    wire[20] ^= 1
    with pytest.raises((MessageAltered, OutOfSequence)):
        both.server.unwrap(bytes(wire))
    with pytest.raises(SaslError):
        both.server.unwrap(both.client.wrap(b"attack at dawn"))


def test_parts_are_sealed_or_signed_under_one_signature() -> None:
    both = established("NTLM")
    parts = [Part(b"header", False), Part(b"secret one", True), Part(b"secret two", True)]
    signature, octets = both.client.wrap_parts(parts)
    assert octets[0] == b"header"
    assert b"secret" not in octets[1] + octets[2]
    received = [Part(wire, part.sealed) for wire, part in zip(octets, parts, strict=True)]
    assert both.server.unwrap_parts(received, signature) == [part.octets for part in parts]
    signature, octets = both.client.wrap_parts(parts)
    with pytest.raises(MessageAltered):
        both.server.unwrap_parts([Part(b"Header", False), *map(Part, octets[1:], (True, True))], signature)
    assert not both.server.done


@pytest.mark.parametrize("package", MESSAGES)
def test_a_context_moves_to_another_process_once(package: str) -> None:
    both, key = established(package), bytes(range(16))
    both.server.unwrap(both.client.wrap(b"one"))
    blob = both.server.export(key)
    with pytest.raises(ContextMisuse):
        both.server.wrap(b"two")
    moved = Context.imported(blob, key, policy=Policy(min_ssf=112))
    assert moved.security.authcid == "alice"
    assert moved.unwrap(both.client.wrap(b"two")) == b"two"
    assert both.client.unwrap(moved.wrap(b"three")) == b"three"
    with pytest.raises(MessageAltered):
        Context.imported(blob, bytes(16))
    with pytest.raises(DowngradeDetected):
        Context.imported(blob, key, policy=Policy(min_ssf=256))


def test_credentials_of_another_kind_are_refused_when_they_are_given() -> None:
    from saslsspi import Anonymous

    with pytest.raises(UnknownCredentials):
        Context.initiate("NTLM", target=TARGET, credentials=Anonymous())
    with pytest.raises(UnknownCredentials):
        Context.initiate("NTLM", target=TARGET, credentials=SchCredentials())
    Context.initiate("NTLM", target=TARGET, credentials=WinNTAuthIdentity("alice", None, "wonderland"))
    with pytest.raises(UnsupportedFunction):
        Context.initiate("WDigest", target=TARGET, credentials=ALICE, flags=int(IscReq.ISC_REQ_DELEGATE))


def test_a_subclass_makes_its_own() -> None:
    class Mine(Context):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            self.note = "mine"

    client = Mine.initiate("NTLM", target=TARGET, credentials=ALICE)
    server = Mine.accept("NTLM", authority=PEOPLE)
    carry(Ends(client, server, []))
    assert client.note == server.note == "mine"
    assert Mine.imported(server.export(bytes(16)), bytes(16)).note == "mine"


def test_its_repr_says_which_and_where_and_holds_no_secret() -> None:
    both = ends("NTLM")
    assert repr(both.client) == "<Context NTLM initiate: new>"
    carry(both)
    assert repr(both.server) == "<Context NTLM accept: established>"


def test_an_account_may_be_answered_from_anywhere() -> None:
    server = Context.accept("NTLM", authority=PEOPLE)
    client = Context.initiate("NTLM", target=TARGET, credentials=ALICE)
    pending = server.begin(client.step(server.step(client.step())))
    assert isinstance(pending, Pending)
    assert server.resume(Account(username="alice", password="wonderland")) is None
    assert server.security.account is not None


class Calls:
    """Counts the Python functions that are entered."""

    def __enter__(self) -> Calls:
        self.count = 0
        sys.setprofile(self._count)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self.count += event == "call" and frame.f_code.co_name != "__exit__"


@pytest.mark.parametrize(("package", "count"), [("WDigest", 2), ("NTLM", 3)])  # NTLM's RC4 keeps its position
def test_a_message_costs_one_call_beside_its_package(package: str, count: int) -> None:
    client = established(package).client
    client.wrap(b"first")
    with Calls() as calls:
        client.wrap(b"attack at dawn")
    assert calls.count == count
