"""Streams of LDAP messages however they are cut, and the gateway's own messages read by the reader of ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saslsspi import InvalidToken
from saslsspi.adapters.ldap.message_heads import Head
from saslsspi.der import element, integer, octet_string, sequence
from saslsspi.gateway.ldap.flow import LONGEST_WHOLE, Boundaries, Piece, Requests, WholeRequest
from saslsspi.gateway.ldap.messages import (
    BindMethod,
    Code,
    answer,
    bind_response,
    disconnect,
    names_start_tls,
    read_bind,
)
from saslsspi.gateway.ldap.questions import (
    FoundEntry,
    ResultMessage,
    base_search,
    begin_tls,
    read_answer,
    sasl_request,
    unbind,
    who_am_i,
)
from saslsspi.testbed.ldap.messages import Extended, SaslBind, Scope, Search, Unbind, read_message
from testbed.raw_ldap import request, search, simple_bind

SIZES = (0, 1, 100, 127, 128, 300, LONGEST_WHOLE - 20, LONGEST_WHOLE + 1, 3 * LONGEST_WHOLE)
MESSAGES = [request(number + 1, element(0x63, octet_string(bytes(size)))) for number, size in enumerate(SIZES)]


@settings(deadline=None)
@given(st.lists(st.integers(0, len(SIZES) - 1), max_size=6), st.lists(st.integers(1, 100_000), max_size=8))
def test_requests_come_out_as_they_went_in(numbers: list[int], cuts: list[int]) -> None:
    messages, cuts = [MESSAGES[number] for number in numbers], [*cuts, 50_000]
    stream, requests, out, most, number = b"".join(messages), Requests(), b"", 0, 0
    whole = []
    at = 0
    while at < len(stream):
        size = cuts[number % len(cuts)]
        number += 1
        requests.feed(stream[at : at + size])
        at += size
        while (taken := requests.take()) is not None:
            out += taken.octets
            if isinstance(taken, WholeRequest):
                whole.append(taken.octets)
            most = max(most, requests.waiting - size)
    assert out == stream
    assert whole == [message for message in messages if len(message) <= LONGEST_WHOLE]
    assert most <= LONGEST_WHOLE
    assert not requests.inside


@settings(deadline=None)
@given(st.lists(st.integers(0, len(SIZES) - 1), max_size=6), st.lists(st.integers(1, 100_000), max_size=8))
def test_boundaries_are_where_messages_end(numbers: list[int], cuts: list[int]) -> None:
    messages, cuts = [MESSAGES[number] for number in numbers], [*cuts, 50_000]
    stream, boundaries = b"".join(messages), Boundaries()
    ends, total = {0}, 0
    for message in messages:
        total += len(message)
        ends.add(total)
    at = number = 0
    while at < len(stream):
        piece = stream[at : at + cuts[number % len(cuts)]]
        number += 1
        last = boundaries.take(piece)
        inside = [end - at for end in ends if at < end <= at + len(piece)]
        assert last == max(inside, default=0)
        at += len(piece)


def test_a_long_message_s_head_comes_with_its_first_part() -> None:
    requests = Requests()
    requests.feed(MESSAGES[-1][:100])
    first = requests.take()
    assert isinstance(first, Piece)
    assert first.head == Head(len(SIZES), 0x63, len(MESSAGES[-1]))
    assert requests.take() is None
    requests.feed(b"x")
    assert requests.take() == Piece(b"x", None)


def test_a_bind_is_never_long() -> None:
    requests = Requests()
    requests.feed(request(1, simple_bind("alice", "x" * LONGEST_WHOLE))[:30])
    with pytest.raises(InvalidToken, match="at most"):
        requests.take()


def test_no_form_of_a_request_shows_a_password() -> None:
    octets = request(1, simple_bind("alice", "wonderland"))
    requests = Requests()
    requests.feed(octets)
    taken = requests.take()
    assert isinstance(taken, WholeRequest)
    for shown in (repr(taken), repr(read_bind(octets)), repr(Piece(octets))):
        assert "wonderland" not in shown


@pytest.mark.parametrize(
    ("name", "password", "method"),
    [
        ("", "", BindMethod.ANONYMOUS),
        ("alice", "", BindMethod.UNAUTHENTICATED),
        ("alice", "wonderland", BindMethod.PASSWORD),
        ("", "wonderland", BindMethod.PASSWORD),
    ],
)
def test_binds(name: str, password: str, method: BindMethod) -> None:
    bind = read_bind(request(1, simple_bind(name, password)))
    assert (bind.name, bind.password.decode(), bind.method, bind.version) == (name, password, method, 3)


def test_what_a_link_asks_is_what_a_server_reads() -> None:
    assert read_message(unbind(7)).operation == Unbind()
    assert read_message(begin_tls(1)).operation == Extended("1.3.6.1.4.1.1466.20037", None)
    assert names_start_tls(begin_tls(1))
    assert not names_start_tls(who_am_i(1))
    assert read_message(sasl_request(2, "NTLM", None)).operation == SaslBind(3, "NTLM", None)
    assert read_message(sasl_request(2, "NTLM", b"")).operation == SaslBind(3, "NTLM", b"")
    asked = read_message(base_search(3, "cn=x", ("uid",))).operation
    assert isinstance(asked, Search)
    assert (asked.base, asked.scope, asked.attributes) == ("cn=x", Scope.BASE, ("uid",))


def test_answers() -> None:
    assert read_answer(bind_response(5, Code.INVALID_CREDENTIALS, "no")) == ResultMessage(5, 0x61, 49, "no", None)
    notice = read_answer(disconnect(Code.UNAVAILABLE, "over"))
    assert (notice.number, isinstance(notice, ResultMessage) and notice.code) == (0, 52)
    for operation, kind in ((0x63, 0x65), (0x4A, 0x6B), (0x77, 0x78)):
        told = read_answer(answer(Head(9, operation, 0), Code.OPERATIONS_ERROR, "x"))
        assert told == ResultMessage(9, kind, 1, "x", None)
    assert answer(Head(9, 0x50, 0), Code.OPERATIONS_ERROR) == b""
    values = element(0x31, octet_string(b"1"), octet_string(b"2"))
    entry = element(0x64, octet_string(b"cn=x"), sequence(sequence(octet_string(b"UID"), values)))
    found = read_answer(sequence(integer(4), entry))
    assert found == FoundEntry(4, "cn=x", {"uid": ("1", "2")})
    assert isinstance(found, FoundEntry)
    assert (found.first("Uid"), found.first("cn")) == ("1", "")


@given(st.binary(max_size=60))
def test_an_answer_is_read_or_refused(octets: bytes) -> None:
    for prefix in (b"", b"\x30", sequence(integer(1), search("x"))[:3]):
        try:
            read_answer(prefix + octets)
        except InvalidToken:
            continue
