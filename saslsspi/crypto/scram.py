"""The keys and proofs of SCRAM (RFC 5802 section 3), for every hash of the family.

Passwords come here already prepared: SASLprep is the business of who takes them from a person.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["HASHES", "SIZES", "ClientKeys", "client_keys", "client_proof", "proof_holds", "server_signature"]

HASHES: Final[Mapping[str, str]] = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}
"""The hash functions by their IANA names, as mechanism names spell them (section 4), and hashlib's names for them."""

_NEW: Final = {name: getattr(hashlib, function) for name, function in HASHES.items()}

SIZES: Final[Mapping[str, int]] = {"SHA-1": 20, "SHA-256": 32, "SHA-512": 64}
"""The size of each hash, and with it of every key and signature, in octets."""


class ClientKeys(NamedTuple):
    """What a password, a salt and an iteration count come to.

    Attributes:
        client_key: Proves that one knows the password; a server learns it in each exchange and forgets it.
        stored_key: H(client_key), what the server verifies with.
        server_key: Proves that the server knows the account.
    """

    client_key: bytes
    stored_key: bytes
    server_key: bytes


def client_keys(hash_name: str, password: bytes, salt: bytes, iterations: int) -> ClientKeys:
    """Return the keys of a prepared password; it costs two hashes an iteration."""
    name = HASHES[hash_name]
    salted = hashlib.pbkdf2_hmac(name, password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", name)
    return ClientKeys(client_key, _NEW[hash_name](client_key).digest(), hmac.digest(salted, b"Server Key", name))


def client_proof(hash_name: str, keys: ClientKeys, auth_message: bytes) -> bytes:
    """Return ClientProof: the client key, hidden by a signature that only this exchange has."""
    return _exclusive_or(keys.client_key, hmac.digest(keys.stored_key, auth_message, HASHES[hash_name]))


def proof_holds(hash_name: str, stored_key: bytes, auth_message: bytes, proof: bytes) -> bool:
    """Whether a ClientProof comes from who knows the password; constant time for a proof of the right size."""
    name = HASHES[hash_name]
    signature = hmac.digest(stored_key, auth_message, name)
    if len(proof) != len(signature):
        return False
    return hmac.compare_digest(_NEW[hash_name](_exclusive_or(proof, signature)).digest(), stored_key)


def server_signature(hash_name: str, server_key: bytes, auth_message: bytes) -> bytes:
    """Return ServerSignature, by which the server proves that it knows the account."""
    return hmac.digest(server_key, auth_message, HASHES[hash_name])


def _exclusive_or(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
