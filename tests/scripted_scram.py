"""SCRAM ends that say what a test wants them to say; their arithmetic is their own, straight from RFC 5802."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final

__all__ = ["SALT", "ScriptedClient", "ScriptedServer", "iterated"]

SALT: Final = bytes(range(16))


def iterated(hash_name: str, password: bytes, salt: bytes, count: int) -> bytes:
    """Hi() as section 2.2 writes it, without PBKDF2 from a library."""
    last = result = hmac.digest(password, salt + b"\0\0\0\1", hash_name)
    for _ in range(count - 1):
        last = hmac.digest(password, last, hash_name)
        result = bytes(a ^ b for a, b in zip(result, last, strict=True))
    return result


def _fields(message: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.decode().split(",")}


@dataclass
class ScriptedClient:
    """Says bare behind header, and proves a password over whatever was said."""

    password: bytes = b"wonderland"
    header: bytes = b"n,,"
    bare: bytes = b"n=alice,r=clientnonce"
    binding: bytes = b""
    hash_name: str = "sha256"

    def first(self) -> bytes:
        return self.header + self.bare

    def final(
        self,
        server_first: bytes,
        *,
        nonce: bytes | None = None,
        c: bytes | None = None,
        extensions: bytes = b"",
        proof: bytes | None = None,
    ) -> bytes:
        told = _fields(server_first)
        said_nonce = told["r"].encode() if nonce is None else nonce
        said_binding = b64encode(self.header + self.binding) if c is None else c
        without_proof = b"c=" + said_binding + b",r=" + said_nonce + extensions
        salted = iterated(self.hash_name, self.password, b64decode(told["s"]), int(told["i"]))
        client_key = hmac.digest(salted, b"Client Key", self.hash_name)
        stored_key = hashlib.new(self.hash_name, client_key).digest()
        auth_message = b",".join((self.bare, server_first, without_proof))
        signature = hmac.digest(stored_key, auth_message, self.hash_name)
        if proof is None:
            proof = b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))
        self.expected = b"v=" + b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", self.hash_name), auth_message, self.hash_name)
        )
        return without_proof + b",p=" + proof


@dataclass
class ScriptedServer:
    """Answers any client-first; `final` signs what a server that knows the password would sign."""

    password: bytes = b"wonderland"
    hash_name: str = "sha256"
    added: bytes = b"servernonce"
    salt: bytes = b64encode(SALT)
    iterations: bytes = b"4096"
    client_first: bytes = field(default=b"", init=False)
    server_first: bytes = field(default=b"", init=False)

    @property
    def bare(self) -> bytes:
        return self.client_first.split(b",", 2)[2]

    def first(self, client_first: bytes) -> bytes:
        self.client_first = client_first
        nonce = _fields(self.bare)["r"].encode() + self.added
        self.server_first = b"r=" + nonce + b",s=" + self.salt + b",i=" + self.iterations
        return self.server_first

    def final(self, client_final: bytes) -> bytes:
        without_proof = client_final.rpartition(b",p=")[0]
        salted = iterated(self.hash_name, self.password, b64decode(self.salt), int(self.iterations))
        auth_message = b",".join((self.bare, self.server_first, without_proof))
        server_key = hmac.digest(salted, b"Server Key", self.hash_name)
        return b"v=" + b64encode(hmac.digest(server_key, auth_message, self.hash_name))
