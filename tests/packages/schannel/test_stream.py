"""EncryptMessage and DecryptMessage on TLS: sizes, joins, splits, alterations, the end of the stream."""

from __future__ import annotations

import pytest

from packages.schannel.stream import DATA, EMPTY, TOKEN, Side, connect, inbound, outbound, pair
from saslsspi import errors, sspi
from saslsspi.sspi import SchannelProtocol, SchCredentials, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus

PROTOCOLS = [SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3]
CIPHERS = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-SHA384"]


def joined(protocol: SchannelProtocol = PROTOCOLS[1], ciphers: str = "") -> tuple[Side, Side]:
    client, server = pair(outbound(identity=SchCredentials(protocols=protocol, ciphers=ciphers)), inbound())
    tickets, _ = connect(client, server)
    assert client.read(tickets) == b""
    return client, server


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 300_000])
def test_messages_of_any_size_go_both_ways(protocol: SchannelProtocol, size: int) -> None:
    client, server = joined(protocol)
    text = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert server.read(client.encrypt(text)) == text
    assert client.read(server.encrypt(text)) == text


@pytest.mark.parametrize("cipher", CIPHERS)
def test_header_and_trailer_are_large_enough_for_every_kind_of_cipher(cipher: str) -> None:
    client, server = joined(PROTOCOLS[0], cipher)
    assert client.query(sspi.SecPkgContextConnectionInfo).cipher == cipher
    for size in range(1, 40):
        assert server.read(client.encrypt(bytes(size))) == bytes(size)


def test_records_that_arrive_together_come_out_one_by_one() -> None:
    client, server = joined()
    wire = client.encrypt(b"one") + client.encrypt(b"two")
    text, left, _ = server.decrypt(wire)
    assert text == b"one"
    assert server.decrypt(left) == (b"two", b"", 0)


def test_half_a_record_is_incomplete_and_nothing_is_consumed() -> None:
    client, server = joined()
    wire = client.encrypt(b"hello")
    for have in (0, 3, 5, len(wire) - 1):
        message = SecBufferDesc([SecBuffer(bytearray(wire[:have]), DATA), *(SecBuffer(None, EMPTY) for _ in range(3))])
        with pytest.raises(errors.IncompleteMessage):
            sspi.decrypt_message(server.handle, message, 0)
        assert message[0].buffer_type is SecBufferType.SECBUFFER_MISSING
        assert message[0].count == (len(wire) - have if have >= 5 else 5 - have)
    assert server.read(wire) == b"hello"


def test_a_stream_buffer_serves_as_well() -> None:
    client, server = joined()
    message = SecBufferDesc(
        [SecBuffer(bytearray(client.encrypt(b"hello")), SecBufferType.SECBUFFER_STREAM), SecBuffer(None, DATA)]
    )
    assert sspi.decrypt_message(server.handle, message, 0) == 0
    assert message[1].data == b"hello"


def test_tickets_after_the_handshake_are_no_data() -> None:
    client, server = pair(outbound(), inbound())
    tickets, _ = connect(client, server)
    assert tickets, "the server sends session tickets behind its handshake"
    assert client.decrypt(tickets)[0] == b""
    assert client.read(tickets[len(tickets) // 2 :] + server.encrypt(b"x")) == b"x"


def test_an_altered_record_ends_the_stream() -> None:
    client, server = joined()
    wire = bytearray(client.encrypt(b"hello"))
    wire[-1] ^= 1
    with pytest.raises(errors.MessageAltered):
        server.decrypt(bytes(wire))
    with pytest.raises(errors.ContextMisuse):
        server.decrypt(client.encrypt(b"more"))


def test_a_record_out_of_order_ends_the_stream() -> None:
    client, server = joined()
    client.encrypt(b"lost")
    with pytest.raises(errors.MessageAltered):
        server.decrypt(client.encrypt(b"second"))


def test_shutdown_tells_the_peer_that_no_more_comes() -> None:
    client, server = joined()
    control = SecBufferDesc([SecBuffer(sspi.SCHANNEL_SHUTDOWN, TOKEN)])
    sspi.apply_control_token(client.handle, control)
    outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
    result = sspi.initialize_security_context(
        client.credential, client.handle, client.target, client.flags, 16, None, outputs
    )
    assert result.status is SecurityStatus.SEC_E_OK
    assert server.decrypt(outputs[0].data)[2] == SecurityStatus.SEC_I_CONTEXT_EXPIRED
    with pytest.raises(errors.ContextExpired):
        client.encrypt(b"x")
    assert client.read(server.encrypt(b"the other direction is open")) == b"the other direction is open"


def test_another_control_token_is_refused() -> None:
    client, _ = joined()
    for token in (b"\0\0\0\0", b"\3\0\0\0", b"\1\0", b"\2\0\0\0", b"\2\0\0\0\2\0\0\0\x2a\0\0\0"):
        with pytest.raises(errors.UnsupportedFunction):
            sspi.apply_control_token(client.handle, SecBufferDesc([SecBuffer(token, TOKEN)]))


@pytest.mark.parametrize(
    ("buffers", "error"),
    [
        ([(5, 7), (17, 6)], errors.InvalidToken),
        ([(1, 1), (17, 6)], errors.InvalidToken),
        ([(5, 7), (1, 1)], errors.InvalidToken),
        ([(4, 7), (1, 1), (17, 6)], errors.BufferTooSmall),
        ([(5, 7), (1, 1), (16, 6)], errors.BufferTooSmall),
        ([(5, 7), (16385, 1), (17, 6)], errors.InvalidParameter),
    ],
)
def test_buffers_that_do_not_serve_consume_nothing(buffers: list[tuple[int, int]], error: type[Exception]) -> None:
    client, server = joined()
    message = SecBufferDesc([SecBuffer(bytearray(size), kind) for size, kind in buffers])
    with pytest.raises(error):
        sspi.encrypt_message(client.handle, 0, message, 0)
    assert server.read(client.encrypt(b"next")) == b"next"


def test_tls_makes_no_signatures() -> None:
    client, _ = joined()
    with pytest.raises(errors.UnsupportedFunction):
        sspi.make_signature(client.handle, 0, SecBufferDesc([SecBuffer(None, TOKEN), SecBuffer(b"x", DATA)]), 0)


def test_an_established_connection_takes_no_token() -> None:
    client, _ = joined()
    with pytest.raises(errors.ContextMisuse):
        client.step(b"\x16\x03\x03\x00\x00")
