"""A cipher is a row: whatever its block size, both sides pad by it, move by it, and every command can name it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as Primitive
from cryptography.hazmat.primitives.ciphers import algorithms, modes

from packages.digest.ours import joined, new_client, new_server
from saslsspi import Policy
from saslsspi.engine.exchange import Side
from saslsspi.engine.registry import find_package
from saslsspi.errors import MessageAltered
from saslsspi.packages.digest.ciphers import CIPHERS, Cipher, Update
from saslsspi.packages.digest.keys import layer_keys
from saslsspi.packages.digest.sasl.export import export_layer, import_layer
from saslsspi.packages.digest.sasl.protection import DigestProtection


def _aes(key: bytes, encipher: bool) -> Update:
    primitive = Primitive(algorithms.AES128(key), modes.CBC(key))
    return (primitive.encryptor() if encipher else primitive.decryptor()).update


@pytest.fixture
def aes(monkeypatch: pytest.MonkeyPatch) -> Cipher:
    """A cipher with blocks of 16 octets: a row, and nothing else."""
    row = Cipher(name=b"aes-cbc", ssf=128, key_size=16, block_size=16, begin=_aes)
    monkeypatch.setitem(CIPHERS, row.name, row)
    return row


def test_a_row_is_all_that_a_cipher_takes(aes: Cipher) -> None:
    policy = Policy(ciphers=("aes-cbc",), min_ssf=2)
    client, server = joined(client=new_client(policy=policy), server=new_server(policy=policy))
    assert client.security.cipher == server.security.cipher == "aes-cbc"
    assert client.layer is not None
    assert server.layer is not None
    for size in range(70):
        text = bytes(range(size))
        wire = client.layer.wrap(text)
        assert (len(wire) - 4 - 6) % 16 == 0
        assert server.layer.unwrap(wire) == text
        assert client.layer.unwrap(server.layer.wrap(text)) == text
    assert "aes-cbc" in find_package("WDigest").choices("ciphers")


NARROW = Cipher(name=b"none", ssf=2, key_size=16, block_size=4, begin=lambda key, encipher: bytes)


@pytest.mark.parametrize("name", ["aes-cbc", "none", *(name.decode() for name in CIPHERS)])
def test_the_size_of_a_message_follows_from_the_block_size(aes: Cipher, name: str) -> None:
    row = NARROW if name == "none" else CIPHERS[name.encode()]
    ends = [
        DigestProtection(layer_keys(bytes(16), side, cipher_key_size=row.key_size), row, bytes(16), 300, 300)
        for side in Side
    ]
    for size in range(ends[0].max_payload + 1):
        sealed = b"".join(bytes(part) for part in ends[0].seal(bytes(size)))
        assert len(sealed) == size + ends[0].overhead(size) <= 300
        assert ends[1].unseal(sealed) == bytes(size)
    assert ends[0].max_payload + ends[0].overhead(ends[0].max_payload + 1) + 1 > 300
    with pytest.raises(MessageAltered):
        ends[1].unseal(bytes(row.block_size) + bytes(sealed[-6:-4]) + (ends[0].max_payload + 1).to_bytes(4))


def test_a_layer_moves_to_another_process_in_the_middle_of_a_chain(aes: Cipher) -> None:
    ends = [
        DigestProtection(layer_keys(b"k" * 16, side, cipher_key_size=16), aes, b"k" * 16, 300, 300) for side in Side
    ]
    for _ in range(3):
        state = export_layer(ends[0], reset=False)
        assert state is not None
        ends[0] = import_layer(state)
        for text in (b"", b"text", bytes(50)):
            assert ends[1].unseal(b"".join(bytes(part) for part in ends[0].seal(text))) == text
            assert ends[0].unseal(b"".join(bytes(part) for part in ends[1].seal(text))) == text
