"""The encoding of SPNEGO's tokens, and what damaged ones lead to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saslsspi import SaslError, der
from saslsspi.der import context, element, octet_string, oid, sequence
from saslsspi.packages.negotiate.assembly import Assembly
from saslsspi.packages.negotiate.messages import HINT, SPNEGO, NegState, NegTokenInit, NegTokenResp, mech_type_list
from sspi_context import ACCEPT_SEAL, SEAL, TARGET, Context, client_credential, run, server_credential

NTLM = "1.3.6.1.4.1.311.2.2.10"
MECHANISMS = ("1.2.840.48018.1.2.2", "1.2.840.113554.1.2.2", "1.3.6.1.4.1.311.2.2.30", NTLM)
# MS-SPNG section 4, without the NEGOEX token in the middle.
WINDOWS_HINTS = bytes.fromhex(
    "605c06062b0601050502a0523050a01a3018060a2b06010401823702021e060a2b06010401823702020aa2060404"
    "4e45474fa32a3028a0261b246e6f745f646566696e65645f696e5f5246433431373840706c656173655f69676e6f7265"
)


@pytest.mark.requirement("RFC4178-4-01", "RFC4178-4.2-01", "RFC4178-4.2.1-05", "RFC4178-4.2.1-02")
def test_golden_negtokeninit() -> None:
    token = NegTokenInit((NTLM,), mech_type_list((NTLM,)), b"token", b"mic").to_bytes()
    assert token == bytes.fromhex(
        "602c06062b0601050502a0223020a00e300c060a2b06010401823702020aa2070405746f6b656ea3050403" + b"mic".hex()
    )
    read = NegTokenInit.from_bytes(token)
    assert read == NegTokenInit((NTLM,), mech_type_list((NTLM,)), b"token", b"mic")
    assert token[0] == 0x60


@pytest.mark.requirement("RFC4178-4-01", "RFC4178-4.2-02")
def test_golden_negtokenresp() -> None:
    token = NegTokenResp(NegState.ACCEPT_INCOMPLETE, NTLM, b"token", b"mic").to_bytes()
    assert token == bytes.fromhex(
        "a1253023a0030a0101a10c060a2b06010401823702020aa2070405746f6b656ea3050403" + b"mic".hex()
    )
    assert NegTokenResp.from_bytes(token) == NegTokenResp(NegState.ACCEPT_INCOMPLETE, NTLM, b"token", b"mic")


@pytest.mark.requirement("MSSPNG-2.2.1-01")
def test_windows_hints_are_told_from_a_mic() -> None:
    read = NegTokenInit.from_bytes(WINDOWS_HINTS)
    assert read.mech_types == ("1.3.6.1.4.1.311.2.2.30", NTLM)
    assert (read.token, read.mic, read.hint) == (b"NEGO", None, HINT)
    assert read.to_bytes() == WINDOWS_HINTS
    assert NegTokenInit.from_bytes(read._replace(mic=b"mic").to_bytes()).mic == b"mic"


@pytest.mark.requirement("RFC4178-6-01", "RFC4178-4.2.1-03", "RFC4178-4.2.1-04", "MSSPNG-3.1.5.3-01")
@pytest.mark.parametrize("bits", [[True], [True] * 7, [False] * 32, []])
def test_request_flags_and_unknown_fields_are_ignored(bits: list[bool]) -> None:
    fields = sequence(
        element(context(0), mech_type_list((NTLM,))),
        element(context(1), der.bit_string(bits)),
        element(context(2), octet_string(b"token")),
        element(context(9), octet_string(b"unknown")),
    )
    read = NegTokenInit.from_bytes(element(0x60, oid(SPNEGO), element(context(0), fields)))
    assert (read.mech_types, read.token) == ((NTLM,), b"token")
    resp = sequence(element(context(0), der.enumerated(0)), element(context(9), octet_string(b"unknown")))
    assert NegTokenResp.from_bytes(element(context(1), resp)).state is NegState.ACCEPT_COMPLETED


@pytest.mark.requirement("RFC4178-5-05")
def test_the_list_is_kept_as_it_was_received() -> None:
    listed = mech_type_list((NTLM,))
    clumsy = b"\x30\x81" + listed[1:]  # a long form where a short one would do
    fields = sequence(element(context(0), clumsy))
    read = NegTokenInit.from_bytes(element(0x60, oid(SPNEGO), element(context(0), fields)))
    assert read.mech_list == clumsy


@pytest.mark.requirement("RFC4178-4.2-03", "RFC4178-4.2.1-01")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x60",
        b"\x60\x80" + bytes(20),
        element(0x60, oid(NTLM), element(context(0), sequence(element(context(0), mech_type_list((NTLM,)))))),
        element(0x60, oid(SPNEGO), element(context(1), sequence())),
        element(0x60, oid(SPNEGO), element(context(0), sequence())),
        element(0x60, oid(SPNEGO), element(context(0), sequence(element(context(0), sequence())))),
        NegTokenInit((NTLM,), mech_type_list((NTLM,) * 40)).to_bytes(),
        NegTokenInit((NTLM,), mech_type_list((NTLM,))).to_bytes() + b"\0",
    ],
)
def test_malformed_offers_are_invalid_tokens(data: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        NegTokenInit.from_bytes(data)
    assert caught.value.winerror == -2146893048


@pytest.mark.parametrize("state", [4, -1, 127])
def test_another_state_is_an_invalid_token(state: int) -> None:
    with pytest.raises(SaslError):
        NegTokenResp.from_bytes(element(context(1), sequence(element(context(0), der.enumerated(state)))))


def test_a_mic_that_repeats_the_token_is_none() -> None:
    assert NegTokenResp.from_bytes(NegTokenResp(None, None, b"same", b"same").to_bytes()).mic is None
    assert NegTokenResp.from_bytes(NegTokenResp(None, None, b"this", b"that").to_bytes()).mic == b"that"


octet_strings = st.none() | st.binary(max_size=40)


@given(st.none() | st.sampled_from(NegState), st.none() | st.sampled_from(MECHANISMS), octet_strings, octet_strings)
def test_replies_survive_a_round_trip(
    state: NegState | None, mech: str | None, token: bytes | None, mic: bytes | None
) -> None:
    reply = NegTokenResp(state, mech, token, None if mic == token else mic)
    assert NegTokenResp.from_bytes(reply.to_bytes()) == reply


@given(st.lists(st.sampled_from(MECHANISMS), min_size=1, max_size=9), octet_strings, octet_strings, st.booleans())
def test_offers_survive_a_round_trip(mechs: list[str], token: bytes | None, mic: bytes | None, hints: bool) -> None:
    offer = NegTokenInit(tuple(mechs), mech_type_list(tuple(mechs)), token, mic, HINT if hints else None)
    assert NegTokenInit.from_bytes(offer.to_bytes()) == offer


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"", b"\x60", b"\xa1", b"\xa0"]), st.binary(max_size=120))
def test_any_octets_are_a_token_or_our_error(head: bytes, rest: bytes) -> None:
    for read in (NegTokenInit.from_bytes, NegTokenResp.from_bytes, Assembly().feed):
        try:
            read(head + rest)
        except SaslError:
            continue


CLIENT, SERVER = client_credential("Negotiate", package_list="ntlm"), server_credential("Negotiate")
damage = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3), damage, st.integers(0, 600))
def test_a_damaged_negotiation_ends_in_success_or_our_error(
    number: int, changes: list[tuple[int, int]], keep: int
) -> None:
    def damaged(at: int, token: bytes) -> bytes:
        octets = bytearray(token[:keep] if at == number else token)
        for where, value in changes if at == number else ():
            if where < len(octets):
                octets[where] = value
        return bytes(octets)

    client, server = Context(CLIENT, SEAL, TARGET), Context(SERVER, ACCEPT_SEAL)
    try:
        run(client, server, damaged)
    except SaslError:
        assert not (client.complete and server.complete)


def test_pieces_are_put_together() -> None:
    token = NegTokenInit((NTLM,), mech_type_list((NTLM,)), bytes(300)).to_bytes()
    assembly = Assembly()
    assert [assembly.feed(token[at : at + 100]) for at in range(0, len(token), 100)][:-1] == [None, None, None]
    assert not assembly.unfinished
    assembly = Assembly()
    assert assembly.feed(token[:5]) is None
    assert assembly.feed(token[5:]) == token


@pytest.mark.requirement("MSSPNG-3.1.5.9-03")
@pytest.mark.parametrize(
    "head", [b"\x60\x84\x7f\xff\xff\xff", b"\x60\x83\x02\x00\x00", b"\x60\x85\0\0\0\0\0", b"\x60\x82"]
)
def test_announced_sizes_are_bounded(head: bytes) -> None:
    with pytest.raises(SaslError):
        Assembly().feed(head)
