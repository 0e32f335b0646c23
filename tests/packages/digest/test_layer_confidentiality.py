"""The layer of auth-conf with every cipher, seen on the wire (RFC 2831 section 2.4)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

from packages.digest.ours import CIPHERS, joined, new_client, new_server
from packages.digest.scripted import ScriptedServer
from saslsspi import Layer, Policy
from saslsspi.errors import ContextMisuse, MessageAltered, OutOfSequence, SaslError
from saslsspi.status import SecurityStatus

N = {"rc4-40": 5, "rc4-56": 7}
BLOCK = {"des": 8, "3des": 8}
Run = Callable[[bytes], bytes]


def spread(seven: bytes) -> bytes:
    """56 key bits over 8 octets with odd parity, one bit after the other."""
    bits = "".join(f"{octet:08b}" for octet in seven)
    groups = [bits[at : at + 7] for at in range(0, 56, 7)]
    return bytes(int(group + str((group.count("1") + 1) % 2), 2) for group in groups)


def begin(cipher: str, key: bytes, encipher: bool) -> Run:
    """The RFC's cipher under a sealing key, written straight from section 2.4."""
    made: Cipher[Any]
    if cipher.startswith("rc4"):
        made = Cipher(ARC4(key), None)
    else:
        first = spread(key[:7])
        second = first if cipher == "des" else spread(key[7:14])
        made = Cipher(TripleDES(first + second + first), CBC(key[8:16]))
    return (made.encryptor() if encipher else made.decryptor()).update


class Peer:
    """A scripted server with the keys of the session and its own ciphers."""

    def __init__(self, cipher: str, policy: Policy | None = None, maxbuf: int = 65536) -> None:
        self.block = BLOCK.get(cipher, 1)
        script = ScriptedServer()
        client = new_client(cipher, policy=policy)
        response = client.step(
            script.challenge(b'qop="auth-conf"', b'cipher="' + cipher.encode() + b'"', b"maxbuf=%d" % maxbuf)
        )
        script.read(response or b"")
        client.succeed(script.proof())
        assert client.layer is not None
        self.layer: Layer = client.layer
        self.script = script
        n = N.get(cipher, 16)
        self.decipher = begin(cipher, script.kcc(n), False)
        self.encipher = begin(cipher, script.kcs(n), True)

    def open(self, wire: bytes) -> tuple[bytes, bytes, bytes]:
        """Take a message of our client apart: text, padding, MAC."""
        plain = self.decipher(wire[4:-6])
        padding = plain[-11] if self.block > 1 else 0
        end = len(plain) - 10 - padding
        return plain[:end], plain[end:-10], plain[-10:]

    def seal(
        self, number: int, text: bytes, *, padding: bytes | None = None, kind: int = 1, mac: bytes | None = None
    ) -> bytes:
        counter = number.to_bytes(4)
        if padding is None:
            size = 8 - (len(text) + 10) % 8
            padding = bytes([size]) * size if self.block > 1 else b""
        mac = mac or hmac.digest(self.script.kis(), counter + text, "md5")[:10]
        body = self.encipher(text + padding + mac) + kind.to_bytes(2) + counter
        return len(body).to_bytes(4) + body


every_cipher = pytest.mark.parametrize("cipher", CIPHERS)
block_ciphers = pytest.mark.parametrize("cipher", list(BLOCK))


@every_cipher
@pytest.mark.requirement(
    "RFC2831-2.4-01",
    "RFC2831-2.4-02",
    "RFC2831-2.4-03",
    "RFC2831-2.4-04",
    "RFC2831-2.4-05",
    "RFC2831-2.4-06",
    "RFC2831-2.4-07",
    "RFC2831-2.4-08",
    "RFC2831-2.4-09",
    "RFC2831-2.4-10",
    "RFC2831-2.4-11",
    "RFC2831-2.4-12",
    "RFC2831-2.4-13",
    "RFC2831-2.4-14",
    "RFC2831-2.4-20",
    "RFC2831-2.1.1-46",
    "RFC2831-2.1.1-47",
    "RFC2831-2.1.1-48",
    "RFC2831-ERR-02",
    "RFC2831-ERR-05",
    "RFC2831-1.1-03",
)
def test_each_message_is_the_ciphered_text_padding_and_mac_then_type_and_number_in_clear(cipher: str) -> None:
    peer = Peer(cipher)
    for number in range(18):
        text = b"secret octets of a message"[:number]
        wire = peer.layer.wrap(text)
        assert int.from_bytes(wire[:4]) == len(wire) - 4
        assert wire[-6:] == b"\x00\x01" + number.to_bytes(4)
        assert (len(wire) - 10) % peer.block == 0
        assert number < 4 or text not in wire
        mac = hmac.digest(peer.script.kic(), number.to_bytes(4) + text, "md5")[:10]
        size = 0 if peer.block == 1 else 8 - (number + 10) % 8
        assert peer.open(wire) == (text, bytes([size]) * size, mac)
        assert peer.layer.unwrap(peer.seal(number, text)) == text


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-12", "RFC2831-2.4-13")
def test_padding_is_one_to_eight_octets_for_blocks_and_none_for_rc4(cipher: str) -> None:
    peer = Peer(cipher)
    for size in range(17):
        enciphered = len(peer.layer.wrap(bytes(size))) - 4 - 6
        if peer.block == 1:
            assert enciphered == size + 10
        else:
            assert 1 <= enciphered - size - 10 <= 8
            assert enciphered % 8 == 0


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-17")
@pytest.mark.parametrize("number", [1, 0xFFFFFFFF])
def test_another_number_than_the_next_is_out_of_sequence(cipher: str, number: int) -> None:
    peer = Peer(cipher)
    with pytest.raises(OutOfSequence) as caught:
        peer.layer.unwrap(peer.seal(number, b"text"))
    assert caught.value.status is SecurityStatus.SEC_E_OUT_OF_SEQUENCE


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-17")
@pytest.mark.parametrize("kind", [0, 2, 0x0100])
def test_another_type_is_an_altered_message(cipher: str, kind: int) -> None:
    peer = Peer(cipher)
    with pytest.raises(MessageAltered):
        peer.layer.unwrap(peer.seal(0, b"text", kind=kind))


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-15")
def test_every_flipped_bit_of_the_ciphered_part_is_an_altered_message(cipher: str) -> None:
    size = len(Peer(cipher).seal(0, b"some text"))
    for position in range(4, size - 6):
        peer = Peer(cipher)
        wire = bytearray(peer.seal(0, b"some text"))
        wire[position] ^= 1 << position % 8
        with pytest.raises(MessageAltered):
            peer.layer.unwrap(bytes(wire))
        with pytest.raises(ContextMisuse):
            peer.layer.unwrap(peer.seal(0, b"some text"))


@block_ciphers
@pytest.mark.requirement("RFC2831-2.4-16")
@pytest.mark.parametrize(
    "padding",
    [
        b"\x00" * 6,
        b"\x06" * 5 + b"\x07",
        b"\x05" * 6,
        b"\x07" * 6,
        b"\x00\x06\x06\x06\x06\x06",
        b"\x06\x06\x06\x06\x06\x09",
        b"\x06\x06\x06\x06\x06\xff",
        b"\x0e" * 14,
    ],
)
def test_wrong_padding_is_the_same_error_as_a_wrong_mac(cipher: str, padding: bytes) -> None:
    text = b"12345678"
    peer = Peer(cipher)
    with pytest.raises(MessageAltered) as wrong_mac:
        peer.layer.unwrap(peer.seal(0, text, mac=bytes(10)))
    peer = Peer(cipher)
    with pytest.raises(MessageAltered) as wrong_padding:
        peer.layer.unwrap(peer.seal(0, text, padding=padding))
    assert type(wrong_padding.value) is type(wrong_mac.value)
    assert wrong_padding.value.args == wrong_mac.value.args
    assert wrong_padding.value.requirement == wrong_mac.value.requirement


@block_ciphers
@pytest.mark.requirement("RFC2831-2.4-16")
def test_padding_that_reaches_into_the_message_is_an_altered_message(cipher: str) -> None:
    peer = Peer(cipher)
    with pytest.raises(MessageAltered):
        peer.layer.unwrap(peer.seal(0, b"", padding=b"\x08" * 6))


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-18", "RFC2831-2.3-11")
@pytest.mark.parametrize("number", [b"\x00\x01\x00\x00\x00\x00", b"\xff" * 6])
def test_a_buffer_of_no_whole_blocks_or_without_a_mac_is_refused(cipher: str, number: bytes) -> None:
    for size in range(26):
        peer = Peer(cipher)
        body = (bytes(26) + number)[-size:] if size else b""
        with pytest.raises(SaslError) as caught:
            peer.layer.unwrap(size.to_bytes(4) + body)
        assert caught.value.status in (SecurityStatus.SEC_E_MESSAGE_ALTERED, SecurityStatus.SEC_E_OUT_OF_SEQUENCE)
        if size < 16 or number.startswith(b"\x00"):
            assert caught.value.status is SecurityStatus.SEC_E_MESSAGE_ALTERED


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-18", "RFC2831-2.4-15")
@pytest.mark.parametrize("size", range(1, 9))
def test_octets_slipped_in_behind_the_ciphered_part_are_found(cipher: str, size: int) -> None:
    """Half a block more leaves what a decipherer gives out unchanged, MAC and all."""
    peer = Peer(cipher)
    body = peer.seal(0, b"some text")[4:]
    body = body[:-6] + bytes(size) + body[-6:]
    with pytest.raises(MessageAltered):
        peer.layer.unwrap(len(body).to_bytes(4) + body)


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-19", "RFC2831-2.1.1-24")
@pytest.mark.parametrize("maxbuf", [*range(30, 44), 64, 100, 4096])
def test_padding_and_mac_count_within_the_peers_maxbuf(cipher: str, maxbuf: int) -> None:
    peer = Peer(cipher, maxbuf=maxbuf)
    text = bytes(range(256)) * 17
    wire, at, whole = peer.layer.wrap(text), 0, b""
    while at < len(wire):
        size = int.from_bytes(wire[at : at + 4])
        assert size <= maxbuf
        whole += peer.open(wire[at : at + 4 + size])[0]
        at += 4 + size
    assert whole == text
    # Not wasteful either: one octet more would not have fitted.
    one_more = peer.layer.max_payload + 1
    assert one_more + 16 + (8 - (one_more + 10) % 8 if peer.block > 1 else 0) > maxbuf


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-10", "RFC2831-2.4-09")
def test_the_cipher_runs_on_over_hundreds_of_messages_both_ways(cipher: str) -> None:
    client, server = joined(cipher)
    assert client.layer is not None
    assert server.layer is not None
    for number in range(200):
        text = bytes([number]) * (number * 7 % 300)
        assert server.layer.unwrap(client.layer.wrap(text)) == text
        assert client.layer.unwrap(server.layer.wrap(text)) == text


@every_cipher
@pytest.mark.requirement("RFC2831-2.4-01")
def test_unprotected_data_is_refused(cipher: str) -> None:
    peer = Peer(cipher)
    with pytest.raises(SaslError):
        peer.layer.unwrap(b"a001 CAPABILITY\r\n")


@pytest.mark.requirement("RFC2831-2.1.1-41", "RFC2831-2.1.1-42", "RFC6331-1-14")
def test_every_cipher_can_be_agreed_on_between_any_preferences() -> None:
    for cipher in CIPHERS:
        client, server = joined(
            client=new_client(cipher), server=new_server(policy=Policy(ciphers=tuple(reversed(CIPHERS))))
        )
        assert client.security.cipher == server.security.cipher == cipher
