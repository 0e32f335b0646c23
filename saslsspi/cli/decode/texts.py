"""The small mechanisms: SCRAM (RFC 5802), PLAIN (RFC 4616), CRAM-MD5 (RFC 2195); proofs and passwords are masked."""

from __future__ import annotations

import re
from typing import Final

from saslsspi.cli.decode.tree import Node, masked, name, text
from saslsspi_conformance.probe.findings import Severity

__all__ = ["decode_cram", "decode_plain", "decode_scram"]

_GS2: Final = re.compile(rb"(n|y|p=[A-Za-z0-9.-]+),(?:a=([^,]*))?,(?=(?:m=[^,]*,)?n=)")
_ATTRIBUTE: Final = re.compile(rb"([A-Za-z])=([^,]*)", re.DOTALL)
_MESSAGES: Final[tuple[tuple[str, frozenset[int], dict[str, str]], ...]] = (
    ("client-first", frozenset(b"nr"), {"n": "user", "r": "nonce"}),
    ("server-first", frozenset(b"rsi"), {"r": "nonce", "s": "salt", "i": "iterations"}),
    ("client-final", frozenset(b"crp"), {"r": "nonce"}),
    ("server-final", frozenset(b"v"), {}),
    ("server-final", frozenset(b"e"), {"e": "error"}),
)
_FEW: Final = 4096
_CRAM: Final = re.compile(rb"([^ ]{1,256}) [0-9a-fA-F]{32}")
_STAMP: Final = re.compile(rb"<[^<>@\s]{1,200}@[^<>@\s]{1,200}>")
_MAX_PLAIN: Final = 3 * 1024


def decode_scram(data: bytes) -> Node | None:
    """Read one of the four messages; None where it is none."""
    header = _GS2.match(data)
    attributes = []
    for part in data[header.end() if header else 0 :].split(b","):
        found = _ATTRIBUTE.fullmatch(part)
        if found is None:
            return None
        attributes.append((found[1].decode(), found[2]))
    names = {ord(key) for key, _ in attributes}
    if len(names) < len(attributes):
        return None
    matching = [each for each in _MESSAGES if each[1] <= names and (header is None or each[0] == "client-first")]
    if not matching:
        return None
    title, _, shown = matching[0]
    node = Node(f"SCRAM {title}")
    if header is not None:
        node.fields |= {"channel binding": text(header[1]), "authzid": name(header[2] or b"")}
        if header[1] == b"n":
            node.find(Severity.INFO, "no-channel-binding", "the client does no channel binding")
    for key, value in attributes:
        node.fields[shown.get(key, {"p": "proof", "v": "signature", "c": "binding"}.get(key, f"{key}="))] = (
            name(value) if key in shown else masked(value)
        )
    rounds = dict(attributes).get("i", b"") if title == "server-first" else b""
    if rounds.isdigit() and len(rounds) < 10 and int(rounds) < _FEW:
        node.find(Severity.WARN, "few-iterations", f"{int(rounds)} iterations; RFC 7677 wants {_FEW} at least")
    return node


def decode_plain(data: bytes) -> Node | None:
    """Read authzid, NUL, authcid, NUL, password; None where it is not that."""
    parts = data.split(b"\0")
    if len(parts) != 3 or not parts[1] or not parts[2] or len(data) > _MAX_PLAIN:
        return None
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    node = Node("PLAIN", {"authzid": name(parts[0]), "user": name(parts[1]), "password": "(masked)"})
    node.find(Severity.FAIL, "plain-password", "the password stands here as it is; only TLS protects it")
    return node


def decode_cram(data: bytes) -> Node | None:
    """Read a challenge or a response; None where it is neither."""
    if _STAMP.fullmatch(data):
        node = Node("CRAM-MD5 challenge", {"challenge": text(data)})
    elif (found := _CRAM.fullmatch(data)) is not None:
        node = Node("CRAM-MD5 response", {"user": name(found[1]), "digest": "(16 octets, masked)"})
    else:
        return None
    node.find(Severity.WARN, "cram-md5", "CRAM-MD5: guessable offline, no mutual authentication, no layer")
    return node
