"""The grammar of Digest's messages: lists, white space, tokens, quoted strings (RFC 2831 sections 7.1 and 7.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.digest.ours import new_client, new_server, refuse
from packages.digest.scripted import ScriptedClient, ScriptedServer, parse_strictly, values
from saslsspi.engine.policy import Tolerances
from saslsspi.errors import InvalidToken, SaslError
from saslsspi.packages.digest.http.messages import AuthenticationInfo, HttpChallenge, HttpResponse
from saslsspi.packages.digest.sasl.messages import DigestChallenge, DigestResponse, ResponseAuth
from saslsspi.status import SecurityStatus

PLAIN = b'realm="a",nonce="b",qop="auth",charset=utf-8,algorithm=md5-sess'


def challenge(text: bytes) -> DigestChallenge:
    return DigestChallenge.from_bytes(text)


@pytest.mark.requirement("RFC2831-7.1-01")
@pytest.mark.parametrize(
    "text",
    [
        b'REALM="a",NONCE="b",QOP="auth",CHARSET=utf-8,ALGORITHM=md5-sess',
        b'Realm="a",Nonce="b",Qop="AUTH",Charset=UTF-8,Algorithm=MD5-SESS',
        b'rEALM="a",nonCE="b",qop="Auth",charseT=Utf-8,algorithm=md5-SESS',
    ],
)
def test_names_and_literals_have_no_case(text: bytes) -> None:
    assert challenge(text) == challenge(PLAIN)


@pytest.mark.requirement("RFC2831-7.1-01")
def test_values_in_quotes_keep_their_case() -> None:
    read = challenge(b'realm="Aa",nonce="Bb",algorithm=md5-sess')
    assert (read.realms, read.nonce) == ((b"Aa",), b"Bb")


@pytest.mark.requirement("RFC2831-7.1-02")
@pytest.mark.parametrize(
    "text",
    [
        b'realm="a",,nonce="b", ,qop="auth",charset=utf-8,algorithm=md5-sess',
        b',realm="a",nonce="b",qop="auth",charset=utf-8,algorithm=md5-sess,',
        b',,\t,realm="a",nonce="b",qop=",auth,,",charset=utf-8,algorithm=md5-sess , ,',
    ],
)
def test_null_elements_do_not_count(text: bytes) -> None:
    assert challenge(text) == challenge(PLAIN)


@pytest.mark.requirement("RFC2831-7.1-03", "RFC2831-2.1.1-01")
@pytest.mark.parametrize("text", [b"", b",", b" , ,", b"\r\n ,"])
def test_a_message_of_null_elements_is_none(text: bytes) -> None:
    for reader in (DigestChallenge, DigestResponse, ResponseAuth):
        with pytest.raises(InvalidToken):
            reader.from_bytes(text, Tolerances.DEFAULT)


@pytest.mark.requirement("RFC2831-7.1-03")
@pytest.mark.parametrize("options", [b'""', b'","', b'" , "'])
def test_a_list_of_options_has_an_element(options: bytes) -> None:
    with pytest.raises(InvalidToken):
        challenge(b'nonce="b",algorithm=md5-sess,qop=' + options)


@pytest.mark.requirement("RFC2831-7.1-04", "RFC2831-7.2-01", "RFC2831-7.2-02", "RFC6331-1-13")
@pytest.mark.parametrize("space", [b" ", b"\t", b"  \t ", b"\r\n ", b"\r\n\t", b" \r\n \r\n\t"])
def test_white_space_may_stand_between_words(space: bytes) -> None:
    parts = [b"realm", b"=", b'"a"', b",", b"nonce", b"=", b'"b"', b",", b"qop", b"=", b'"auth"', b","]
    parts += [b"charset", b"=", b"utf-8", b",", b"algorithm", b"=", b"md5-sess"]
    assert challenge(space + space.join(parts) + space) == challenge(PLAIN)


@pytest.mark.requirement("RFC2831-7.1-04")
def test_white_space_may_stand_between_options() -> None:
    read = challenge(b'nonce="b",algorithm=md5-sess,qop="auth , auth-int\t,\r\n auth-conf",cipher=" rc4 , des "')
    assert (read.qop, read.ciphers) == ((b"auth", b"auth-int", b"auth-conf"), (b"rc4", b"des"))


@pytest.mark.requirement("RFC2831-7.2-01")
@pytest.mark.parametrize("space", [b"\r\n", b"\n", b"\r", b"\n ", b"\x0b", b"\x00"])
def test_other_octets_are_no_white_space(space: bytes) -> None:
    with pytest.raises(InvalidToken):
        challenge(b'realm="a",' + space + b'nonce="b",algorithm=md5-sess')


@pytest.mark.requirement("RFC6331-1-13")
def test_what_we_send_holds_no_white_space() -> None:
    client, server = new_client(), new_server()
    first = server.step(None)
    assert first is not None
    answer = client.step(first)
    assert answer is not None
    proof = server.step(answer)
    assert proof is not None
    for message in (first, answer, proof):
        assert parse_strictly(message)
        assert not set(message) & set(b" \t\r\n")


@pytest.mark.requirement("RFC2831-7.1-05")
@pytest.mark.parametrize(
    "text",
    [
        b'nonce="b",stale=truealgorithm=md5-sess',
        b'nonce="b"algorithm=md5-sess',
        b'nonce="b",stale=true algorithm=md5-sess',
        b'nonce="b" algorithm=md5-sess',
    ],
)
def test_two_directives_need_a_comma(text: bytes) -> None:
    with pytest.raises(InvalidToken):
        challenge(text)


@pytest.mark.requirement("RFC2831-7.2-03")
@pytest.mark.parametrize("octet", [bytes([o]) for o in (*b'()<>@;:\\"/[]?={} \t', *range(9), 0x7F, 0x80, 0xE9)])
def test_a_name_is_a_token(octet: bytes) -> None:
    with pytest.raises(InvalidToken):
        challenge(PLAIN + b",foo" + octet + b"bar=1")


@pytest.mark.requirement("RFC2831-7.2-03", "RFC2831-7.2-04")
@pytest.mark.parametrize("octet", [bytes([o]) for o in (*b'()<>@;:\\"/[]?={}', 1, 0x7F, 0xE9)])
def test_a_value_without_quotes_is_a_token(octet: bytes) -> None:
    with pytest.raises(InvalidToken):
        challenge(PLAIN + b",foo=bar" + octet + b"baz")


@pytest.mark.requirement("RFC2831-7.2-03")
def test_every_token_octet_is_taken() -> None:
    token = bytes(o for o in range(0x21, 0x7F) if o not in b'()<>@,;:\\"/[]?={}')
    assert challenge(PLAIN + b"," + token + b"=" + token) == challenge(PLAIN)


@pytest.mark.requirement("RFC2831-7.2-05")
def test_white_space_inside_quotes_belongs_to_the_value() -> None:
    assert challenge(b'realm=" a ",nonce="\tb ",algorithm=md5-sess')[:2] == (b"\tb ", (b" a ",))


@pytest.mark.requirement("RFC2831-7.2-05")
def test_a_realm_with_white_space_is_answered_as_it_is() -> None:
    script = ScriptedServer(realm=b" a ")
    answer = new_client().step(script.challenge(b"charset=utf-8"))
    assert answer is not None
    assert script.read(answer)["realm"] == b" a "


@pytest.mark.requirement("RFC2831-7.2-06", "RFC2831-ERR-06")
@pytest.mark.parametrize(
    ("inside", "value"),
    [
        (rb"a\\b\"c", rb'a\b"c'),
        (rb"\a\b", b"ab"),
        (rb"\\", b"\\"),
        (rb"\\\"", b'\\"'),
        (rb"\\\\", rb"\\"),
        (rb"a\,b", b"a,b"),
    ],
)
def test_a_backslash_quotes_one_character(inside: bytes, value: bytes) -> None:
    assert challenge(b'realm="' + inside + b'",nonce="b",algorithm=md5-sess').realms == (value,)


@pytest.mark.requirement("RFC2831-7.2-07", "RFC2831-7.2-06", "RFC2831-2.1.2.1-01", "RFC6331-1-12")
@pytest.mark.parametrize("username", ['a\\b"c', "dom\\user", '"', "\\", '\\"', "a,b=c"])
def test_quotes_and_backslashes_are_escaped_by_who_sends_and_resolved_by_who_reads(username: str) -> None:
    client, server = new_client(username=username), new_server(authority={username: "secret"})
    first = server.step(None)
    assert first is not None
    answer = client.step(first)
    assert answer is not None
    escaped = username.replace("\\", "\\\\").replace('"', '\\"')
    assert b'username="' + escaped.encode() + b'"' in answer
    assert values(answer)["username"] == username.encode()
    proof = server.step(answer)
    client.succeed(proof)
    assert server.security.authcid == username
    assert client.done


@pytest.mark.requirement("RFC2831-7.2-07")
def test_a_realm_with_a_quote_is_escaped_both_ways() -> None:
    client, server = new_client(), new_server(realm='r"1\\')
    first = server.step(None)
    assert first is not None
    assert b'realm="r\\"1\\\\"' in first
    answer = client.step(first)
    assert answer is not None
    assert b'realm="r\\"1\\\\"' in answer
    assert server.step(answer) is not None
    assert server.security.realm == 'r"1\\'


@pytest.mark.requirement("RFC2831-7.2-08", "RFC2831-2.1.1-55")
@pytest.mark.parametrize(
    "text",
    [
        b'nonce="abc\\',
        b'nonce="abc\\"',
        b'nonce="abc',
        b'nonce="',
        b'algorithm=md5-sess,nonce="abc\\',
        b'algorithm=md5-sess,nonce="a"b"',
        b'algorithm=md5-sess,nonce="abc\\\xe9"',
        b"nonce",
        b"nonce=",
        b'="abc"',
        b'nonce="b",algorithm=md5-sess,=',
        b'nonce="b",algorithm=md5-sess,foo',
        b'nonce="b",algorithm=md5-sess,realm=a',
        b"nonce=b,algorithm=md5-sess",
    ],
)
def test_what_is_no_list_of_directives_is_refused(text: bytes) -> None:
    client = new_client()
    with pytest.raises(InvalidToken) as caught:
        client.step(text)
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_TOKEN
    assert not client.done


@pytest.mark.requirement("RFC2831-7.2-09")
@pytest.mark.parametrize("value", ["räume".encode(), "пароль".encode(), bytes(range(0x80, 0x100)), b"(a)<b>@;:/[]?={}"])
def test_quoted_text_holds_any_octet_but_controls(value: bytes) -> None:
    assert challenge(b'realm="' + value + b'",nonce="b",algorithm=md5-sess').realms == (value,)


@pytest.mark.requirement("RFC2831-7.2-09")
@pytest.mark.parametrize("octet", [bytes([o]) for o in (*range(9), *range(10, 32), 0x7F)])
def test_quoted_text_holds_no_control(octet: bytes) -> None:
    with pytest.raises(InvalidToken):
        challenge(b'realm="a' + octet + b'b",nonce="b",algorithm=md5-sess')


@pytest.mark.requirement("RFC2831-8-01")
@pytest.mark.parametrize("octets", [b"\xc0\x80", b"\xc1\xbf", b"a\xc3", b"\xff", b"\xed\xa0\x80", b"\xc3("])
def test_a_name_that_is_not_utf8_is_refused_where_utf8_was_announced(octets: bytes) -> None:
    server = new_server()
    first = server.step(None)
    assert first is not None
    with pytest.raises(InvalidToken):
        server.step(ScriptedClient(username=octets).answer(first))


@pytest.mark.requirement("RFC2831-ERR-01", "RFC2831-4-05")
def test_directives_may_come_in_any_order() -> None:
    parts = PLAIN.split(b",")
    for turn in range(len(parts)):
        assert challenge(b",".join(parts[turn:] + parts[:turn])) == challenge(PLAIN)
    assert challenge(b",".join(reversed(parts))) == challenge(PLAIN)


# Round trips: every value that the grammar can carry comes back as it was.
_TEXT = st.binary(max_size=30).map(lambda octets: bytes(o for o in octets if o >= 0x20 and o != 0x7F))
_TOKEN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12).map(str.encode)
_MAXBUF = st.integers(17, 0xFFFFFF)


@settings(deadline=None)
@given(
    st.builds(
        DigestChallenge,
        nonce=_TEXT.filter(bool),
        realms=st.lists(_TEXT, max_size=4).map(tuple),
        qop=st.lists(_TOKEN, min_size=1, max_size=4).map(tuple),
        stale=st.booleans(),
        maxbuf=_MAXBUF,
        utf8=st.booleans(),
        ciphers=st.lists(_TOKEN, max_size=5).map(tuple),
        tolerances=st.just(0),
    )
)
def test_a_challenge_comes_back_as_it_was(message: DigestChallenge) -> None:
    octets = message.to_bytes()
    assert parse_strictly(octets)
    assert DigestChallenge.from_bytes(octets) == message


@settings(deadline=None)
@given(
    st.builds(
        DigestResponse,
        username=_TEXT,
        realm=st.none() | _TEXT,
        nonce=_TEXT,
        cnonce=_TEXT,
        nc=st.integers(0, 0xFFFFFFFF).map(lambda count: b"%08x" % count),
        digest_uri=_TEXT,
        response=st.binary(min_size=16, max_size=16).map(lambda octets: octets.hex().encode()),
        qop=st.none() | _TOKEN,
        maxbuf=_MAXBUF,
        utf8=st.booleans(),
        cipher=st.none() | _TOKEN,
        authzid=st.none() | _TEXT,
        literal_username=st.none(),
        tolerances=st.just(0),
    )
)
def test_a_response_comes_back_as_it_was(message: DigestResponse) -> None:
    octets = message.to_bytes()
    assert parse_strictly(octets)
    assert DigestResponse.from_bytes(octets) == message


@settings(deadline=None)
@given(st.binary(min_size=16, max_size=16))
def test_a_response_auth_comes_back_as_it_was(octets: bytes) -> None:
    message = ResponseAuth(octets.hex().encode())
    assert ResponseAuth.from_bytes(message.to_bytes()) == message


_PIECES = st.lists(
    st.sampled_from(
        [b"realm", b"nonce", b"qop", b"algorithm", b"md5-sess", b"rspauth", b"response", b"nc", b"maxbuf", b"username",
         b"=", b",", b'"', b"\\", b" ", b"\r\n", b"\t", b"auth", b"0" * 32, b"00000001", b"\xff", b"\x00", b'="a",']
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)  # fmt: skip


@pytest.mark.requirement("RFC2831-2.1.1-55")
@settings(deadline=None)
@given(st.binary(max_size=200) | _PIECES, st.sampled_from([Tolerances.NONE, Tolerances.DEFAULT]))
def test_any_octets_are_read_or_are_an_invalid_token(octets: bytes, allowed: Tolerances) -> None:
    for reader in (DigestChallenge, DigestResponse, ResponseAuth):
        try:
            reader.from_bytes(octets, allowed)
        except SaslError as error:
            assert error.status is SecurityStatus.SEC_E_INVALID_TOKEN  # noqa: PT017  # nothing raised is right too


HOSTILE = [b"", b"\xff", b"\xc3\xa9", b"\x00", b"a b", b"a,b", b"\\\\", b"%", b"0" * 5000, b"(", b"\x7f", b"'"]


@pytest.mark.parametrize("allowed", [Tolerances.NONE, Tolerances.DEFAULT])
@pytest.mark.parametrize("quoted", [True, False])
@pytest.mark.parametrize(
    "read", [DigestChallenge, DigestResponse, ResponseAuth, HttpChallenge, HttpResponse, AuthenticationInfo]
)
def test_whatever_a_peer_writes_is_the_peers_fault(read: Any, quoted: bool, allowed: Tolerances) -> None:
    """Each directive with each value is read, or refused by name: what is read as a word is ASCII."""
    base = {
        b"nonce": b'"n"', b"realm": b'"r"', b"algorithm": b"md5-sess", b"username": b'"u"', b"cnonce": b'"c"',
        b"nc": b"00000001", b"digest-uri": b'"imap/h"', b"uri": b'"/"', b"qop": b"auth", b"response": b"0" * 32,
        b"rspauth": b"0" * 32, b"cipher": b"rc4", b"maxbuf": b"100", b"charset": b"utf-8", b"stale": b"true",
        b"userhash": b"false", b"opaque": b'"o"', b"domain": b'"/"', b"authzid": b'"a"', b"nextnonce": b'"n"',
    }  # fmt: skip
    for name in (*base, b"username*", b"hashed-dirs", b"service-name", b"channel-binding"):
        for value in HOSTILE:
            changed = base | {name: b'"' + value + b'"' if quoted else value}
            try:
                message = read.from_bytes(b",".join(key + b"=" + raw for key, raw in changed.items()), allowed)
            except InvalidToken:
                continue
            for word in ("qop", "cipher", "nc"):
                octets = getattr(message, word, None)
                assert not isinstance(octets, bytes) or octets.isascii()


@pytest.mark.requirement("RFC2831-2.1.2-29")
@pytest.mark.parametrize("qop", [b'"\xff"', b'"a b"', b'""', b"\xff"])
def test_a_qop_that_is_no_token_is_refused_as_the_peers(qop: bytes) -> None:
    refuse(ScriptedClient(changes={"qop": qop}), InvalidToken)


def test_readers_take_as_many_steps_as_there_are_octets() -> None:
    """No quadratic corner: what a reader calls grows with the message, and messages are bounded."""
    for read, limit in ((DigestChallenge, 2048), (DigestResponse, 4096), (HttpChallenge, 8192), (HttpResponse, 8192)):
        for piece in (b"a=b,", b'a="b\\"c",', b" ", b",", b"\r\n ", b'"', b"\\", b'a="' + b"\\" * 2):
            with pytest.raises(InvalidToken):
                read.from_bytes(piece * (limit // len(piece) + 1))
