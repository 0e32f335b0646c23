"""The framing of security layers, and Layer over a stand-in protection (RFC 4422 section 3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saslsspi import Layer
from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.protection import Octets, Protection
from saslsspi.errors import ContextMisuse, InvalidToken, MessageAltered, OutOfSequence
from saslsspi.sasl.layer import Deframer
from saslsspi.status import SecurityStatus


def framed(*buffers: bytes) -> bytes:
    return b"".join(len(buffer).to_bytes(4) + buffer for buffer in buffers)


def pieces(octets: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut octets at the given places, which may repeat or lie outside."""
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[start:end] for start, end in pairwise(places)]


class Brackets(Protection):
    """A protection that shows what it does: brackets, a number, and one octet more for each."""

    encrypts = False
    recovers = True
    header_size = 1
    session_key = None
    signature_algorithm = encryption_algorithm = ""
    key_bits = 0
    sizes = SecPkgContextSizes()

    def __init__(self, max_payload: int = 100, max_receive: int = 103) -> None:
        self.max_payload = max_payload
        self.max_receive = max_receive
        self._sent = self._received = 0
        self.seal = self._seal
        self.unseal = self._unseal

    def _seal(self, message: Octets) -> tuple[Octets, ...]:
        self._sent += 1
        return b"[", message, bytes([self._sent - 1]), b"]"

    def _unseal(self, wire: Octets) -> bytes:
        octets = bytes(wire)
        if octets[:1] != b"[" or octets[-1:] != b"]":
            raise MessageAltered("no brackets")
        if octets[-2] != self._received:
            raise OutOfSequence("another number")
        self._received += 1
        return octets[1:-2]

    def overhead(self, size: int) -> int:
        return 3

    def sign(self, message: bytes, sequence: int) -> bytes:
        raise NotImplementedError

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        raise NotImplementedError


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 500), max_size=20))
def test_buffers_are_cut_out_of_any_split_of_the_stream(buffers: list[bytes], cuts: list[int]) -> None:
    deframer = Deframer(40)
    found: list[bytes] = []
    for piece in pieces(framed(*buffers), cuts):
        found += deframer.feed(piece)
    assert found == buffers
    assert deframer.empty


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_any_octets_are_cut_the_same_way_whatever_the_split(octets: bytes, cuts: list[int]) -> None:
    def run(parts: Sequence[bytes]) -> tuple[list[bytes], bool]:
        deframer, found = Deframer(64), []
        try:
            for part in parts:
                found += deframer.feed(part)
        except InvalidToken:
            return found, True
        return found, False

    one_by_one, refused = run([octets[at : at + 1] for at in range(len(octets))])
    split, refused_too = run(pieces(octets, cuts))
    assert refused is refused_too
    assert one_by_one[: len(split)] == split  # buffers that share a piece with the bad length are lost with it
    if not refused:
        assert one_by_one == split


@pytest.mark.parametrize("size", [41, 0x10000, 0xFFFFFFFC, 0xFFFFFFFF])
@pytest.mark.parametrize("whole", [True, False])
def test_a_length_above_the_maximum_is_refused_with_its_fourth_octet(size: int, whole: bool) -> None:
    deframer = Deframer(40)
    length = size.to_bytes(4)
    assert deframer.feed(length[:3]) == []
    with pytest.raises(InvalidToken) as caught:
        deframer.feed(length[3:] + (b"x" * 100 if whole else b""))
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_TOKEN
    assert caught.value.requirement == "RFC4422-3.7-06"
    assert deframer.empty


def test_the_largest_buffer_and_an_empty_one_are_taken() -> None:
    assert Deframer(40).feed(framed(b"x" * 40, b"", b"y")) == [b"x" * 40, b"", b"y"]


def test_a_half_buffer_is_no_boundary() -> None:
    layer = Layer(Brackets())
    assert layer.at_boundary
    assert layer.feed(b"\x00") == []
    assert not layer.at_boundary
    assert layer.feed(b"\x00\x00\x04[a") == []
    assert not layer.at_boundary
    assert layer.feed(b"\x00]") == [b"a"]
    assert layer.at_boundary


@settings(deadline=None)
@given(st.lists(st.binary(max_size=250), max_size=6), st.lists(st.integers(0, 2000), max_size=20))
def test_what_is_wrapped_is_unwrapped_whatever_the_split(texts: list[bytes], cuts: list[int]) -> None:
    sender, receiver = Layer(Brackets()), Layer(Brackets())
    wire = b"".join(sender.wrap(text) for text in texts)
    assert b"".join(receiver.unwrap(piece) for piece in pieces(wire, cuts)) == b"".join(texts)
    assert receiver.at_boundary


@pytest.mark.parametrize(("size", "buffers"), [(0, 1), (1, 1), (100, 1), (101, 2), (200, 2), (201, 3)])
def test_a_long_text_goes_into_as_many_buffers_as_it_needs(size: int, buffers: int) -> None:
    wire = Layer(Brackets()).wrap(b"x" * size)
    assert len(Deframer(103).feed(wire)) == buffers
    assert len(wire) == size + buffers * 7


def test_an_empty_message_can_be_told_from_none() -> None:
    sender, receiver = Layer(Brackets()), Layer(Brackets())
    assert receiver.feed(b"") == []
    assert receiver.feed(sender.wrap(b"")) == [b""]


@pytest.mark.parametrize("big", [10, 5000, 70_000])
def test_memory_of_every_kind_is_taken(big: int) -> None:
    for kind in (bytes, memoryview):
        sender, receiver = Layer(Brackets(big, big + 3)), Layer(Brackets(big, big + 3))
        text = b"x" * big
        assert receiver.unwrap(kind(sender.wrap(kind(text)))) == text


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (framed(b"x\x00]"), MessageAltered),
        (framed(b"[\x01]"), OutOfSequence),
        (b"\xff\xff\xff\xfc", InvalidToken),
        (framed(b"[\x00]", b"[\x00]"), OutOfSequence),
    ],
)
@pytest.mark.parametrize("how", ["feed", "unwrap"])
def test_after_an_error_the_layer_is_dead_both_ways(
    wire: bytes, error: type[MessageAltered | OutOfSequence | InvalidToken], how: str
) -> None:
    layer = Layer(Brackets())
    with pytest.raises(error):
        getattr(layer, how)(wire)
    for late in (framed(b"[\x00]"), b"\x00", b""):
        with pytest.raises(ContextMisuse):
            layer.feed(late)
    with pytest.raises(ContextMisuse):
        layer.unwrap(framed(b"[\x00]"))
    with pytest.raises(ContextMisuse):
        layer.wrap(b"text")


def test_a_buffer_in_pieces_is_bounded_by_the_maximum() -> None:
    layer = Layer(Brackets())
    layer.feed((103).to_bytes(4))
    for _ in range(102):
        assert layer.feed(b"[") == []
    with pytest.raises(MessageAltered):
        layer.feed(b"x")
