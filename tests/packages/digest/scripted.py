"""Peers of DIGEST-MD5 that do as they are told, and the RFC's formulas in a second, plain writing.

Nothing in here uses the code under test: the formulas are those of RFC 2831 sections 2.1.2.1, 2.3 and 2.4 on hashlib
and hmac, and the readers are strict and simple. What our side sends is read by these, and what these write may break
every rule.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = [
    "HOST",
    "PASSWORD",
    "REALM",
    "USER",
    "ScriptedClient",
    "ScriptedServer",
    "Session",
    "integrity_message",
    "parse_strictly",
    "quoted",
    "values",
]

USER: Final = "chris"
REALM: Final = "example.org"
PASSWORD: Final = "secret"
HOST: Final = "mail.example.org"

_STRICT: Final = re.compile(
    rb'([A-Za-z0-9-]+)=("(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\x20-\x7e])*"|[A-Za-z0-9!#$%&\'*+.^_`|~-]+)(,|\Z)'
)


def parse_strictly(message: bytes) -> list[tuple[str, bytes]]:
    """Read a list of directives without any white space; names and raw values in order, quotes kept."""
    found, at = [], 0
    while at < len(message):
        match = _STRICT.match(message, at)
        assert match is not None, f"no directive at octet {at} of {message!r}"
        found.append((match[1].decode(), match[2]))
        at = match.end()
        assert bool(match[3]) == (at < len(message)), f"a comma too many in {message!r}"
    return found


def values(message: bytes) -> dict[str, bytes]:
    """Read a message's directives, unquoted; each must occur once."""
    directives = parse_strictly(message)
    names = [name for name, _ in directives]
    assert len(set(names)) == len(names), f"a directive occurs twice: {names}"
    return {name: _unquoted(raw) for name, raw in directives}


def _unquoted(raw: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", raw[1:-1]) if raw.startswith(b'"') else raw


def quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _h(octets: bytes) -> bytes:
    return hashlib.md5(octets).digest()


def _hex(octets: bytes) -> bytes:
    return octets.hex().encode()


@dataclass(kw_only=True)
class Session:
    """The values of one authentication, as octets in the encoding in which they are hashed."""

    username: bytes = USER.encode()
    realm: bytes = REALM.encode()
    password: bytes = PASSWORD.encode()
    nonce: bytes = b""
    cnonce: bytes = b"OA6MHXh6VqTrRk"
    nc: bytes = b"00000001"
    qop: bytes = b"auth"
    digest_uri: bytes = b"imap/" + HOST.encode()
    authzid: bytes | None = None

    def inner_hash(self) -> bytes:
        return _h(self.username + b":" + self.realm + b":" + self.password)

    def ha1(self) -> bytes:
        a1 = self.inner_hash() + b":" + self.nonce + b":" + self.cnonce
        return _h(a1 if self.authzid is None else a1 + b":" + self.authzid)

    def _kd(self, a2: bytes) -> bytes:
        if self.qop.lower() != b"auth":
            a2 += b":" + b"0" * 32
        parts = (self.nonce, self.nc, self.cnonce, self.qop, _hex(_h(a2)))
        return _hex(_h(_hex(self.ha1()) + b":" + b":".join(parts)))

    def response(self) -> bytes:
        return self._kd(b"AUTHENTICATE:" + self.digest_uri)

    def rspauth(self) -> bytes:
        return self._kd(b":" + self.digest_uri)

    def kic(self) -> bytes:
        return _h(self.ha1() + b"Digest session key to client-to-server signing key magic constant")

    def kis(self) -> bytes:
        return _h(self.ha1() + b"Digest session key to server-to-client signing key magic constant")

    def kcc(self, n: int) -> bytes:
        return _h(self.ha1()[:n] + b"Digest H(A1) to client-to-server sealing key magic constant")

    def kcs(self, n: int) -> bytes:
        return _h(self.ha1()[:n] + b"Digest H(A1) to server-to-client sealing key magic constant")


def integrity_message(key: bytes, number: int, text: bytes, kind: int = 1) -> bytes:
    """One buffer of auth-int with its SASL length."""
    counter = number.to_bytes(4)
    mac = hmac.digest(key, counter + text, "md5")[:10]
    buffer = text + mac + kind.to_bytes(2) + counter
    return len(buffer).to_bytes(4) + buffer


@dataclass(kw_only=True)
class ScriptedClient(Session):
    """A client: reads our challenge, and writes a right response with whatever is asked to be wrong in it.

    Attributes:
        changes: Raw values by directive; None leaves the directive out.
        extra: Raw directives to append.
        wire_username: The user name as it travels, where that is not as it is hashed.
    """

    changes: Mapping[str, bytes | None] = field(default_factory=dict)
    extra: tuple[bytes, ...] = ()
    wire_username: bytes | None = None
    utf8: bool = True

    def answer(self, challenge: bytes) -> bytes:
        offered = dict(parse_strictly(challenge))
        self.nonce = self.nonce or _unquoted(offered["nonce"])
        return self.message()

    def message(self) -> bytes:
        directives: dict[str, bytes | None] = {
            "charset": b"utf-8" if self.utf8 else None,
            "username": quoted(self.username if self.wire_username is None else self.wire_username),
            "realm": quoted(self.realm),
            "nonce": quoted(self.nonce),
            "nc": self.nc,
            "cnonce": quoted(self.cnonce),
            "digest-uri": quoted(self.digest_uri),
            "response": self.response(),
            "qop": self.qop,
            "authzid": None if self.authzid is None else quoted(self.authzid),
        }
        directives.update(self.changes)
        written = [name.encode() + b"=" + raw for name, raw in directives.items() if raw is not None]
        return b",".join([*written, *self.extra])


@dataclass(kw_only=True)
class ScriptedServer(Session):
    """A server: any text for a challenge, and the right rspauth to our response."""

    nonce: bytes = b"OA6MG9tEQGm2hh"

    def challenge(self, *more: bytes, realm: bytes | None = None, algorithm: bytes | None = b"md5-sess") -> bytes:
        """A challenge with one realm, nonce and algorithm, and more raw directives behind them."""
        parts = [b"realm=" + quoted(self.realm if realm is None else realm), b"nonce=" + quoted(self.nonce)]
        parts += [] if algorithm is None else [b"algorithm=" + algorithm]
        return b",".join([*parts, *more])

    def read(self, response: bytes) -> dict[str, bytes]:
        """Take over the client's own values, and check that its response is right for the password."""
        sent = values(response)
        self.nonce, self.cnonce, self.nc = sent["nonce"], sent["cnonce"], sent["nc"]
        self.qop, self.digest_uri = sent.get("qop", b"auth"), sent["digest-uri"]
        self.realm, self.authzid = sent.get("realm", b""), sent.get("authzid")
        assert sent["response"] == self.response(), "the response is not the one of this password"
        return sent

    def proof(self) -> bytes:
        return b"rspauth=" + self.rspauth()
