"""Clients that break the rules: each gets a notice and a closed connection, and the server goes on."""

from __future__ import annotations

import logging
import os

import pytest

from saslsspi import Policy
from saslsspi.der import context, element, enumerated, integer, octet_string, sequence
from saslsspi.testbed.ldap.server import LdapServer, Limits
from testbed.ldap_fixtures import ALICE_DN, SUFFIX, ldap_server
from testbed.raw_ldap import (
    DISCONNECTION,
    PROTOCOL_ERROR,
    SUCCESS,
    UNAVAILABLE,
    WHO_AM_I,
    RawLdap,
    equals,
    extended,
    request,
    sasl_bind,
    search,
    simple_bind,
)


def nested(depth: int) -> bytes:
    filter_ = equals("uid", "x")
    for _ in range(depth):
        filter_ = element(context(2), filter_)
    return filter_


GARBAGE = {
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(64),
    "a TLS hello": bytes.fromhex("160301020001000"[:14]) + bytes(64),
    "indefinite length": b"\x30\x80" + bytes(8),
    "length of 5 octets": b"\x30\x85\x00\x00\x00\x00\x05" + bytes(8),
    "4 GiB announced": b"\x30\x84\xff\xff\xff\xfc\x02\x01\x01",
    "one octet too large": b"\x30\x83" + (65537 - 5).to_bytes(3) + bytes(8),
    "nothing inside": b"\x30\x00",
    "id only": sequence(integer(1)),
    "id 0": request(0, extended(WHO_AM_I)),
    "negative id": request(-1, extended(WHO_AM_I)),
    "id of 5 octets": sequence(element(2, b"\x01\x00\x00\x00\x00"), extended(WHO_AM_I)),
    "empty id": sequence(element(2), extended(WHO_AM_I)),
    "response for a request": request(1, element(0x61, enumerated(0), octet_string(b""), octet_string(b""))),
    "unknown application tag": request(1, element(0x7E, b"")),
    "operation longer than the message": b"\x30\x05\x02\x01\x01\x77\x7f",
    "rest behind the operation": request(1, extended(WHO_AM_I), b"\x04\x00"),
    "rest behind the controls": request(1, extended(WHO_AM_I), b"\xa0\x00\x04\x00"),
    "bind without a method": request(1, element(0x60, integer(3), octet_string(b""))),
    "bind with two methods": request(1, element(0x60, integer(3), octet_string(b""), b"\x80\x00\x80\x00")),
    "mechanism that is not UTF-8": request(1, element(0x60, integer(3), b"\x04\x00", element(0xA3, b"\x04\x01\xff"))),
    "constructed octet string": request(1, element(0x60, integer(3), b"\x24\x02\x04\x00", b"\x80\x00")),
    "unbind with contents": request(1, element(0x42, b"x")),
    "scope 7": request(1, search("", scope=7)),
    "filter of no kind": request(1, search("", filter_=b"\xab\x00")),
    "filter too deep": request(1, search("", filter_=nested(40))),
    "filter of too many terms": request(1, search("", filter_=element(context(1), *[equals("a", "b")] * 300))),
    "empty negation": request(1, search("", filter_=element(context(2)))),
    "too many attributes": request(1, search("", attributes=("a",) * 300)),
}


def sends_notice_and_closes(raw: RawLdap, code: int = PROTOCOL_ERROR) -> bool:
    notice = raw.receive()
    return notice is not None and (notice.id, notice.name, notice.code) == (0, DISCONNECTION, code) and raw.ended()


@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_request_ends_the_connection_with_a_notice(
    ldap: LdapServer, caplog: pytest.LogCaptureFixture, octets: bytes
) -> None:
    with caplog.at_level(logging.ERROR), RawLdap(ldap.port) as raw:
        raw.send_raw(octets)
        assert sends_notice_and_closes(raw)
    assert not caplog.records, "no traceback anywhere"


def test_random_octets_never_reach_a_traceback(ldap: LdapServer, caplog: pytest.LogCaptureFixture) -> None:
    valid = request(1, search(SUFFIX, filter_=element(context(0), equals("uid", "a"), nested(3)), attributes=("cn",)))
    with caplog.at_level(logging.ERROR):
        for at in range(2, len(valid)):
            with RawLdap(ldap.port) as raw:
                raw.send_raw(valid[:at] + os.urandom(1) + valid[at + 1 :])
                raw.shut()
                while raw.receive() is not None:
                    pass
    assert not caplog.records


@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_half_a_message_and_a_closed_connection_leave_nothing(ldap: LdapServer, size: int) -> None:
    with RawLdap(ldap.port) as raw:
        raw.send_raw(request(1, simple_bind(ALICE_DN, "wonderland"))[:size])
        raw.shut()
        assert raw.ended()


def test_requests_before_a_half_closed_end_are_answered(ldap: LdapServer) -> None:
    with RawLdap(ldap.port) as raw:
        raw.send_raw(request(1, extended(WHO_AM_I)) + request(2, extended(WHO_AM_I)))
        raw.shut()
        assert [answer.id for answer in (raw.receive(), raw.receive()) if answer is not None] == [1, 2]
        assert raw.ended()


def test_octet_by_octet_is_understood(raw: RawLdap) -> None:
    for octet in request(7, extended(WHO_AM_I)):
        raw.send_raw(bytes([octet]))
    answer = raw.receive()
    assert answer is not None
    assert answer.id == 7


def test_lengths_that_are_not_minimal_are_understood(raw: RawLdap) -> None:
    operation = b"\x77\x84\x00\x00\x00\x19\x80\x81\x17" + b"1.3.6.1.4.1.4203.1.11.3"
    operation = operation[:5] + bytes([len(operation) - 6]) + operation[6:]
    message = b"\x02\x01\x07" + operation
    raw.send_raw(b"\x30\x84\x00\x00\x00" + bytes([len(message)]) + message)
    answer = raw.receive()
    assert answer is not None
    assert (answer.id, answer.code) == (7, SUCCESS)


def test_message_limit_grows_with_authentication() -> None:
    limits = Limits(anonymous_message=4096, message=65536)
    large = extended("1.2.3", bytes(30000))
    with ldap_server(limits=limits) as server:
        with RawLdap(server.port) as raw:
            raw.send(request(1, large))
            assert sends_notice_and_closes(raw)
        with RawLdap(server.port) as raw:
            raw.sasl()
            assert raw.ask(large).code == PROTOCOL_ERROR, "an unknown operation, and read to its end"
            raw.send(request(99, extended("1.2.3", bytes(70000))))
            assert sends_notice_and_closes(raw)


def test_message_id_of_a_running_operation_is_not_taken_again() -> None:
    with ldap_server(entries=3000) as server, RawLdap(server.port) as raw:
        raw.sasl()
        raw.send(request(50, search(SUFFIX)) + request(50, extended(WHO_AM_I)))
        answer = raw.receive()
        while answer is not None and answer.name != DISCONNECTION:
            assert answer.tag != 0x78, "the second operation is not carried out"
            answer = raw.receive()
        assert answer is not None


def test_one_client_too_many_is_told_so() -> None:
    with ldap_server(limits=Limits(connections=2)) as server:
        with RawLdap(server.port) as first, RawLdap(server.port) as second:
            assert (first.who_am_i(), second.who_am_i()) == ("", "")
            with RawLdap(server.port) as third:
                assert sends_notice_and_closes(third, UNAVAILABLE)
            assert first.who_am_i() == ""
        # The places are free as soon as the server has noticed.
        assert any(is_served(server) for _ in range(100))


def is_served(server: LdapServer) -> bool:
    with RawLdap(server.port) as raw:
        raw.send(request(1, extended(WHO_AM_I)))
        answer = raw.receive()
        return answer is not None and answer.id == 1


@pytest.mark.parametrize("half", [b"", b"\x30\x0c\x02\x01", request(1, sasl_bind("DIGEST-MD5"))])
def test_idle_client_is_told_and_closed(half: bytes) -> None:
    with ldap_server(limits=Limits(idle_timeout=0.3)) as server, RawLdap(server.port) as raw:
        raw.send_raw(half)
        answer = raw.receive()
        if answer is not None and answer.name is None:
            answer = raw.receive()  # behind the challenge
        assert answer is not None
        assert (answer.name, answer.code) == (DISCONNECTION, UNAVAILABLE)
        assert raw.ended()


def test_sasl_tokens_that_are_nonsense_are_refused_and_the_connection_lives(raw: RawLdap) -> None:
    for token in (b"", b"\0", b"\xff" * 100, b"username=" * 400, b"a" * 5000):
        raw.ask(sasl_bind("DIGEST-MD5"))
        answer = raw.ask(sasl_bind("DIGEST-MD5", token))
        assert answer.code not in (None, SUCCESS)
        raw.ask(sasl_bind(""))
    assert raw.sasl().code == SUCCESS


def test_server_stops_with_clients_and_work_in_hand() -> None:
    with ldap_server(entries=3000, policy=Policy(allow_plaintext=True)) as server:
        idle, busy = RawLdap(server.port), RawLdap(server.port)
        busy.sasl()
        for _ in range(8):
            busy.start(search(SUFFIX))
    with idle, busy:
        assert idle.ended()
