"""Digest: challenge, response and proof of DIGEST-MD5 (RFC 2831) and of HTTP (RFC 7616)."""

from __future__ import annotations

import re
from typing import Final

from saslsspi.cli.decode.tree import Node, masked, name, text
from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.grammar import directives, unquote
from saslsspi.packages.digest.sasl.messages import DigestChallenge, DigestResponse, ResponseAuth
from saslsspi_conformance.probe.digest_parameters import judge_challenge
from saslsspi_conformance.probe.findings import Severity

__all__ = ["decode_digest"]

_LIMIT: Final = 1 << 16
_SCHEME: Final = re.compile(rb"(?:(?:www-|proxy-)?auth[a-z-]*:[ \t]*)?digest[ \t]+", re.I)
_PUBLIC: Final = frozenset({b"nonce", b"cnonce", b"opaque", b"nextnonce"})
_NAMES: Final = frozenset(
    {b"realm", b"username", b"username*", b"authzid", b"digest-uri", b"uri", b"domain", b"nc", b"qop", b"maxbuf",
     b"charset", b"cipher", b"algorithm", b"stale", b"userhash"}
)  # fmt: skip
_SECRETS: Final = frozenset({b"response", b"rspauth"})
_WEAK: Final = frozenset({b"des", b"rc4", b"rc4-40", b"rc4-56", b"3des"})


def decode_digest(data: bytes) -> Node | None:
    """Read a list of directives; None where it is none of Digest's."""
    scheme = _SCHEME.match(data)
    message = data[scheme.end() :] if scheme else data
    try:
        found, scanned = directives(message, _LIMIT, frozenset())
    except InvalidToken:
        return None
    if b"rspauth" in found or b"nextnonce" in found:
        kind = "digest response-auth"
    elif b"response" in found and found.keys() & {b"username", b"username*", b"cnonce", b"nonce"}:
        kind = "digest response"
    elif b"nonce" in found:
        kind = "digest challenge"
    else:
        return None
    web = scheme is not None or b"uri" in found
    node = Node(f"HTTP {kind}" if web else f"DIGEST-MD5 {kind}")
    for raw, inside, token, _ in scanned:
        key = raw.lower()
        if key:
            _add(node, key, token or unquote(inside))
    _judge(node, kind, message, {key: token or unquote(inside) for key, (_, inside, token, _) in found.items()}, web)
    return node


def _add(node: Node, key: bytes, value: bytes) -> None:
    if key in _PUBLIC:
        shown = text(value)
    elif key in _NAMES:
        shown = name(value)
    else:
        shown = masked(value)
    label = text(key) if key in _PUBLIC | _NAMES | _SECRETS else "unknown directive"
    earlier = node.fields.get(label)
    node.fields[label] = shown if earlier is None else f"{earlier}, {shown}"


def _judge(node: Node, kind: str, message: bytes, values: dict[bytes, bytes], web: bool) -> None:
    if web:
        if not values.get(b"algorithm", b"md5").lower().startswith(b"sha"):
            node.find(Severity.WARN, "digest-md5-hash", "the hash is MD5; RFC 7616 has SHA-256")
        if b"qop" not in values and b"rspauth" not in values:
            node.find(Severity.WARN, "digest-no-qop", "without qop a captured answer serves for a chosen challenge")
        return
    try:
        if kind == "digest challenge":
            node.findings += judge_challenge(DigestChallenge.from_bytes(message, -1))
        elif kind == "digest response":
            _judge_response(node, DigestResponse.from_bytes(message, -1))
        else:
            ResponseAuth.from_bytes(message, -1)
    except InvalidToken as error:
        node.find(Severity.FAIL, "malformed", error.text)


def _judge_response(node: Node, response: DigestResponse) -> None:
    qop = response.qop or b"auth"
    if qop == b"auth":
        node.find(Severity.INFO, "no-layer", "qop auth: nothing protects what follows but TLS")
    if response.cipher in _WEAK:
        node.find(Severity.WARN, "weak-cipher", f"the cipher {name(response.cipher or b'')} is weak by today's measure")
    node.find(Severity.INFO, "guessable", "whoever sees this message can guess at the password offline")
