"""Where messages end in a stream, and bind responses among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ldap.scripted import bind_response, message, who_am_i_response
from saslsspi.adapters.ldap.bind_responses import BindResponses
from saslsspi.adapters.ldap.message_heads import Head, read_head
from saslsspi.der import integer, sequence
from saslsspi.errors import InvalidToken

NUMBERS = st.integers(0, 2**31 - 1)
OTHERS = st.builds(who_am_i_response, NUMBERS, st.text(max_size=400)) | st.builds(
    message, NUMBERS, st.sampled_from([0x64, 0x65, 0x73]), st.just(0)
)
BINDS = st.builds(bind_response, NUMBERS, st.just(0), st.none() | st.binary(max_size=400))


def long_form(octets: bytes) -> bytes:
    """The same message with the length of four octets that Active Directory writes."""
    body = octets[2:] if octets[1] < 0x80 else octets[2 + (octets[1] & 0x7F) :]
    return b"\x30\x84" + len(body).to_bytes(4) + body


@given(st.lists(OTHERS | BINDS | OTHERS.map(long_form) | BINDS.map(long_form), max_size=8), st.data())
def test_the_end_of_every_bind_response_is_found_however_the_stream_is_split(
    messages: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(messages)
    ends = [
        sum(map(len, messages[: number + 1])) for number, octets in enumerate(messages) if _operation(octets) == b"\x61"
    ]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    follower, found, base = BindResponses(), [], 0
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        piece = stream[start:end]
        base = start
        while piece:
            at = follower.take(piece)
            if at is None:
                break
            base += at
            found.append(base)
            piece = piece[at:]
    assert found == ends


def _operation(octets: bytes) -> bytes:
    body = octets[2:] if octets[1] < 0x80 else octets[2 + (octets[1] & 0x7F) :]
    return body[2 + body[1] :][:1]


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1",
        b"\x30\x00",
        b"\x30\x80\x02\x01\x01",
        b"\x30\x85\x01\x00\x00\x00\x00",
        b"\x30\x05\x04\x01\x01\x61\x00",
        b"\x30\x09\x02\x05\x01\x01\x01\x01\x01\x61\x00",
        b"\x30\x03\x02\x01\x01\x61\x00",
        sequence(integer(1))[:-1] + b"\x01\x61",
    ],
)
def test_what_is_no_ldap_is_refused(octets: bytes) -> None:
    with pytest.raises(InvalidToken):
        BindResponses().take(octets)


@given(st.binary(max_size=64))
def test_octets_of_any_kind_raise_nothing_else(octets: bytes) -> None:
    follower = BindResponses()
    try:
        while octets and (at := follower.take(octets)) is not None:
            octets = octets[at:]
    except InvalidToken:
        pass


@given(st.binary(max_size=40))
def test_a_head_is_read_or_refused(octets: bytes) -> None:
    try:
        head = read_head(octets)
    except InvalidToken:
        return
    assert head is None or head.size >= 5


@pytest.mark.parametrize("size", range(1, 12))
def test_a_head_needs_its_octets(size: int) -> None:
    octets = bytes.fromhex("3084000000080204") + bytes.fromhex("00000001") + b"\x42"
    assert read_head(octets[:size]) is None


def test_lengths_of_the_long_form_are_taken() -> None:
    octets = bytes.fromhex("308400000008028200010160") + b"\x81\x00"
    assert read_head(octets) == Head(1, 0x60, 14)
