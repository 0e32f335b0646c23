"""What a tap has kept, as lines for a person: texts, the tokens in them decoded, and what a layer put around a message.

Where a layer begins is seen on the wire itself: its buffers have their length before them, in four octets of which the
first is zero (RFC 4422 section 3.7), and neither a line of text nor an LDAP message begins so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from saslsspi.cli.decode.framing import decode_sasl_buffer, decode_tls
from saslsspi.cli.decode.recognition import decode
from saslsspi.cli.decode.tree import Node, text
from saslsspi.cli.demo.ldap_wire import ldap_message
from saslsspi.testbed.tap import Speech

__all__ = ["told"]

_PREFIX: Final = 4  # octets of a buffer's length
_BY_TURN: Final = 3  # messages of a turn that are shown; the rest is counted
_BEGINNING, _END = 15, 2  # turns that are shown
_WIDTH: Final = 94
_FIELD: Final = 72
_READABLE: Final = re.compile(rb"[ -~\r\n\t]{4,}")
_SIGNATURE: Final = 16  # octets, of DIGEST-MD5, NTLM and what stands on it
_LITERAL: Final = re.compile(rb"\{\d+\+?\}")
_SHORTEST_TOKEN: Final = 8


def told(turns: Iterable[Speech], *, sealed: bool) -> Iterator[str]:
    """Yield the lines of a connection: C what the client says, S the server.

    Args:
        turns: What passed.
        sealed: Whether the layer encrypts: then nothing in it is looked for, since chance writes words too.
    """
    shown = [(turn.from_client, list(_messages(turn.octets, sealed))) for turn in turns]
    for number, (from_client, messages) in enumerate(shown):
        left_out = len(shown) - _BEGINNING - _END
        if left_out > 0 and _BEGINNING <= number < _BEGINNING + left_out:
            if number == _BEGINNING:
                yield f"   ... {left_out} turns more ..."
            continue
        yield from _turn("C" if from_client else "S", messages)


def _turn(who: str, messages: list[tuple[str, list[str]]]) -> Iterator[str]:
    grouped = [(first, below, len(list(same))) for (first, below), same in groupby(messages, key=_alike)]
    for first, below, count in grouped[:_BY_TURN]:
        yield _cut(f" {who} {first}" + (f"  ({count} such)" if count > 1 else ""))
        yield from (_cut(f"     {line}") for line in below)
    if len(grouped) > _BY_TURN:
        yield f"   ... and {len(grouped) - _BY_TURN} more of {who}"


def _alike(message: tuple[str, list[str]]) -> tuple[str, tuple[str, ...]]:
    return message[0], tuple(message[1])


def _messages(octets: bytes, sealed: bool) -> Iterator[tuple[str, list[str]]]:
    """Cut what one side said into messages: a line about each, and lines about what is in it."""
    at = 0
    while at < len(octets):
        rest = octets[at:]
        if rest[0] == 0 and len(rest) >= _PREFIX:
            whole = rest[: _PREFIX + int.from_bytes(rest[:_PREFIX])]
            yield _buffer(whole, sealed)
        elif (records := decode_tls(rest)) is not None:
            whole = rest
            yield f"TLS, {len(rest):,} octets", [str(line) for line in _listed(records.fields["records"])][:_BY_TURN]
        elif (message := ldap_message(rest)) is not None:
            whole = rest[: message.size]
            yield (
                f"{message.what}, {message.size:,} octets",
                list(_node(decode(message.token))) if message.token else [],
            )
        else:
            whole, end, _ = rest.partition(b"\n")
            whole += end
            yield _line(whole)
        at += len(whole)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _buffer(octets: bytes, sealed: bool) -> tuple[str, list[str]]:
    """Tell of a buffer of a layer: its length, what can be read of it, and what stands around that."""
    size = int.from_bytes(octets[:_PREFIX])
    inside = octets[_PREFIX:]
    if sealed:
        lines = [f"nothing to read: {inside[:20].hex(' ')}{' ...' if size > 20 else ''}"]
    else:
        message = inside[:-_SIGNATURE]
        blank = not message.strip(b"\r\n")
        words = [message] if blank else _READABLE.findall(message)
        lines = [f"readable: {_quoted(b' | '.join(words))}"]
    node = decode_sasl_buffer(octets)
    if node is not None and "sequence number" in node.fields:
        signature = f"signature {inside[-16:-6].hex(' ')}, " if not sealed else ""
        lines.append(f"{signature}message number {node.fields['sequence number']} in this direction")
    return f"[{size:,} octets under the layer]", lines


def _line(octets: bytes) -> tuple[str, list[str]]:
    """Tell of a line, and of the token in it."""
    line = octets.rstrip(b"\r\n")
    word = line.rpartition(b" ")[2].strip(b'"')
    token = _decoded(word)
    if token is None:
        return text(line) or "(an empty line)", []
    shown = text(word[:24]) + ("..." if len(word) > 24 else "")
    return f"{text(line[: line.rindex(word)])}{shown}  ({len(token)} octets)", list(_node(decode(token)))


def _decoded(word: bytes) -> bytes | None:
    if len(word) < _SHORTEST_TOKEN or _LITERAL.fullmatch(word):
        return None
    try:
        token = base64.b64decode(word, validate=True)
    except (ValueError, binascii.Error):
        return None
    return None if _unknown(decode(token)) else token


def _unknown(node: Node) -> bool:
    return any(finding.id == "unknown" for finding in node.findings)


def _node(node: Node, indent: str = "") -> Iterator[str]:
    fields = []
    for name, value in node.fields.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if shown not in ("", "-"):
            fields.append(f"{name}: {shown if len(shown) <= _FIELD else shown[:_FIELD] + '...'}")
    yield f"{indent}{node.kind}"
    line = ""
    for field in fields:
        if line and len(indent) + len(line) + len(field) > _WIDTH - 10:
            yield f"{indent}  {line}"
            line = ""
        line += ("; " if line else "") + field
    if line:
        yield f"{indent}  {line}"
    for part in node.parts.values():
        yield from _node(part, indent + "  ")


def _quoted(octets: bytes) -> str:
    shown = octets.decode("ascii").replace("\r\n", "\\r\\n").replace("\n", "\\n")
    return f'"{shown[:60]}{"..." if len(shown) > 60 else ""}"'


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."
