from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi.errors import InvalidToken
from saslsspi.sasl.gs2 import BindingFlag, Gs2Header
from saslsspi_mechanisms.scram.messages import (
    ClientFinal,
    ClientFirst,
    ServerFinal,
    ServerFirst,
)
from vector_files import load

claim = pytest.mark.requirement
BAD_NAME = b"e=invalid-username-encoding"
MANDATORY = b"e=extensions-not-supported"

Message = type[ClientFirst] | type[ServerFirst] | type[ClientFinal] | type[ServerFinal]

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
nonces = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0,"), min_size=1, max_size=8)
extensions = st.lists(st.builds("{}={}".format, st.sampled_from("bdxyzAN"), values), max_size=3).map(tuple)
types = st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True)
identities = st.one_of(st.just(""), names)
headers = st.one_of(
    st.builds(Gs2Header, st.sampled_from([BindingFlag.NONE, BindingFlag.SERVER_HAS_NONE]), authzid=identities),
    st.builds(Gs2Header, st.just(BindingFlag.USED), types, identities),
)
octets = st.binary(min_size=1, max_size=40)


@given(st.builds(ClientFirst, headers, names, nonces, extensions))
def test_client_first_survives_the_wire(message: ClientFirst) -> None:
    wire = message.to_bytes()
    assert ClientFirst.from_bytes(wire) == message
    assert wire == message.header.to_bytes() + message.bare


@given(st.builds(ServerFirst, nonces, octets, st.integers(1, 9_999_999_999), extensions))
def test_server_first_survives_the_wire(message: ServerFirst) -> None:
    assert ServerFirst.from_bytes(message.to_bytes()) == message


@given(st.builds(ClientFinal, octets, nonces, octets, extensions))
def test_client_final_survives_the_wire(message: ClientFinal) -> None:
    wire = message.to_bytes()
    assert ClientFinal.from_bytes(wire) == message
    assert wire.startswith(message.without_proof + b",p=")


@given(
    st.one_of(
        st.builds(ServerFinal, signature=octets, extensions=extensions),
        st.builds(ServerFinal, error=values, extensions=extensions),
    )
)
def test_server_final_survives_the_wire(message: ServerFinal) -> None:
    assert ServerFinal.from_bytes(message.to_bytes()) == message


@given(st.binary(max_size=60), st.sampled_from([ClientFirst, ServerFirst, ClientFinal, ServerFinal]))
def test_any_octets_decode_exactly_or_raise_our_error(data: bytes, kind: Message) -> None:
    try:
        message = kind.from_bytes(data)
    except InvalidToken:
        return
    assert message.to_bytes() == data


WELL_FORMED = {
    ClientFirst: b"p=tls-unique,a=adm,n=user,r=abc,x=1",
    ServerFirst: b"r=abcdef,s=QUJD,i=4096,x=1",
    ClientFinal: b"c=biws,r=abcdef,x=1,p=QUJD",
    ServerFinal: b"v=QUJD,x=1",
}


@given(st.sampled_from(list(WELL_FORMED)), st.data())
def test_a_damaged_message_decodes_exactly_or_raises_our_error(kind: Message, data: st.DataObject) -> None:
    whole = WELL_FORMED[kind]
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(st.sampled_from([whole[:at], whole[:at] + whole[at + 1 :], whole + whole[at:]]))
    with contextlib.suppress(InvalidToken):
        assert kind.from_bytes(damaged).to_bytes() == damaged


@pytest.mark.requirement("RFC5802-7-01", "RFC5801-4-01")
@pytest.mark.parametrize("vector", load("scram"), ids=lambda vector: vector["id"])
def test_the_messages_of_the_rfcs_survive_the_wire(vector: dict[str, str]) -> None:
    for kind, name in (
        (ClientFirst, "client_first"),
        (ServerFirst, "server_first"),
        (ClientFinal, "client_final"),
        (ServerFinal, "server_final"),
    ):
        wire = vector[f"{name}_text"].encode()
        assert kind.from_bytes(wire).to_bytes() == wire


@pytest.mark.requirement("RFC5802-5.1-09", "RFC5801-4-03")
def test_comma_and_equals_are_escaped_in_both_names() -> None:
    message = ClientFirst(Gs2Header(BindingFlag.NONE, authzid="=2C,"), "a,b=c", "nonce")
    assert message.to_bytes() == b"n,a==3D2C=2C,n=a=2Cb=3Dc,r=nonce"
    assert ClientFirst.from_bytes(message.to_bytes()) == message


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(b"n,,n=a=2Db,r=x", BAD_NAME, marks=claim("RFC5802-5.1-10")),
        pytest.param(b"n,,n=a=2cb,r=x", BAD_NAME, marks=claim("RFC5802-5.1-10")),
        pytest.param(b"n,,n=a=,r=x", BAD_NAME, marks=claim("RFC5802-5.1-10")),
        pytest.param(b"n,a=a=b,n=a,r=x", BAD_NAME, marks=claim("RFC5801-4-03")),
        pytest.param(b"n,a=,n=a,r=x", BAD_NAME, marks=claim("RFC5801-4-03")),
        pytest.param(b"n,,r=x,n=a", b"e=other-error", marks=claim("RFC5802-5.1-01")),
        pytest.param(b"n,,r=x", b"e=other-error", marks=claim("RFC5802-5.1-04")),
        pytest.param(b"n,,n=,r=x", b"e=other-error", marks=claim("RFC5802-5.1-04")),
        pytest.param(b"n,,n=a", b"e=other-error", marks=claim("RFC5802-5.1-01")),
        pytest.param(b"n,,n=a,r=x y", b"e=other-error", marks=claim("RFC5802-5.1-12")),
        pytest.param(b"n,,n=a,r=x\x7f", b"e=other-error", marks=claim("RFC5802-5.1-12")),
        pytest.param("n,,n=a,r=ü".encode(), b"e=other-error", marks=claim("RFC5802-5.1-12")),
        pytest.param(b"n,,m=x,n=a,r=x", MANDATORY, marks=claim("RFC5802-5.1-11")),
        pytest.param(b"n,,n=a,r=x,m=y", MANDATORY, marks=claim("RFC5802-5.1-28")),
        pytest.param(b"n,,n=a,r=x,n=b", b"e=other-error", marks=claim("RFC5802-5.1-01")),
        pytest.param(b"n,,n=a,r=x,x=", b"e=other-error", marks=claim("RFC5802-7-01")),
        pytest.param(b"n,,n=a,r=x,", b"e=other-error", marks=claim("RFC5802-7-01")),
        pytest.param(b"n,,n=\xff,r=x", b"e=invalid-encoding", marks=claim("RFC5802-5-01")),
        pytest.param(b"n,,n=a\0b,r=x", b"e=other-error", marks=claim("RFC5802-7-01")),
        pytest.param(b"F,n,,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-02")),
        pytest.param(b"q,,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-01")),
        pytest.param(b"n=,,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-01")),
        pytest.param(b"p,,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-01")),
        pytest.param(b"p=,,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-01")),
        pytest.param(b"p=tls_unique,,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-01")),
        pytest.param(b"n,b=c,n=a,r=x", b"e=other-error", marks=claim("RFC5801-4-01")),
        pytest.param(b"", b"e=other-error"),
        pytest.param(b"n,,n=a,r=" + b"x" * 20000, b"e=other-error"),
    ],
)  # fmt: skip
def test_a_wrong_client_first_is_refused_with_what_is_sent(wire: bytes, error: bytes) -> None:
    with pytest.raises(InvalidToken) as caught:
        ClientFirst.from_bytes(wire)
    assert caught.value.token == error


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(b"r=x,c=biws,p=QUJD", b"e=other-error", marks=claim("RFC5802-5.1-01")),
        pytest.param(b"r=x,p=QUJD", b"e=other-error", marks=claim("RFC5802-5.1-17")),
        pytest.param(b"c=,r=x,p=QUJD", b"e=other-error", marks=claim("RFC5802-5.1-17")),
        pytest.param(b"c=biw,r=x,p=QUJD", b"e=invalid-encoding", marks=claim("RFC5802-7-01")),
        pytest.param(b"c=biws,r=x,p=QUJ=", b"e=invalid-encoding", marks=claim("RFC5802-7-01")),
        pytest.param(b"c=biws,r=x,p=QUJE\n", b"e=invalid-encoding", marks=claim("RFC5802-7-01")),
        pytest.param(b"c=biws,r=x", b"e=other-error", marks=claim("RFC5802-5.1-23")),
        pytest.param(b"c=biws,r=x,p=QUJD,x=1", b"e=other-error", marks=claim("RFC5802-5.1-23")),
        pytest.param(b"c=biws,r=x,m=1,p=QUJD", MANDATORY, marks=claim("RFC5802-5.1-29")),
        pytest.param(b"m=1,c=biws,r=x,p=QUJD", MANDATORY, marks=claim("RFC5802-5.1-29")),
    ],
)  # fmt: skip
def test_a_wrong_client_final_is_refused_with_what_is_sent(wire: bytes, error: bytes) -> None:
    with pytest.raises(InvalidToken) as caught:
        ClientFinal.from_bytes(wire)
    assert caught.value.token == error


@pytest.mark.parametrize(
    "wire",
    [
        *(
            pytest.param(b"r=x,s=QUJD,i=" + count, marks=claim("RFC5802-7-01"))
            for count in (b"04096", b"0", b"-1", b"", b"4096.0", b"+4096", b"99999999999", "४".encode())
        ),
        pytest.param(b"r=x,s=QUJD", marks=claim("RFC5802-5.1-19")),
        pytest.param(b"r=x,i=4096", marks=claim("RFC5802-5.1-18")),
        pytest.param(b"r=x,i=4096,s=QUJD", marks=claim("RFC5802-5.1-01")),
        pytest.param(b"r=x,s=,i=4096", marks=claim("RFC5802-5.1-18")),
        pytest.param(b"r=x,s=!,i=4096", marks=claim("RFC5802-7-01")),
        pytest.param(b"m=1,r=x,s=QUJD,i=4096", marks=claim("RFC5802-5.1-11")),
        pytest.param(b"r=x,s=QUJD,i=4096,m=1", marks=claim("RFC5802-5.1-28")),
    ],
)
def test_a_wrong_server_first_is_refused_and_nothing_is_sent(wire: bytes) -> None:
    with pytest.raises(InvalidToken) as caught:
        ServerFirst.from_bytes(wire)
    assert caught.value.token is None


@pytest.mark.parametrize("wire", [b"", b"v=", b"v", b"e=", b"x=1", b"v=!", b"v=QUJD,e=other-error", b"m=1,v=QUJD"])
@pytest.mark.requirement("RFC5802-5.1-24")
def test_a_wrong_server_final_is_refused(wire: bytes) -> None:
    with pytest.raises(InvalidToken):
        ServerFinal.from_bytes(wire)
