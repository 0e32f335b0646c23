from __future__ import annotations

import pytest

from saslsspi.crypto.scram import HASHES, SIZES, client_keys, client_proof, proof_holds, server_signature
from saslsspi_mechanisms.scram.messages import ClientFinal, ClientFirst, ServerFinal, ServerFirst
from scripted_scram import iterated
from vector_files import load


@pytest.mark.requirement("RFC5802-3-01", "RFC5802-3-02", "RFC7677-3-01")
@pytest.mark.parametrize("vector", load("scram"), ids=lambda vector: vector["id"])
def test_keys_proofs_and_signatures_are_those_of_the_rfcs(vector: dict[str, str]) -> None:
    hash_name = vector["mechanism"].removeprefix("SCRAM-")
    server_first = ServerFirst.from_bytes(vector["server_first_text"].encode())
    keys = client_keys(hash_name, vector["password"].encode(), server_first.salt, server_first.iterations)
    assert keys.client_key.hex() == vector["client_key"]
    assert keys.stored_key.hex() == vector["stored_key"]
    assert keys.server_key.hex() == vector["server_key"]
    final = ClientFinal.from_bytes(vector["client_final_text"].encode())
    auth_message = b",".join(
        (
            ClientFirst.from_bytes(vector["client_first_text"].encode()).bare,
            server_first.to_bytes(),
            final.without_proof,
        )
    )
    assert client_proof(hash_name, keys, auth_message) == final.proof
    assert proof_holds(hash_name, keys.stored_key, auth_message, final.proof)
    signature = ServerFinal.from_bytes(vector["server_final_text"].encode()).signature
    assert server_signature(hash_name, keys.server_key, auth_message) == signature


@pytest.mark.requirement("RFC5802-3-01")
@pytest.mark.parametrize(("hash_name", "spelling"), HASHES.items())
def test_the_iteration_is_that_of_section_2_2(hash_name: str, spelling: str) -> None:
    import hashlib
    import hmac

    client_key = hmac.digest(iterated(spelling, b"pencil", b"salt", 5), b"Client Key", spelling)
    keys = client_keys(hash_name, b"pencil", b"salt", 5)
    assert keys.client_key == client_key
    assert keys.stored_key == hashlib.new(spelling, client_key).digest()
    assert len(client_key) == SIZES[hash_name]


@pytest.mark.parametrize("proof", [b"", b"x", bytes(31), bytes(32), bytes(33)])
def test_a_proof_of_any_size_is_only_wrong(proof: bytes) -> None:
    assert not proof_holds("SHA-256", client_keys("SHA-256", b"p", b"s", 1).stored_key, b"message", proof)
