"""The MICs of the list: when they are needed, what they are over, and what a missing or wrong one leads to."""

from __future__ import annotations

import contextlib

import pytest

from packages.negotiate.ends import (
    KERBEROS,
    MS_KERBEROS,
    NTLM,
    client,
    info,
    offer_changed,
    reply_changed,
    server,
    states,
    status,
)
from packages.negotiate.stand_in import StandIn
from saslsspi import sspi
from saslsspi.errors import InvalidToken
from saslsspi.packages.negotiate.messages import NegState, NegTokenInit, NegTokenResp, mech_type_list
from saslsspi.sspi import (
    SecurityStatus,
)
from sspi_context import (
    SEAL,
    SIGN,
    run,
)


@pytest.mark.requirement(
    "RFC4178-5-04", "RFC4178-3.2-03", "RFC4178-5-12", "RFC4178-5-13", "MSSPNG-6-01", "RFC4178-3.1-04"
)
def test_favourites_of_both_with_a_mic_protect_the_list_without_being_asked() -> None:
    ours, theirs = client(), server()
    tokens = run(ours, theirs)
    assert states(tokens) == [NegState.ACCEPT_INCOMPLETE, NegState.ACCEPT_INCOMPLETE, NegState.ACCEPT_COMPLETED]
    assert NegTokenResp.from_bytes(tokens[2]).mic is not None
    assert NegTokenResp.from_bytes(tokens[3]).mic is not None
    assert info(ours).mech_list_protected
    assert info(theirs).mech_list_protected


@pytest.mark.requirement("MSSPNG-6-01", "RFC4178-5-15", "RFC4178-5-10")
def test_ntlm_with_a_mic_and_without_one_for_the_list_is_refused() -> None:
    stripped = reply_changed(2, lambda reply: reply._replace(mic=None))
    assert status(lambda: run(client(), server(), stripped)) is SecurityStatus.SEC_E_INVALID_TOKEN
    answered = reply_changed(3, lambda reply: reply._replace(mic=None))
    assert status(lambda: run(client(), server(), answered)) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.requirement("RFC4178-5-08", "RFC4178-5-09", "RFC4178-5-14", "RFC4178-5-13")
@pytest.mark.parametrize("number", [2, 3])
def test_a_wrong_mic_ends_the_negotiation(number: int) -> None:
    def forge(reply: NegTokenResp) -> NegTokenResp:
        assert reply.mic is not None
        return reply._replace(mic=reply.mic[:5] + bytes([reply.mic[5] ^ 1]) + reply.mic[6:])

    assert status(lambda: run(client(), server(), reply_changed(number, forge))) is SecurityStatus.SEC_E_MESSAGE_ALTERED


@pytest.mark.requirement("RFC4178-5-01")
def test_without_integrity_there_are_no_mics() -> None:
    tokens = run(client(flags=0), server())
    assert all(NegTokenResp.from_bytes(token).mic is None for token in tokens[1:])


@pytest.mark.requirement("MSSPNG-3.2.5.1-01", "MSSPNG-3.2.5.1-02", "MSSPNG-3.3.5.1-01")
@pytest.mark.parametrize("flags", [SIGN, SEAL])
def test_after_the_mics_the_cipher_is_where_it_was_and_the_number_is_not(flags: int) -> None:
    from saslsspi.packages.ntlm.protection import protect

    ours, theirs = client(flags=flags), server()
    run(ours, theirs)
    wire = ours.wrap(b"hello")
    assert wire[12:16] == b"\x01\0\0\0"
    # A context that never signed a list, one message further, has the same key stream.
    key = sspi.query_context_attributes(ours, sspi.SecPkgContextSessionKey).session_key
    fresh = protect(0xE2088237 if flags == SEAL else 0xE2088217, key, client=True, seal_always=False)
    fresh._sender._number = 1  # type: ignore[attr-defined]
    assert b"".join(fresh.seal(b"hello")) == wire
    assert theirs.unwrap(wire) == b"hello"
    assert ours.unwrap(theirs.wrap(b"answer")) == b"answer"


@pytest.mark.requirement("RFC4178-5-04", "RFC4178-5-05")
def test_the_mic_is_over_the_list_alone() -> None:
    ours, theirs = client(StandIn(3), packages="kerberos,ntlm"), server(StandIn(3), packages="ntlm,kerberos")
    tokens = run(ours, theirs)
    offer = NegTokenInit.from_bytes(tokens[0])
    protection = ours._context.protection()  # type: ignore[union-attr]
    mic = NegTokenResp.from_bytes(tokens[2]).mic
    assert offer.mech_list[0] == 0x30
    assert mic == protection.sign(mech_type_list((KERBEROS, MS_KERBEROS, NTLM)), 0)


@pytest.mark.requirement(
    "RFC4178-3.2-04", "RFC4178-3.2-05", "RFC4178-5-02", "RFC4178-5-11", "RFC4178-5-16", "RFC4178-5-18"
)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_favourite_of_both_needs_no_mic(count: int) -> None:
    ours, theirs = client(StandIn(count)), server(StandIn(count))
    tokens = run(ours, theirs)
    assert ours.complete
    assert theirs.complete
    assert len(tokens) == max(2, count + count % 2)
    assert states(tokens)[-1] is NegState.ACCEPT_COMPLETED
    assert all(NegTokenResp.from_bytes(token).mic is None for token in tokens[1:])
    assert info(ours).package_info.name == info(theirs).package_info.name == "Kerberos"


@pytest.mark.requirement(
    "RFC4178-3.2-02", "RFC4178-5-03", "RFC4178-5-06", "RFC4178-5-07", "RFC4178-5-08", "RFC4178-5-12", "RFC4178-5-13",
    "RFC4178-5-17", "RFC4178-6-03",
)  # fmt: skip
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_where_the_favourites_differ_both_sides_protect_the_list(count: int) -> None:
    ours = client(StandIn(count), packages="kerberos,ntlm")
    theirs = server(StandIn(count), packages="ntlm,kerberos")
    tokens = run(ours, theirs)
    assert ours.complete
    assert theirs.complete
    assert states(tokens)[0] is NegState.REQUEST_MIC
    assert sum(NegTokenResp.from_bytes(token).mic is not None for token in tokens[1:]) == 2
    assert info(ours).mech_list_protected
    assert info(theirs).mech_list_protected


@pytest.mark.requirement("RFC4178-6-03", "RFC4178-3.2-02")
def test_a_favourite_that_was_not_offered_demands_the_mics() -> None:
    tokens = run(client(None), server(StandIn()))
    assert states(tokens)[0] is NegState.REQUEST_MIC


@pytest.mark.requirement("RFC4178-5-10", "RFC4178-5-15")
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_mic_that_was_taken_away_ends_the_negotiation(count: int) -> None:
    def strip(at: int, token: bytes) -> bytes:
        return NegTokenResp.from_bytes(token)._replace(mic=None).to_bytes() if at else token

    ours, theirs = client(StandIn(count), packages="kerberos,ntlm"), server(StandIn(count), packages="ntlm,kerberos")
    with contextlib.suppress(InvalidToken):
        run(ours, theirs, strip)
    assert not theirs.complete


@pytest.mark.requirement("RFC4178-7-01", "RFC4178-7-02")
@pytest.mark.parametrize("count", [2, 3])
def test_a_list_that_was_shortened_fails_on_both_sides(count: int) -> None:
    """Somebody in the middle takes the client's favourite away, so that its second choice is taken."""
    shortened = offer_changed(lambda offer: NegTokenInit((KERBEROS,), mech_type_list((KERBEROS,)), None))
    ours = client(StandIn(count), packages="ntlm,kerberos")
    theirs = server(StandIn(count), packages="ntlm,kerberos")
    assert status(lambda: run(ours, theirs, shortened)) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert not theirs.complete
    assert not ours.complete


@pytest.mark.requirement("RFC4178-4.2.2-02")
def test_request_mic_in_a_later_reply_is_refused() -> None:
    late = reply_changed(3, lambda reply: reply._replace(state=NegState.REQUEST_MIC))
    assert status(lambda: run(client(), server(), late)) is SecurityStatus.SEC_E_INVALID_TOKEN
