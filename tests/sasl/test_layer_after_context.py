"""The last two messages of GSSAPI, against a stand-in for the context: every mask, every size, every wrong length."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi import Account, Policy, SaslError, Tolerances
from saslsspi.accounts.account import Question, Secret
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import IscReq
from saslsspi.engine.registry import find_package
from saslsspi.errors import InvalidParameter, InvalidToken, NoImpersonation, QopNotSupported
from saslsspi.sasl.drivers.after_context import AFTER_CONTEXT
from saslsspi.sasl.drivers.layer_messages import LayerChosen, LayerOffer, SecurityLayer
from saslsspi.sasl.mechanism import ClientExchange, First, ServerExchange

NONE, INTEGRITY, CONFIDENTIALITY = SecurityLayer.NONE, SecurityLayer.INTEGRITY, SecurityLayer.CONFIDENTIALITY
STRICT = Policy(tolerances=Tolerances.NONE)
OVERHEAD = 10


class StandIn:
    """A context of two steps whose wrapping shows: "S:" for signed, "E:" for encrypted."""

    authority = None

    def __init__(self, *, ssf: int = 256, token: bytes | None = b"AP-REP", account: Account | None = None) -> None:
        self.outcome: Outcome | None = None
        self.given: list[bytes] = []
        self._ssf, self._last, self._account = ssf, token, account

    def advance(self, token: bytes, request: Request) -> StepResult:
        self.given.append(token)
        if not token:
            return StepResult(Event.CONTINUE, b"AP-REQ")
        return self._complete(None)

    def begin(self, token: bytes, request: Request) -> StepResult | Question:
        self.given.append(token)
        if not token:
            raise InvalidToken("nothing")
        if self._account is not None:
            return Question("alice", "R", (Secret.EXISTENCE,))
        return self._complete(self._last)

    def resume(self, account: Account | None) -> StepResult:
        self._account = account
        return self._complete(self._last)

    def _complete(self, token: bytes | None) -> StepResult:
        self.outcome = Outcome(ssf=self._ssf, cipher="X", username="alice", realm="R", account=self._account)
        return StepResult(Event.COMPLETE, token)

    def layer(self, *, encrypt: bool, max_send: int, max_receive: int) -> Any:
        if max_send < OVERHEAD + 1:
            raise QopNotSupported("no room")
        return Wrapping(b"E:" if encrypt else b"S:", max_send, max_receive)


class Wrapping:
    def __init__(self, mark: bytes, max_send: int, max_receive: int) -> None:
        self.mark, self.max_payload, self.max_receive = mark, max_send - OVERHEAD, max_receive

    def seal(self, message: bytes) -> tuple[bytes, ...]:
        return (self.mark, message)

    def unseal(self, token: bytes) -> bytes:
        if token[:2] != self.mark:
            raise InvalidToken("not wrapped")
        return token[2:]


def client(policy: Policy = STRICT, *, authzid: str = "", **options: Any) -> ClientExchange:
    """A client that has got as far as the layer."""
    request = Request(target="ldap/h", authzid=authzid)
    made = AFTER_CONTEXT.client(StandIn(**options), request, policy)  # type: ignore[arg-type]
    assert made.step(None) == b"AP-REQ"
    assert made.step(b"AP-REP") == b""
    assert not made.done
    return made


def accepting(policy: Policy = STRICT, **options: Any) -> ServerExchange:
    """A server that has heard nothing."""
    return AFTER_CONTEXT.server(StandIn(**options), Request(), policy, first=First.CLIENT)  # type: ignore[arg-type]


def server(policy: Policy = STRICT, **options: Any) -> tuple[ServerExchange, bytes]:
    """A server that has made its offer, and the offer."""
    made = accepting(policy, **options)
    reply = made.step(b"AP-REQ")
    if isinstance(reply, Question):
        reply = made.resume(options["account"])
    assert reply == b"AP-REP"
    offer = made.step(b"")
    assert isinstance(offer, bytes)
    return made, offer


def offer(mask: int, size: int) -> bytes:
    return b"S:" + bytes([mask]) + size.to_bytes(3)


def refused(action: Callable[[], object], kind: type[SaslError], requirement: str | None = None) -> None:
    with pytest.raises(kind) as caught:
        action()
    if requirement:
        assert caught.value.requirement == requirement


# The two messages


@given(st.integers(0, 255), st.integers(0, 0xFFFFFF))
def test_an_offer_survives_its_wire_form_unknown_bits_and_all(mask: int, size: int) -> None:
    made = LayerOffer(SecurityLayer(mask), size if mask & ~1 else 0)
    assert LayerOffer.from_bytes(made.to_bytes()) == made
    assert made.to_bytes()[0] == mask


@given(
    st.sampled_from([INTEGRITY, CONFIDENTIALITY]), st.integers(0, 0xFFFFFF), st.text().filter(lambda t: "\0" not in t)
)
@pytest.mark.requirement("RFC4752-3.1-12")
def test_a_choice_survives_its_wire_form(layer: SecurityLayer, size: int, authzid: str) -> None:
    made = LayerChosen(layer, size, authzid)
    assert LayerChosen.from_bytes(made.to_bytes()) == made
    assert made.to_bytes() == bytes([layer]) + size.to_bytes(3) + authzid.encode()


@given(st.binary(max_size=12))
def test_no_octets_make_the_messages_raise_anything_but_invalid_token(data: bytes) -> None:
    for kind in (LayerOffer, LayerChosen):
        try:
            kind.from_bytes(data)
        except InvalidToken as error:
            assert error.requirement is None or error.requirement.startswith("RFC4752-3")  # noqa: PT017  # both may be


@pytest.mark.requirement("RFC4752-3.1-08", "RFC4752-3.3-01")
def test_an_offer_is_a_mask_and_a_size_in_three_octets() -> None:
    """By hand: 1 is no layer, 2 integrity, 4 confidentiality."""
    two, integrity, confidentiality = (LayerOffer.from_bytes(bytes([mask, 1, 2, 3])) for mask in (3, 2, 4))
    assert two.layers == SecurityLayer.NONE | SecurityLayer.INTEGRITY
    assert integrity == LayerOffer(SecurityLayer.INTEGRITY, 0x010203)
    assert confidentiality == LayerOffer(SecurityLayer.CONFIDENTIALITY, 0x010203)
    assert confidentiality.to_bytes() == b"\x04\x01\x02\x03"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x07\0\0", b"\x07\0\0\0\0"])
@pytest.mark.requirement("RFC4752-3.1-08", "RFC4752-3.1-09")
def test_an_offer_of_another_length_ends_the_negotiation(data: bytes) -> None:
    refused(lambda: client().step(b"S:" + data), InvalidToken, "RFC4752-3.1-09")


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\0\0"])
def test_a_choice_that_is_too_short_is_refused(data: bytes) -> None:
    refused(lambda: server()[0].step(b"S:" + data), InvalidToken)


@pytest.mark.parametrize("data", [b"\x01\0\0\0\xff", b"\x01\0\0\0alice\0", b"\x01\0\0\0\0"])
@pytest.mark.requirement("RFC4752-3.1-12")
def test_an_identity_that_is_not_utf8_or_has_a_nul_is_refused(data: bytes) -> None:
    refused(lambda: server()[0].step(b"S:" + data), InvalidToken, "RFC4752-3.1-12")


@pytest.mark.requirement("RFC4752-3.1-12")
def test_an_identity_with_a_nul_is_not_sent() -> None:
    refused(lambda: client(authzid="alice\0bob"), InvalidParameter, "RFC4752-3.1-12")


# The client


@pytest.mark.requirement("RFC4752-3.1-10")
def test_a_size_without_a_layer_is_refused_by_the_strict_client() -> None:
    refused(lambda: client().step(offer(1, 65536)), InvalidToken, "RFC4752-3.1-10")


def test_a_size_without_a_layer_is_a_tolerance_that_shows() -> None:
    tolerant = client(Policy())
    assert tolerant.step(offer(1, 65536)) == b"S:" + bytes([1, 0, 0, 0])
    assert tolerant.outcome is not None
    assert tolerant.outcome.tolerances == ("SIZE_WITHOUT_LAYER",)


@pytest.mark.parametrize("mask", range(256))
@pytest.mark.requirement("RFC4752-3.1-13", "RFC4752-3.3-01", "RFC4752-3.3-02")
def test_the_client_chooses_exactly_one_offered_known_layer_the_strongest(mask: int) -> None:
    known = [layer for layer in (CONFIDENTIALITY, INTEGRITY, NONE) if mask & layer]
    size = 65536 if mask & ~1 else 0
    if not known:
        refused(lambda: client().step(offer(mask, size)), QopNotSupported)
        return
    asked = client(authzid="bob")
    reply = asked.step(offer(mask, size))
    assert reply == b"S:" + LayerChosen(known[0], 0 if known[0] is NONE else 65536, "bob").to_bytes()
    assert asked.done
    assert asked.outcome is not None
    assert asked.outcome.qop == {CONFIDENTIALITY: "auth-conf", INTEGRITY: "auth-int", NONE: "auth"}[known[0]]
    assert (asked.outcome.protection is None) == (known[0] is NONE)


@pytest.mark.parametrize(
    ("min_ssf", "max_ssf", "ssf", "chosen"),
    [
        (0, 65536, 256, CONFIDENTIALITY),
        (0, 256, 256, CONFIDENTIALITY),
        (0, 255, 256, INTEGRITY),
        (0, 1, 256, INTEGRITY),
        (0, 0, 256, NONE),
        (1, 1, 256, INTEGRITY),
        (2, 65536, 256, CONFIDENTIALITY),
        (0, 65536, 1, INTEGRITY),
        (0, 65536, 0, NONE),
        (1, 65536, 0, None),
        (57, 65536, 56, None),
        (2, 65536, 1, None),
    ],
)
@pytest.mark.requirement("RFC4752-3.1-07")
def test_both_sides_agree_on_what_policy_and_context_permit(
    min_ssf: int, max_ssf: int, ssf: int, chosen: SecurityLayer | None
) -> None:
    policy = Policy(min_ssf=min_ssf, max_ssf=max_ssf, tolerances=Tolerances.NONE)
    if chosen is None:
        refused(lambda: client(policy, ssf=ssf).step(offer(7, 65536)), QopNotSupported)
        refused(lambda: server(policy, ssf=ssf), QopNotSupported)
        return
    asked = client(policy, ssf=ssf)
    reply = asked.step(offer(7, 65536))
    assert reply is not None
    assert reply[2] == chosen
    answering, offered = server(policy, ssf=ssf)
    assert offered[2] & chosen
    answering.step(reply)
    assert answering.done
    assert answering.outcome is not None
    assert asked.outcome is not None
    assert answering.outcome.ssf == asked.outcome.ssf == {CONFIDENTIALITY: ssf, INTEGRITY: 1, NONE: 0}[chosen]


@pytest.mark.requirement("RFC4752-3.1-11", "RFC4752-3.2-06")
def test_sizes_are_zero_where_a_side_supports_no_layer() -> None:
    bare = Policy(max_ssf=0, tolerances=Tolerances.NONE)
    assert client(bare).step(offer(7, 65536)) == b"S:" + bytes([1, 0, 0, 0])
    assert server(bare)[1] == b"S:" + bytes([1, 0, 0, 0])


def test_sizes_are_those_of_the_policy() -> None:
    policy = Policy(max_buffer=4711, min_ssf=1, tolerances=Tolerances.NONE)
    assert client(policy).step(offer(7, 65536)) == b"S:\x04" + (4711).to_bytes(3)
    assert server(policy)[1] == b"S:\x06" + (4711).to_bytes(3)


def test_what_may_be_sent_is_the_peers_size_and_what_is_taken_is_ours() -> None:
    policy = Policy(max_buffer=5000, tolerances=Tolerances.NONE)
    asked = client(policy)
    asked.step(offer(4, 3000))
    assert asked.outcome is not None
    assert (asked.outcome.max_send, asked.outcome.max_receive) == (3000, 5000)
    assert asked.outcome.protection is not None
    assert (asked.outcome.protection.max_payload, asked.outcome.protection.max_receive) == (3000 - OVERHEAD, 5000)
    answering, _ = server(policy)
    answering.step(b"S:" + LayerChosen(CONFIDENTIALITY, 2000, "").to_bytes())
    assert answering.outcome is not None
    assert (answering.outcome.max_send, answering.outcome.max_receive) == (2000, 5000)


@pytest.mark.parametrize("size", [0, 1, OVERHEAD])
def test_a_size_without_room_for_a_message_is_no_reason_to_go_without_a_layer(size: int) -> None:
    for mask in (7, 3, 5):
        refused(lambda mask=mask: client().step(offer(mask, size)), QopNotSupported)  # type: ignore[misc]
    answering, _ = server()
    refused(lambda: answering.step(b"S:" + LayerChosen(INTEGRITY, size, "").to_bytes()), QopNotSupported)
    assert not answering.done


@pytest.mark.parametrize("mask", [2, 4, 6, 7])
def test_a_layer_with_a_size_of_0_is_a_tolerance_that_shows_and_sends_no_more_than_we_take(mask: int) -> None:
    limits = Policy(max_buffer=5000)
    asked = client(limits)
    reply = asked.step(offer(mask, 0))
    answering, _ = server(limits)
    answering.step(b"S:" + LayerChosen(INTEGRITY, 0, "").to_bytes())
    assert reply == b"S:" + LayerChosen(SecurityLayer(mask & 4 or 2), 5000, "").to_bytes()
    for side in (asked, answering):
        assert side.outcome is not None
        assert side.outcome.protection is not None
        assert side.outcome.max_send == 5000
        assert side.outcome.tolerances == ("LAYER_WITHOUT_SIZE",)


def test_the_client_waits_for_a_wrapped_offer() -> None:
    for token in (None, b"", b"E:" + bytes([1, 0, 0, 0]), bytes([1, 0, 0, 0])):
        refused(lambda token=token: client().step(token), InvalidToken)  # type: ignore[misc]


def test_an_identity_with_a_nul_is_not_even_tried() -> None:
    refused(lambda: client(authzid="bob\0"), InvalidParameter)


# The server


@pytest.mark.requirement("RFC4752-3-01")
def test_the_server_answers_a_missing_initial_response_with_an_empty_challenge_once() -> None:
    made = accepting()
    assert made.step(None) == b""
    assert made.step(b"AP-REQ") == b"AP-REP"
    for first in (b"", None):
        other = accepting()
        if first is None:
            assert other.step(None) == b""
        refused(lambda other=other, first=first: other.step(first), InvalidToken)  # type: ignore[misc]


@pytest.mark.requirement("RFC4752-3.2-07")
def test_after_a_last_token_the_server_wants_an_empty_reply() -> None:
    made = accepting()
    made.step(b"AP-REQ")
    refused(lambda: made.step(b"S:" + bytes([1, 0, 0, 0])), InvalidToken, "RFC4752-3.2-07")
    for empty in (b"", None):
        other = accepting()
        other.step(b"AP-REQ")
        assert other.step(empty) == offer(7, 65536)


@pytest.mark.requirement("RFC4752-3.2-07")
def test_without_a_last_token_the_offer_comes_at_once() -> None:
    made = accepting(token=None)
    assert made.step(b"AP-REQ") == offer(7, 65536)


@pytest.mark.parametrize("mask", [0, 3, 5, 6, 7, 8, 0x10, 0x80, 0x81, 0xFF])
@pytest.mark.requirement("RFC4752-3.2-09")
def test_a_choice_of_no_layer_of_several_or_of_an_unknown_one_is_refused(mask: int) -> None:
    refused(lambda: server()[0].step(offer(mask, 0)), InvalidToken, "RFC4752-3.2-09")


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (Policy(max_ssf=0, tolerances=Tolerances.NONE), CONFIDENTIALITY),
        (Policy(max_ssf=0, tolerances=Tolerances.NONE), INTEGRITY),
        (Policy(max_ssf=1, tolerances=Tolerances.NONE), CONFIDENTIALITY),
        (Policy(min_ssf=1, tolerances=Tolerances.NONE), NONE),
        (Policy(min_ssf=2, tolerances=Tolerances.NONE), INTEGRITY),
    ],
)
@pytest.mark.requirement("RFC4752-3.2-09")
def test_a_choice_that_was_not_offered_is_refused(policy: Policy, chosen: SecurityLayer) -> None:
    made, _ = server(policy)
    size = 0 if chosen is NONE else 65536
    refused(lambda: made.step(b"S:" + LayerChosen(chosen, size, "").to_bytes()), InvalidToken, "RFC4752-3.2-09")
    assert made.outcome is None


@pytest.mark.requirement("RFC4752-3.2-10")
def test_a_size_with_no_layer_chosen_is_refused_by_the_strict_server() -> None:
    refused(lambda: server()[0].step(offer(1, 1)), InvalidToken, "RFC4752-3.2-10")
    tolerant, _ = server(Policy())
    tolerant.step(offer(1, 65536))
    assert tolerant.outcome is not None
    assert tolerant.outcome.tolerances == ("SIZE_WITHOUT_LAYER",)
    assert (tolerant.outcome.max_send, tolerant.outcome.max_receive) == (0, 0)


@pytest.mark.parametrize("authzid", ["", "alice", "alice@R", "bob"])
@pytest.mark.requirement("RFC4752-3.2-11", "RFC4752-3.2-12")
def test_the_user_may_act_as_itself_and_as_whom_the_authority_allows(authzid: str) -> None:
    made, _ = server(account=Account(username="alice", may_act_as=frozenset({"bob"})))
    assert made.step(b"S:" + LayerChosen(CONFIDENTIALITY, 65536, authzid).to_bytes()) is None
    assert made.done
    assert made.outcome is not None
    assert made.outcome.authzid == authzid


@pytest.mark.parametrize("authzid", ["bob", "Alice", "alice@OTHER", "u:alice", " "])
@pytest.mark.requirement("RFC4752-3.2-11")
def test_the_user_may_act_as_nobody_else(authzid: str) -> None:
    for account in (None, Account(username="alice")):
        made, _ = server(**({} if account is None else {"account": account}))
        refused(
            lambda made=made: made.step(b"S:" + LayerChosen(NONE, 0, authzid).to_bytes()),  # type: ignore[misc]
            NoImpersonation,
            "RFC4752-3.2-11",
        )
        assert made.outcome is None


# What is asked of the context


@pytest.mark.parametrize(
    ("max_ssf", "more"),
    [
        (0, IscReq(0)),
        (1, IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_REPLAY_DETECT),
        (
            65536,
            IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_CONFIDENTIALITY,
        ),
    ],
)
@pytest.mark.requirement("RFC4752-3.1-02", "RFC4752-3.1-03", "RFC4752-3.1-04")
def test_the_client_asks_for_integrity_always_and_for_more_where_it_wants_a_layer(max_ssf: int, more: IscReq) -> None:
    required, flags = AFTER_CONTEXT.flags(find_package("NTLM"), Side.INITIATE, Policy(max_ssf=max_ssf))
    assert not required
    assert flags == IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_MUTUAL_AUTH | more
