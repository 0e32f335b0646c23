from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi import der
from saslsspi.der import Lengths, Reader, Tag
from saslsspi.errors import InvalidParameter, InvalidToken

SPNEGO = "1.3.6.1.5.5.2"
NTLMSSP = "1.3.6.1.4.1.311.2.2.10"

# Every way to read one element; random octets go through each.
READS: list[Callable[[Reader], object]] = [
    Reader.integer,
    Reader.enumerated,
    Reader.oid,
    Reader.octet_string,
    Reader.bit_string,
    Reader.general_string,
    Reader.enter,
    Reader.end,
    lambda reader: reader.optional(der.context(0)),
    lambda reader: reader.encoded(Tag.SEQUENCE),
    lambda reader: reader.sequence_of(Reader.oid),
]

# Octets written by hand from X.690's examples and rules.
GOLDEN: list[tuple[bytes, str]] = [
    (der.integer(0), "020100"),
    (der.integer(127), "02017f"),
    (der.integer(128), "02020080"),
    (der.integer(-128), "020180"),
    (der.integer(-129), "0202ff7f"),
    (der.integer(0xC000006D), "020500c000006d"),
    (der.enumerated(3), "0a0103"),
    (der.oid("2.999.3"), "0603883703"),  # X.690 section 8.19.5
    (der.oid(SPNEGO), "06062b0601050502"),
    (der.oid(NTLMSSP), "060a2b06010401823702020a"),
    (der.octet_string(b"\x01\x02"), "04020102"),
    (der.general_string(b"not"), "1b036e6f74"),
    (der.bit_string([]), "030100"),
    (der.bit_string([True, False, True]), "030205a0"),
    (der.bit_string([False] * 7 + [True, True]), "0303070180"),
    (der.element(der.application(0), der.element(der.context(2), der.sequence())), "6004a2023000"),
    (der.octet_string(bytes(127))[:2], "047f"),
    (der.octet_string(bytes(128))[:3], "048180"),
    (der.octet_string(bytes(256))[:4], "04820100"),
]


@pytest.mark.parametrize(("written", "octets"), GOLDEN)
def test_writers_write_der(written: bytes, octets: str) -> None:
    assert written.hex() == octets


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_survive(value: int) -> None:
    reader = Reader(der.integer(value))
    assert reader.integer() == value
    reader.end()


@given(st.lists(st.booleans(), max_size=64))
def test_bit_strings_survive(bits: list[bool]) -> None:
    assert Reader(der.bit_string(bits)).bit_string() == tuple(bits)


@given(
    st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 39)),
        st.tuples(st.just(2), st.integers(0, 2**40)),
    ),
    st.lists(st.integers(0, 2**35), max_size=6),
)
def test_oids_survive(head: tuple[int, int], tail: list[int]) -> None:
    dotted = ".".join(map(str, (*head, *tail)))
    assert der.decode_oid(der.encode_oid(dotted)) == dotted
    assert Reader(der.oid(dotted)).oid() == dotted


@given(st.binary(min_size=1, max_size=70))
def test_oid_octets_that_are_taken_are_written_back(contents: bytes) -> None:
    try:
        dotted = der.decode_oid(contents)
    except InvalidToken:
        return
    assert der.encode_oid(dotted) == contents


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_sequences_survive(items: list[bytes]) -> None:
    reader = Reader(der.sequence(*map(der.octet_string, items)))
    assert reader.sequence_of(Reader.octet_string) == items
    reader.end()


@given(st.binary(max_size=64), st.sampled_from(list(Lengths)))
def test_random_octets_raise_nothing_but_invalid_token(data: bytes, lengths: Lengths) -> None:
    for read in READS:
        try:
            read(Reader(data, lengths=lengths))
        except InvalidToken:
            continue


@given(st.sampled_from([0x02, 0x03, 0x06, 0x0A, 0x30, 0xA0]), st.binary(max_size=24))
def test_random_contents_raise_nothing_but_invalid_token(tag: int, contents: bytes) -> None:
    for read in READS:
        try:
            read(Reader(der.element(tag, contents)))
        except InvalidToken:
            continue


def test_gss_header_and_choice_are_read_in_place() -> None:
    # RFC 2743 section 3.1: [APPLICATION 0] { OID, inner token as it stands }.
    reader = Reader(der.element(der.application(0), der.oid(SPNEGO), b"\x01\x00inner"))
    token = reader.enter(der.application(0))
    reader.end()
    assert token.oid() == SPNEGO
    assert token.rest() == b"\x01\x00inner"
    token.end()


def test_optional_fields_are_entered_or_passed_over() -> None:
    reader = Reader(der.sequence(der.element(der.context(2), der.octet_string(b"token")))).enter()
    assert reader.optional(der.context(0)) is None
    assert reader.peek() == der.context(2)
    field = reader.optional(der.context(2))
    assert field is not None
    assert field.octet_string() == b"token"
    assert reader.peek() is None
    assert reader.optional(der.context(3)) is None


def test_encoded_returns_the_octets_as_received() -> None:
    received = bytes.fromhex("30810806062b0601050502")
    assert Reader(received, lengths=Lengths.ANY_DEFINITE).encoded(Tag.SEQUENCE) == received


@pytest.mark.parametrize(
    "octets",
    [
        "04817f" + "00" * 127,  # long form where short will do
        "04820080" + "00" * 128,  # a leading zero
    ],
)
def test_lengths_that_are_not_minimal_are_taken_on_request_only(octets: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(InvalidToken, match="minimal"):
        Reader(data).octet_string()
    assert set(Reader(data, lengths=Lengths.ANY_DEFINITE).octet_string()) == {0}


@pytest.mark.parametrize("lengths", list(Lengths))
@pytest.mark.parametrize(
    "octets",
    [
        "",
        "04",
        "0401",
        "0480000000",  # indefinite
        "04847fffffff00",  # 2 GB
        "0485000000000100",  # five octets of length
        "0481",  # cut within the length
        "04ff00",
        "0500",  # another tag
        "1f0400",  # a tag of several octets
    ],
)
@pytest.mark.requirement("MSSPNG-3.1.5.9-03")
def test_elements_that_do_not_fit_are_refused(octets: str, lengths: Lengths) -> None:
    with pytest.raises(InvalidToken, match="offset 0"):
        Reader(bytes.fromhex(octets), lengths=lengths).octet_string()


def test_element_may_not_reach_beyond_what_encloses_it() -> None:
    inner = Reader(bytes.fromhex("3003040201") + b"\x02\x03").enter()
    with pytest.raises(InvalidToken, match="exceeds the 1 octets left"):
        inner.octet_string()


def test_errors_count_from_the_outermost_octet() -> None:
    inner = Reader(der.sequence(der.integer(1), der.octet_string(b""))).enter()
    inner.integer()
    with pytest.raises(InvalidToken, match=r"offset 5: tag 0x04 where 0x02 is due"):
        inner.integer()


def test_octets_left_over_are_refused() -> None:
    reader = Reader(der.integer(1) + b"\0")
    reader.integer()
    with pytest.raises(InvalidToken, match="1 octets left over"):
        reader.end()


@pytest.mark.parametrize("octets", ["0200", "02020001", "0202007f", "0202ffff", "0202ff80", "0209" + "01" * 9])
def test_malformed_integers_are_refused(octets: str) -> None:
    with pytest.raises(InvalidToken, match="INTEGER"):
        Reader(bytes.fromhex(octets)).integer()


def test_integer_and_enumerated_are_bounded() -> None:
    assert Reader(bytes.fromhex("0209" + "01" * 9)).integer(max_octets=9) == 0x010101010101010101
    assert Reader(bytes.fromhex("0a047fffffff")).enumerated() == 0x7FFFFFFF
    with pytest.raises(InvalidToken):
        Reader(bytes.fromhex("0a050102030405")).enumerated()


@pytest.mark.parametrize("octets", ["0300", "030101", "03020800", "030201ff", "0302ff00"])
def test_malformed_bit_strings_are_refused(octets: str) -> None:
    with pytest.raises(InvalidToken, match="BIT STRING"):
        Reader(bytes.fromhex(octets)).bit_string()


def test_bit_strings_are_bounded() -> None:
    with pytest.raises(InvalidToken, match="at most 8"):
        Reader(der.bit_string([True] * 9)).bit_string(max_bits=8)


@pytest.mark.parametrize("octets", ["0600", "06022b80", "06032b8001", "0641" + "01" * 65, "060180"])
def test_malformed_oids_are_refused(octets: str) -> None:
    with pytest.raises(InvalidToken, match="OBJECT IDENTIFIER"):
        Reader(bytes.fromhex(octets)).oid()


@pytest.mark.parametrize(
    "dotted", ["", "1", "1.", ".1", "3.1", "1.40", "1.-2", "1.02", "1.\u0662", "1.x", "2.1" + ".1" * 64, "1.1" * 999]
)
def test_oids_that_cannot_be_written_are_refused(dotted: str) -> None:
    with pytest.raises(InvalidParameter):
        der.oid(dotted)


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = der.sequence(data)
    return data


def test_nesting_is_bounded() -> None:
    reader = Reader(nested(der.MAX_DEPTH + 1))
    for _ in range(der.MAX_DEPTH):
        reader = reader.enter()
    with pytest.raises(InvalidToken, match="nest deeper"):
        reader.enter()


def test_sizes_and_counts_are_bounded() -> None:
    with pytest.raises(InvalidToken, match="at most 3"):
        Reader(bytes(4), max_size=3)
    with pytest.raises(InvalidToken):
        Reader(bytes(der.MAX_SIZE + 1))
    two = der.sequence(der.integer(1), der.integer(2))
    assert Reader(two).sequence_of(Reader.integer, max_count=2) == [1, 2]
    with pytest.raises(InvalidToken, match="more than 1"):
        Reader(two).sequence_of(Reader.integer, max_count=1)
