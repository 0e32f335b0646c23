"""Security layers under LDAP: from which octet they count, what replaces them, and what ends the connection."""

from __future__ import annotations

import struct
import time

import pytest

from saslsspi import Client, Password, Policy, Server
from saslsspi.testbed.ldap.server import LdapServer, Limits
from testbed.ldap_fixtures import ALICE_DN, ENTRIES, SUFFIX, ldap_server
from testbed.raw_ldap import (
    BAD_CREDENTIALS,
    DISCONNECTION,
    OPERATIONS_ERROR,
    PROTOCOL_ERROR,
    START_TLS,
    SUCCESS,
    WHO_AM_I,
    RawLdap,
    extended,
    request,
    sasl_bind,
    search,
    simple_bind,
)

LAYERS = [
    Policy(min_ssf=1, max_ssf=1),
    Policy(min_ssf=40, max_ssf=40, ciphers=("rc4-40",)),
    Policy(min_ssf=55, max_ssf=55, ciphers=("des",)),
    Policy(min_ssf=56, max_ssf=56, ciphers=("rc4-56",)),
    Policy(min_ssf=112, max_ssf=112, ciphers=("3des",)),
    Policy(min_ssf=128, max_ssf=128, ciphers=("rc4",)),
]
EVERY_CIPHER = ("rc4", "3des", "rc4-56", "rc4-40", "des")
INTEGRITY, CONFIDENTIALITY = LAYERS[0], LAYERS[-1]


def final_bind(raw: RawLdap, policy: Policy = INTEGRITY) -> tuple[Client, bytes]:
    """Go as far as the last request, and return it instead of sending it; its id is 2."""
    client = Client(
        "DIGEST-MD5", service="ldap", host="localhost", credentials=Password("alice", "wonderland"), policy=policy
    )
    challenge = raw.ask(sasl_bind("DIGEST-MD5")).credentials
    assert challenge is not None
    return client, sasl_bind("DIGEST-MD5", client.step(challenge))


@pytest.mark.requirement("RFC4422-3.7-03", "RFC4422-4-16")
@pytest.mark.requirement("LDAP4513-5.2.1.4-01", "LDAP4513-5.2.1.4-02")
@pytest.mark.parametrize("policy", LAYERS, ids=lambda policy: str(policy.min_ssf))
def test_each_layer_carries_a_session_from_the_octet_behind_the_response(policy: Policy) -> None:
    with ldap_server(policy=Policy(ciphers=EVERY_CIPHER)) as server, RawLdap(server.port) as raw:
        outcome = raw.sasl(policy=policy)
        assert outcome.octets[0] == 0x30, "the response itself is in clear"
        assert raw.layer is not None
        for _ in range(3):
            entries, result = raw.find(search(f"ou=many,{SUFFIX}", scope=1))
            assert (len(entries), result.code) == (ENTRIES, SUCCESS)
        assert raw.who_am_i() == "u:alice"
        assert server.traffic.protected > 3 * ENTRIES * 100
        assert server.traffic.clear < 2000


def test_request_split_into_octets_and_joined_buffers_are_understood(raw: RawLdap) -> None:
    raw.sasl(policy=CONFIDENTIALITY)
    assert raw.layer is not None
    message = request(50, extended(WHO_AM_I))
    buffers = b"".join(raw.layer.wrap(message[at : at + 1]) for at in range(len(message)))
    for at in range(len(buffers)):
        raw.send_raw(buffers[at : at + 1])
    answer = raw.receive()
    assert answer is not None
    assert (answer.id, answer.value) == (50, b"u:alice")
    raw.send(request(51, extended(WHO_AM_I)) + request(52, extended(WHO_AM_I)))  # two messages in one buffer
    assert [answer.id for answer in (raw.receive(), raw.receive()) if answer is not None] == [51, 52]


@pytest.mark.requirement("RFC4422-3.6-10", "RFC4422-3.8-04")
@pytest.mark.requirement("LDAP4513-5.2.1.4-03")
@pytest.mark.parametrize(
    ("bind", "code"),
    [
        (simple_bind(), SUCCESS),
        (simple_bind(ALICE_DN, "wrong"), BAD_CREDENTIALS),
        (sasl_bind("PLAIN", b"\0alice\0wrong"), BAD_CREDENTIALS),
        (sasl_bind("PLAIN", b"\0alice\0wonderland"), SUCCESS),
    ],
)
def test_failed_or_layerless_bind_leaves_the_layer_on(raw: RawLdap, bind: bytes, code: int) -> None:
    raw.sasl(policy=CONFIDENTIALITY)
    layer = raw.layer
    assert raw.ask(bind).code == code
    assert raw.who_am_i() is not None, "answered under the layer"
    assert raw.layer is layer


@pytest.mark.requirement("RFC4422-3.6-11", "RFC4422-3.8-06")
@pytest.mark.requirement("LDAP4513-5.2.1.4-02")
def test_failed_digest_and_one_without_layer_leave_the_layer_on(raw: RawLdap) -> None:
    raw.sasl(policy=CONFIDENTIALITY)
    layer = raw.layer
    assert raw.sasl(password="wrong", policy=CONFIDENTIALITY).code == BAD_CREDENTIALS
    assert raw.sasl(policy=Policy(max_ssf=0)).code == SUCCESS
    assert raw.layer is layer
    assert raw.who_am_i() == "u:alice"


@pytest.mark.requirement("RFC4422-3.8-02", "RFC4422-3.8-03", "RFC4422-6.3-02")
def test_new_layer_takes_the_place_of_the_old_one(raw: RawLdap) -> None:
    raw.sasl(policy=CONFIDENTIALITY)
    old = raw.layer
    assert raw.sasl(user="bob", password="builder", policy=INTEGRITY).code == SUCCESS, "exchanged under the old layer"
    assert raw.layer is not old
    assert raw.who_am_i() == "u:bob"


@pytest.mark.parametrize("policy", [INTEGRITY, CONFIDENTIALITY], ids=["auth-int", "auth-conf"])
def test_clear_text_pipelined_behind_the_final_request_ends_the_connection(raw: RawLdap, policy: Policy) -> None:
    _, bind = final_bind(raw, policy)
    raw.send_raw(request(2, bind) + request(3, extended(WHO_AM_I)))
    notice = raw.receive()
    assert notice is not None
    assert (notice.id, notice.name, notice.code) == (0, DISCONNECTION, PROTOCOL_ERROR), "and no success"
    assert raw.ended()


def test_clear_text_behind_the_response_ends_the_connection(raw: RawLdap) -> None:
    client, bind = final_bind(raw)
    client.succeed(raw.ask(bind).credentials)
    raw.send_raw(request(3, extended(WHO_AM_I)))
    assert raw.ended(), "an LDAPMessage taken for a length is far too large"


@pytest.mark.requirement("RFC4422-3.7-07")
@pytest.mark.parametrize("change", ["flip", "repeat", "drop", "huge", "cut"])
def test_layer_that_fails_ends_the_connection(raw: RawLdap, change: str) -> None:
    raw.sasl(policy=CONFIDENTIALITY)
    assert raw.layer is not None
    buffer = bytearray(raw.layer.wrap(request(50, extended(WHO_AM_I))))
    if change == "flip":
        buffer[-8] ^= 1  # in the sequence number's neighbourhood: the MAC
        buffer[6] ^= 1
        raw.send_raw(buffer)
    elif change == "repeat":
        raw.send_raw(buffer)
        answer = raw.receive()
        assert answer is not None
        assert answer.value == b"u:alice"
        raw.send_raw(buffer)
    elif change == "drop":
        raw.send_raw(raw.layer.wrap(request(51, extended(WHO_AM_I))))
    elif change == "huge":
        raw.send_raw(struct.pack(">I", 0xFFFFFFFC) + bytes(64))
    else:
        raw.send_raw(buffer[:-1])
        raw.shut()
    assert raw.ended()


def test_start_tls_under_a_layer_is_refused_and_not_listed(raw: RawLdap) -> None:
    raw.sasl(policy=INTEGRITY)
    assert raw.ask(extended(START_TLS)).code in (PROTOCOL_ERROR, OPERATIONS_ERROR)
    assert raw.who_am_i() == "u:alice"


# Servers that misbehave on purpose, by the two doors that there are for tests


def test_test_can_change_what_the_mechanism_says() -> None:
    class Lying(Server):
        __slots__ = ()

        def resume(self, account: object) -> bytes | None:  # type: ignore[override]
            super().resume(account)  # type: ignore[arg-type]
            return b"rspauth=" + b"0" * 32

    with ldap_server(make_session=Lying) as server, RawLdap(server.port) as raw:
        client, bind = final_bind(raw)
        answer = raw.ask(bind)
        assert (answer.code, answer.credentials) == (SUCCESS, b"rspauth=" + b"0" * 32)
        with pytest.raises(OSError, match="SEC_E"):
            client.succeed(answer.credentials)


def test_test_can_change_what_leaves_the_channel() -> None:
    class Chopping(LdapServer.channel_type):
        def transmit(self, octets: bytes) -> None:
            for octet in octets:
                super().transmit(bytes([octet]))

    class ChoppingServer(LdapServer):
        channel_type = Chopping

    with ldap_server(ChoppingServer, entries=3) as server, RawLdap(server.port) as raw:
        raw.sasl(policy=CONFIDENTIALITY)
        assert len(raw.find(search(SUFFIX))[0]) == 6


def test_client_that_does_not_read_is_cut_off() -> None:
    with ldap_server(entries=3000, limits=Limits(idle_timeout=1.0)) as server, RawLdap(server.port) as raw:
        raw.sasl(policy=CONFIDENTIALITY)
        raw.send(b"".join(request(100 + number, search(SUFFIX)) for number in range(16)))
        # Unread, sixteen searches fill the sockets' buffers; the server waits no longer than its limit.
        deadline = time.monotonic() + 10
        with RawLdap(server.port) as other:
            assert other.who_am_i() == ""
            assert server.connections == 2
            while server.connections > 1:
                assert other.who_am_i() == "", "everybody else is served"
                assert time.monotonic() < deadline
