"""The three messages of DIGEST-MD5: digest-challenge, digest-response and response-auth (RFC 2831 section 2.1).

Values stand here as octets: the charset is decided per message and belongs to charset.py. What we write is strict
grammar; what we read may depart from it by named tolerances, which each reader adds up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from saslsspi.engine.policy import Tolerances
from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.grammar import Directive, directives, has_bare_backslash, is_token, quote, unquote

__all__ = ["DEFAULT_MAXBUF", "DigestChallenge", "DigestResponse", "ResponseAuth"]

# Section 2.1.1: "The size of a digest-challenge MUST be less than 2048 bytes." Section 2.1.2: 4096 for a response.
_CHALLENGE_LIMIT: Final = 2048
_RESPONSE_LIMIT: Final = 4096
DEFAULT_MAXBUF: Final = 65536
_MAXBUF_LIMIT: Final = 1 << 24

_CHALLENGE_ALONE: Final = frozenset({b"nonce", b"qop", b"stale", b"maxbuf", b"charset", b"algorithm", b"cipher"})
_RESPONSE_ALONE: Final = frozenset(
    {b"username", b"realm", b"nonce", b"cnonce", b"nc", b"qop", b"digest-uri", b"response", b"maxbuf", b"charset",
     b"cipher", b"authzid"}
)  # fmt: skip
# Plain numbers: operations on the members of a Flag cost more than the reading of a directive.
_BARE_BACKSLASH: Final = int(Tolerances.BARE_BACKSLASH)
_BARE_LIST: Final = int(Tolerances.BARE_LIST)
_QUOTED_ALGORITHM: Final = int(Tolerances.QUOTED_ALGORITHM)
_QUOTED_CHARSET: Final = int(Tolerances.QUOTED_CHARSET)
_QUOTED_CIPHER: Final = int(Tolerances.QUOTED_CIPHER)
_QUOTED_NUMBER: Final = int(Tolerances.QUOTED_NUMBER)
_QUOTED_QOP: Final = int(Tolerances.QUOTED_QOP)

_PROOF_ALONE: Final = frozenset({b"rspauth"})
_LIST: Final = re.compile(rb"[^, \t\r\n]+").findall
_COUNT: Final = re.compile(rb"[0-9a-f]{8}").fullmatch
_HEX: Final = re.compile(rb"[0-9a-f]{32}").fullmatch
_DIGITS: Final = re.compile(rb"[0-9]{1,10}").fullmatch


class DigestChallenge(NamedTuple):
    """The server's first message.

    Attributes:
        realms: What the server offers, unescaped; may be empty.
        qop: The offered values in lower case, unknown ones included; (b"auth",) when the server named none.
        maxbuf: Largest protected buffer that the server takes, in octets.
        utf8: Whether the server takes UTF-8.
        ciphers: The offered names in lower case, unknown ones included.
        tolerances: What the reader had to put up with.
    """

    nonce: bytes
    realms: tuple[bytes, ...] = ()
    qop: tuple[bytes, ...] = (b"auth",)
    stale: bool = False
    maxbuf: int = DEFAULT_MAXBUF
    utf8: bool = True
    ciphers: tuple[bytes, ...] = ()
    tolerances: int = 0

    @classmethod
    def from_bytes(cls, message: bytes, allowed: int = Tolerances.NONE) -> Self:
        """Read a challenge.

        Args:
            message: The whole message.
            allowed: The tolerances that may be used.

        Raises:
            InvalidToken: too long, malformed, a repeated directive, no nonce, or an algorithm other than md5-sess.
        """
        found, scanned = directives(message, _CHALLENGE_LIMIT, _CHALLENGE_ALONE)
        reader = _Reader(found, allowed)
        nonce = _quoted(found[b"nonce"]) if b"nonce" in found else b""
        if not nonce:
            raise InvalidToken("the challenge has no nonce", requirement="RFC2831-2.1.1-15")
        if reader.bare(b"algorithm", _QUOTED_ALGORITHM).lower() != b"md5-sess":
            raise InvalidToken("the challenge's algorithm is not md5-sess", requirement="RFC2831-2.1.1-36")
        qop: tuple[bytes, ...] = (b"auth",)
        if b"qop" in found:
            qop = reader.options(b"qop")
            if not qop:
                raise InvalidToken("the challenge's qop list is empty", requirement="RFC2831-7.1-03")
        return cls(
            nonce=nonce,
            realms=tuple([_quoted(directive) for directive in scanned if directive[0].lower() == b"realm"]),
            qop=qop,
            stale=b"stale" in found and reader.bare(b"stale", _QUOTED_NUMBER).lower() == b"true",
            maxbuf=reader.maxbuf() if b"maxbuf" in found else DEFAULT_MAXBUF,
            utf8=reader.charset() if b"charset" in found else False,
            ciphers=reader.options(b"cipher") if b"cipher" in found else (),
            tolerances=reader.used,
        )

    def to_bytes(self) -> bytes:
        """Write the challenge; the inverse of from_bytes."""
        parts = [b"realm=" + quote(realm) for realm in self.realms]
        parts.append(b"nonce=" + quote(self.nonce))
        parts.append(b'qop="' + b",".join(self.qop) + b'"')
        if self.stale:
            parts.append(b"stale=true")
        if self.maxbuf != DEFAULT_MAXBUF:
            parts.append(b"maxbuf=%d" % self.maxbuf)
        if self.utf8:
            parts.append(b"charset=utf-8")
        parts.append(b"algorithm=md5-sess")
        if self.ciphers:
            parts.append(b'cipher="' + b",".join(self.ciphers) + b'"')
        message = b",".join(parts)
        if len(message) >= _CHALLENGE_LIMIT:
            raise InvalidToken(
                f"the challenge is {len(message)} octets, must be below 2048: offer fewer or shorter realms",
                requirement="RFC2831-2.1.1-53",
            )
        return message


class DigestResponse(NamedTuple):
    """The client's message.

    Attributes:
        realm: None when the directive was absent, which counts as the empty realm.
        nc: The nonce count, eight lower-case hex digits.
        qop: As the client wrote it, which is what it hashed; None when absent, which means auth.
        digest_uri: As the client wrote it.
        maxbuf: Largest protected buffer that the client takes, in octets.
        utf8: Whether name, realm and password are UTF-8 rather than ISO 8859-1.
        cipher: In lower case; None without auth-conf.
        authzid: The identity to act as; None when absent.
        literal_username: The name with its backslashes taken as they are, when one escaped nothing and
            BARE_BACKSLASH is allowed; None otherwise.
    """

    username: bytes
    realm: bytes | None
    nonce: bytes
    cnonce: bytes
    nc: bytes
    digest_uri: bytes
    response: bytes
    qop: bytes | None = b"auth"
    maxbuf: int = DEFAULT_MAXBUF
    utf8: bool = True
    cipher: bytes | None = None
    authzid: bytes | None = None
    literal_username: bytes | None = None
    tolerances: int = 0

    @classmethod
    def from_bytes(cls, message: bytes, allowed: int = Tolerances.NONE) -> Self:
        """Read a response.

        Raises:
            InvalidToken: too long, malformed, a repeated directive, or one that is missing.
        """
        found, _ = directives(message, _RESPONSE_LIMIT, _RESPONSE_ALONE)
        if not found.keys() >= _REQUIRED:
            missing = min(_REQUIRED - found.keys())
            raise InvalidToken(f"the response has no {missing.decode()}", requirement=_REQUIRED_BY[missing])
        reader = _Reader(found, allowed)
        nc = found[b"nc"][_BARE] or reader.bare(b"nc", _QUOTED_NUMBER)
        if not _COUNT(nc):
            raise InvalidToken("nc is not 8 lower-case hex digits", requirement="RFC2831-2.1.2-26")
        response = found[b"response"][_BARE] or reader.bare(b"response", _QUOTED_NUMBER)
        if not _HEX(response):
            raise InvalidToken("response is not 32 lower-case hex digits", requirement="RFC2831-2.1.2-54")
        name, literal = found[b"username"][_INSIDE], None
        if b"\\" in name and allowed & _BARE_BACKSLASH and has_bare_backslash(name):
            literal = name
        qop = None
        if b"qop" in found:
            qop = found[b"qop"][_BARE] or reader.bare(b"qop", _QUOTED_QOP)
        return cls(
            username=_quoted(found[b"username"]),
            realm=_quoted(found[b"realm"]) if b"realm" in found else None,
            nonce=_quoted(found[b"nonce"]),
            cnonce=_quoted(found[b"cnonce"]),
            nc=nc,
            digest_uri=_quoted(found[b"digest-uri"]),
            response=response,
            qop=qop,
            maxbuf=reader.maxbuf() if b"maxbuf" in found else DEFAULT_MAXBUF,
            utf8=reader.charset() if b"charset" in found else False,
            cipher=reader.bare(b"cipher", _QUOTED_CIPHER).lower() if b"cipher" in found else None,
            authzid=_quoted(found[b"authzid"]) if b"authzid" in found else None,
            literal_username=literal,
            tolerances=reader.used,
        )

    def to_bytes(self) -> bytes:
        """Write the response; the inverse of from_bytes."""
        username, realm, nonce, cnonce, nc, uri, response, qop, maxbuf, utf8, cipher, authzid, _, _ = self
        message = b"%busername=%b%b,nonce=%b,nc=%b,cnonce=%b,digest-uri=%b,response=%b" % (
            b"charset=utf-8," if utf8 else b"",
            quote(username),
            b"" if realm is None else b",realm=" + quote(realm),
            quote(nonce),
            nc,
            quote(cnonce),
            quote(uri),
            response,
        )
        if qop is not None:
            message += b",qop=" + qop
        if cipher is not None:
            message += b",cipher=" + cipher
        if maxbuf != DEFAULT_MAXBUF:
            message += b",maxbuf=%d" % maxbuf
        if authzid is not None:
            message += b",authzid=" + quote(authzid)
        if len(message) >= _RESPONSE_LIMIT:
            raise InvalidToken(
                f"the response would be {len(message)} octets, must be below 4096: the names are too long",
                requirement="RFC2831-2.1.2-67",
            )
        return message


_INSIDE: Final = 1  # of a Directive
_BARE: Final = 2
_REQUIRED_BY: Final = {
    b"username": "RFC2831-2.1.2-04",
    b"nonce": "RFC2831-2.1.2-13",
    b"cnonce": "RFC2831-2.1.2-19",
    b"nc": "RFC2831-2.1.2-25",
    b"digest-uri": "RFC2831-2.1.2-44",
    b"response": "RFC2831-2.1.2-46",
}
_REQUIRED: Final = frozenset(_REQUIRED_BY)


class ResponseAuth(NamedTuple):
    """The server's proof, with success or as one more challenge (section 2.1.3)."""

    rspauth: bytes

    @classmethod
    def from_bytes(cls, message: bytes, allowed: int = Tolerances.NONE) -> Self:
        """Read a response-auth; directives beside rspauth are ignored.

        Raises:
            InvalidToken: malformed, or no rspauth of 32 lower-case hex digits.
        """
        if message.startswith(b"rspauth=") and _HEX(message[8:]):
            return cls(message[8:])  # what every server sends
        found, _ = directives(message, _CHALLENGE_LIMIT, _PROOF_ALONE)
        rspauth = _Reader(found, allowed).bare(b"rspauth", _QUOTED_NUMBER)
        if not _HEX(rspauth):
            raise InvalidToken("the server sent no rspauth of 32 hex digits", requirement="RFC2831-2.1.3-07")
        return cls(rspauth)

    @staticmethod
    def announced(message: bytes) -> bool:
        """Whether a message is a response-auth rather than a challenge: it has an rspauth directive."""
        return b"rspauth" in directives(message, _CHALLENGE_LIMIT, frozenset())[0]

    def to_bytes(self) -> bytes:
        """Write the message."""
        return b"rspauth=" + self.rspauth


class _Reader:
    """Takes values out of a message's directives, and notes the tolerances that were needed."""

    __slots__ = ("_allowed", "_found", "used")

    def __init__(self, found: Mapping[bytes, Directive], allowed: int) -> None:
        self._found = found
        self._allowed = int(allowed)
        self.used = 0

    def _tolerate(self, tolerance: int, name: bytes, what: str) -> None:
        if not self._allowed & tolerance:
            raise InvalidToken(f"{name.decode()} {what}")
        self.used |= tolerance

    def bare(self, name: bytes, tolerance: int) -> bytes:
        """A value that the grammar writes without quotes; b"" when absent."""
        directive = self._found.get(name)
        if directive is None:
            return b""
        _, inside, token, _ = directive
        if token:
            return token
        self._tolerate(tolerance, name, "stands in quotes")
        value = unquote(inside)
        if not is_token(value):
            raise InvalidToken(f"{name.decode()} is no token")
        return value

    def options(self, name: bytes) -> tuple[bytes, ...]:
        """A quoted list of tokens, in lower case."""
        _, inside, token, _ = self._found[name]
        if token:
            self._tolerate(_BARE_LIST, name, "is not a quoted list")
        return tuple(_LIST((token or inside).lower()))

    def maxbuf(self) -> int:
        """The size that the peer takes."""
        digits = self.bare(b"maxbuf", _QUOTED_NUMBER)
        if not _DIGITS(digits) or not 16 < int(digits) < _MAXBUF_LIMIT:
            raise InvalidToken("maxbuf is not a number from 17 to 16777215", requirement="RFC2831-2.1.1-24")
        return int(digits)

    def charset(self) -> bool:
        """Whether the charset is utf-8, the only one there is."""
        charset = self._found[b"charset"][_BARE]
        if charset != b"utf-8" and self.bare(b"charset", _QUOTED_CHARSET).lower() != b"utf-8":
            raise InvalidToken("charset has a value other than utf-8", requirement="RFC2831-2.1.1-28")
        return True


def _quoted(directive: Directive) -> bytes:
    """The value of a directive that the grammar writes in quotes."""
    name, inside, token, _ = directive
    if token:
        raise InvalidToken(f"{name.decode()} is not a quoted string")
    return unquote(inside) if b"\\" in inside else inside
