"""Texts that grow: pieces repeated behind the beginnings of good messages, and good messages with ever more parts."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LONG", "REPEATED"]

Build = Callable[[int], bytes]

_BEGINNINGS = (
    b"", b'"', b'Digest realm="r", a="', b'realm="r",nonce="n",qop="', b"n,,n=a", b"http://",
    b"\x60\x82\x7f\xff\x06\x06+\x06\x01\x05\x05\x02\xa0\x82\x7f\xf0\x30\x82\x7f\xe0",
)  # fmt: skip
_PIECES = (
    b'"', b'\\"', b"\\", b",", b" ", b"=", b"a", b"a=b,", b'a="b",', b"a ,", b"%41", b"\r\n ", b"=2C", b"\xff", b"\0",
    b"\x30\x80", b"\x30\x03\x02\x01\x05", b"\x04\x01a", b"/", b"a.", b";a=",
)  # fmt: skip


def _repeated(beginning: bytes, piece: bytes) -> Build:
    return lambda size: beginning + piece * max(1, size // len(piece) * 4)


REPEATED: dict[str, Build] = {
    f"{beginning!r}, then {piece!r} again and again": _repeated(beginning, piece)
    for beginning in _BEGINNINGS
    for piece in _PIECES
}


def _der(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 128:
        return bytes([tag, size]) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + contents


def _directives(count: int) -> bytes:
    return b'realm="r",nonce="n",qop="auth",algorithm=md5-sess' + b"".join(b',x%d="y"' % at for at in range(count))


def _mechanisms(count: int) -> bytes:
    listed = _der(0xA0, _der(0x30, b"\x06\x03\x2a\x03\x04" * count))
    return _der(0x60, b"\x06\x06+\x06\x01\x05\x05\x02" + _der(0xA0, _der(0x30, listed)))


def _nested(count: int) -> bytes:
    found = b""
    for _ in range(count):
        found = _der(0x30, found)
    return found


LONG: dict[str, Build] = {
    "parameters of a challenge": lambda count: b"Digest " + _directives(count),
    "directives": _directives,
    "challenges": lambda count: b", ".join(b"S%d" % at for at in range(count)),
    "one name again and again": lambda count: b'realm="r"' + b',realm="r"' * count,
    "a quoted string of pairs": lambda count: b'Digest realm="' + b'\\"' * count + b'", nonce="n"',
    "an uncounted list": lambda count: b'realm="r",nonce="n",qop="' + b"auth," * count + b'",algorithm=md5-sess',
    "a domain of many": lambda count: b'realm="r", nonce="n", domain="' + b"/a " * count + b'"',
    "mechanisms of SPNEGO": _mechanisms,
    "sequences in one another": _nested,
    "AV pairs": lambda count: b"\x09\0\x02\0a\0" * count + bytes(4),
    "extensions of SCRAM": lambda count: b"n,,n=alice,r=abc" + b",x=y" * count,
    "extensions of a server": lambda count: b"r=abcd,s=QSXCR+Q6sek8bf92,i=4096" + b",x=y" * count,
    "the parts of a name": lambda count: b",".join([b"dc=a"] * count),
    "negoTokens": lambda count: _der(
        0x30, b"\xa0\x03\x02\x01\x06" + _der(0xA1, _der(0x30, _der(0x30, _der(0xA0, b"\x04\x01a")) * count))
    ),
    "literals of a line": lambda count: b"{0}\r\n" * count + b"\r\n",
    "lists of capabilities in a line": lambda count: b"* OK " + b"[CAPABILITY " * count + b"\r\na1 OK\r\n",
    "capabilities": lambda count: b"250-AUTH X\r\n" * count + b"250 X\r\n",
    "one string a line": lambda count: b'"SASL" "PLAIN"\r\n' * count + b"OK\r\n",
    "cookies": lambda count: b"; ".join(b"a%d=b" % at for at in range(count)),
}
