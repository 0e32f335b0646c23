"""The layer of auth-int, seen on the wire (RFC 2831 section 2.3)."""

from __future__ import annotations

import hmac

import pytest

from packages.digest.ours import joined, new_client, new_server
from packages.digest.scripted import ScriptedClient, ScriptedServer, integrity_message
from pair import establish
from saslsspi import Client, Layer, MemoryNonceStore, Policy, Server, sspi
from saslsspi.engine.exchange import Side
from saslsspi.errors import ContextMisuse, InvalidToken, MessageAltered, OutOfSequence, SaslError
from saslsspi.packages.digest.ciphers import CIPHERS
from saslsspi.packages.digest.keys import layer_keys
from saslsspi.packages.digest.sasl.protection import DigestProtection
from saslsspi.status import SecurityStatus


def layers(client: Client, server: Server) -> tuple[Layer, Layer]:
    assert client.layer is not None
    assert server.layer is not None
    return client.layer, server.layer


def pair_of_layers() -> tuple[Layer, Layer]:
    return layers(*joined("auth-int"))


def scripted_server_layer() -> tuple[Layer, ScriptedServer]:
    """The layer of our client, and the server behind it, who knows the keys."""
    script = ScriptedServer()
    client = new_client("auth-int")
    response = client.step(script.challenge(b'qop="auth-int"'))
    assert response is not None
    script.read(response)
    client.succeed(script.proof())
    assert client.layer is not None
    return client.layer, script


@pytest.mark.requirement(
    "RFC2831-2.3-05",
    "RFC2831-2.3-06",
    "RFC2831-2.3-07",
    "RFC2831-2.3-13",
    "RFC2831-2.3-15",
    "RFC2831-2.3-02",
    "RFC2831-2.3-03",
    "RFC2831-2.3-04",
    "RFC2831-1.1-03",
)
def test_each_message_is_its_length_the_text_10_octets_of_mac_the_type_and_the_number() -> None:
    layer, script = scripted_server_layer()
    for number, text in enumerate((b"first", b"", b"third" * 1000)):
        wire = layer.wrap(text)
        assert wire == integrity_message(script.kic(), number, text)
        mac = hmac.digest(script.kic(), number.to_bytes(4) + text, "md5")[:10]
        assert wire == (len(text) + 16).to_bytes(4) + text + mac + b"\x00\x01" + number.to_bytes(4)
        assert layer.unwrap(integrity_message(script.kis(), number, text)) == text


@pytest.mark.requirement("RFC2831-2.3-02", "RFC2831-2.3-03")
def test_the_directions_have_different_keys() -> None:
    layer, script = scripted_server_layer()
    with pytest.raises(MessageAltered):
        layer.unwrap(integrity_message(script.kic(), 0, b"reflected"))


@pytest.mark.requirement("RFC2831-2.3-03", "RFC2831-2.3-07")
def test_our_server_signs_with_its_own_key_from_zero() -> None:
    script = ScriptedClient(qop=b"auth-int")
    server = new_server("auth-int")
    server.step(script.answer(server.step(None) or b""))
    assert server.layer is not None
    assert server.layer.unwrap(integrity_message(script.kic(), 0, b"in")) == b"in"
    assert server.layer.wrap(b"out") == integrity_message(script.kis(), 0, b"out")
    assert server.layer.wrap(b"out") == integrity_message(script.kis(), 1, b"out")
    assert server.layer.unwrap(integrity_message(script.kic(), 1, b"in")) == b"in"


@pytest.mark.requirement("RFC2831-2.3-08", "RFC2831-2.3-07")
@pytest.mark.parametrize("number", [1, 2, 0xFFFFFFFF, 0x01000000])
def test_another_number_than_the_next_is_out_of_sequence(number: int) -> None:
    layer, script = scripted_server_layer()
    with pytest.raises(OutOfSequence) as caught:
        layer.unwrap(integrity_message(script.kis(), number, b"text"))
    assert caught.value.status is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    with pytest.raises(ContextMisuse):
        layer.unwrap(integrity_message(script.kis(), 0, b"text"))


@pytest.mark.requirement("RFC2831-2.3-08")
def test_a_repeated_message_is_out_of_sequence() -> None:
    layer, script = scripted_server_layer()
    wire = integrity_message(script.kis(), 0, b"text")
    assert layer.unwrap(wire) == b"text"
    with pytest.raises(OutOfSequence):
        layer.unwrap(wire)


@pytest.mark.requirement("RFC2831-2.3-09", "RFC2831-2.3-10")
@pytest.mark.parametrize("position", [4, 6, 8, 9, 17, 18, 19])
def test_a_flipped_bit_of_text_mac_or_type_is_an_altered_message(position: int) -> None:
    layer, script = scripted_server_layer()
    wire = bytearray(integrity_message(script.kis(), 0, b"text"))
    wire[position] ^= 0x10
    with pytest.raises(MessageAltered) as caught:
        layer.unwrap(bytes(wire))
    assert caught.value.status is SecurityStatus.SEC_E_MESSAGE_ALTERED
    with pytest.raises(ContextMisuse):
        layer.unwrap(integrity_message(script.kis(), 0, b"text"))
    with pytest.raises(ContextMisuse):
        layer.wrap(b"text")


@pytest.mark.requirement("RFC2831-2.3-10")
@pytest.mark.parametrize("kind", [0, 2, 0x0100, 0xFFFF])
def test_another_type_is_an_altered_message_even_with_a_right_mac(kind: int) -> None:
    layer, script = scripted_server_layer()
    with pytest.raises(MessageAltered):
        layer.unwrap(integrity_message(script.kis(), 0, b"text", kind))


@pytest.mark.requirement("RFC2831-2.3-11")
@pytest.mark.parametrize("size", range(16))
@pytest.mark.parametrize("octet", [b"\x00", b"\x01", b"\xff"])
def test_a_buffer_shorter_than_its_mac_block_is_an_altered_message(size: int, octet: bytes) -> None:
    layer, _ = scripted_server_layer()
    with pytest.raises(MessageAltered):
        layer.unwrap(size.to_bytes(4) + octet * size)


@pytest.mark.requirement("RFC2831-2.3-01")
@pytest.mark.parametrize("text", [b"a001 CAPABILITY\r\n", b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"])
def test_unprotected_data_is_refused(text: bytes) -> None:
    layer, _ = scripted_server_layer()
    with pytest.raises(SaslError):
        layer.unwrap(text)
    assert layer.at_boundary  # nothing is waited for


@pytest.mark.requirement("RFC2831-2.3-12")
@pytest.mark.parametrize("cipher", [None, *CIPHERS])
def test_the_number_wraps_to_zero(cipher: bytes | None) -> None:
    found = CIPHERS[cipher] if cipher else None
    size = found.key_size if found else None
    near = 0xFFFFFFFE
    client = Layer(
        DigestProtection(
            layer_keys(bytes(16), Side.INITIATE, cipher_key_size=size),
            found,
            bytes(16),
            65536,
            65536,
            first_number=near,
        )
    )
    server = Layer(
        DigestProtection(
            layer_keys(bytes(16), Side.ACCEPT, cipher_key_size=size), found, bytes(16), 65536, 65536, first_number=near
        )
    )
    for number in (0xFFFFFFFE, 0xFFFFFFFF, 0, 1):
        for sender, receiver in ((client, server), (server, client)):
            wire = sender.wrap(b"text")
            assert wire[-4:] == number.to_bytes(4)
            assert receiver.unwrap(wire) == b"text"


@pytest.mark.requirement("RFC2831-2.3-14", "RFC2831-2.1.1-24")
def test_no_buffer_is_larger_than_the_peers_maxbuf() -> None:
    client, server = joined(client=new_client("auth-int"), server=new_server("auth-int", policy=Policy(max_buffer=100)))
    sender, receiver = layers(client, server)
    assert sender.max_payload == 84
    for size in (84, 85, 100, 168, 1000):
        wire, at, sizes = sender.wrap(b"x" * size), 0, []
        while at < len(wire):
            sizes.append(int.from_bytes(wire[at : at + 4]))
            at += 4 + sizes[-1]
        assert max(sizes) <= 100
        assert len(sizes) == -(-size // 84)
        assert receiver.unwrap(wire) == b"x" * size


@pytest.mark.requirement("RFC2831-2.1.1-25", "RFC2831-2.3-14")
def test_without_maxbuf_a_buffer_has_at_most_65536_octets() -> None:
    layer, script = scripted_server_layer()
    assert layer.max_payload == 65536 - 16
    wire = layer.wrap(bytes(65536))
    assert int.from_bytes(wire[:4]) == 65536
    assert wire[: 65536 + 4] == integrity_message(script.kic(), 0, bytes(65536 - 16))


@pytest.mark.requirement("RFC2831-2.3-16")
@pytest.mark.parametrize("size", [4097, 0x10000, 0xFFFFFFFC, 0xFFFFFFFF])
def test_a_length_above_our_maxbuf_ends_the_stream_before_anything_is_kept(size: int) -> None:
    client, server = joined(
        client=new_client("auth-int", policy=Policy(max_buffer=4096)), server=new_server("auth-int")
    )
    layer, other = layers(client, server)
    with pytest.raises(InvalidToken) as caught:
        layer.unwrap(size.to_bytes(4) + b"x" * 100)
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_TOKEN
    with pytest.raises(ContextMisuse):
        layer.unwrap(other.wrap(b"text"))


@pytest.mark.requirement("RFC2831-2.3-16")
def test_a_buffer_of_exactly_our_maxbuf_is_taken() -> None:
    client, server = joined(
        client=new_client("auth-int", policy=Policy(max_buffer=4096)), server=new_server("auth-int")
    )
    layer, other = layers(client, server)
    wire = other.wrap(bytes(4096 - 16))
    assert int.from_bytes(wire[:4]) == 4096
    assert layer.unwrap(wire) == bytes(4096 - 16)


@pytest.mark.requirement("RFC2831-2.3-14")
def test_a_maxbuf_without_room_for_a_message_is_refused() -> None:
    smallest = ScriptedServer()
    client = new_client("auth-int")
    smallest.read(client.step(smallest.challenge(b'qop="auth-int"', b"maxbuf=17")) or b"")
    client.succeed(smallest.proof())
    assert client.layer is not None
    assert client.layer.max_payload == 1
    with pytest.raises(InvalidToken):
        new_client("auth-int").step(smallest.challenge(b'qop="auth-int"', b"maxbuf=16"))


@pytest.mark.requirement("RFC2831-2.3-17")
def test_another_authentication_with_the_same_credentials_starts_the_numbers_anew() -> None:
    client = new_client("auth-int")
    server = new_server("auth-int", nonce_store=MemoryNonceStore())
    for _ in range(3):
        client, server = joined(client=client.again(), server=server.again())
        here, there = layers(client, server)
        for number in range(2):
            wire = here.wrap(b"text")
            assert wire[-4:] == number.to_bytes(4)
            assert there.unwrap(wire) == b"text"
            answer = there.wrap(b"answer")
            assert answer[-4:] == number.to_bytes(4)
            assert here.unwrap(answer) == b"answer"


def test_signatures_of_sspi_stand_apart_from_the_message_and_count_with_the_others() -> None:
    identity = sspi.WinNTAuthIdentity("chris", "example.org", "secret")
    outbound = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity).credential
    inbound = sspi.acquire_credentials_handle(None, "WDigest", 1, auth_data=identity).credential
    contexts = establish(outbound, inbound, "imap/h", sspi.IscReq.ISC_REQ_INTEGRITY, sspi.AscReq.ASC_REQ_INTEGRITY)

    def described(signature: sspi.SecBuffer) -> sspi.SecBufferDesc:
        return sspi.SecBufferDesc([sspi.SecBuffer(b"text", sspi.SecBufferType.SECBUFFER_DATA), signature])

    for number in range(3):
        signature = sspi.SecBuffer(None, sspi.SecBufferType.SECBUFFER_TOKEN)
        sspi.make_signature(contexts.client, 0, described(signature), 0)
        assert signature.data[10:] == b"\x00\x01" + number.to_bytes(4)
        wrong = bytearray(signature.data)
        wrong[3] ^= 1
        with pytest.raises(MessageAltered):  # discarded; the context lives
            sspi.verify_signature(
                contexts.server, described(sspi.SecBuffer(wrong, sspi.SecBufferType.SECBUFFER_TOKEN)), 0
            )
        assert sspi.verify_signature(contexts.server, described(signature), 0) == 0
        with pytest.raises(OutOfSequence):
            sspi.verify_signature(contexts.server, described(signature), 0)
