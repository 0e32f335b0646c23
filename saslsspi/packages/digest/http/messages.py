"""The messages of Digest for HTTP: challenge, credentials, Authentication-Info (RFC 2617 section 3.2, RFC 7616).

They stand here without the scheme name "Digest": they are the values behind it. What we write has quotes where RFC
7616 wants them; what we read may have them elsewhere, by the named tolerances.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self
from urllib.parse import quote as percent_encoded
from urllib.parse import unquote_to_bytes

from saslsspi.engine.policy import Tolerances
from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.grammar import Directive, directives, has_bare_backslash, is_token, quote, unquote
from saslsspi.packages.digest.http.algorithms import ALGORITHMS, Algorithm

__all__ = [
    "AuthenticationInfo",
    "HttpChallenge",
    "HttpResponse",
    "ReadToken",
    "UnknownAlgorithm",
    "first_challenge",
    "parse_credentials",
    "read_response",
]

_LIMIT: Final = 8192  # as servers and clients limit one header field
_CHALLENGE_LIMIT: Final = 2048  # "The size of a Digest Access challenge must be less than 2048 bytes."
_MANY: Final = 16
_LIST: Final = re.compile(rb"[^, \t]+").findall
_COUNT: Final = re.compile(rb"[0-9a-fA-F]{8}").fullmatch
_SCHEME: Final = re.compile(rb"\A\s*digest[ \t]+", re.IGNORECASE)
_EXTENDED: Final = re.compile(rb"utf-8'[A-Za-z0-9-]*'(.*)", re.IGNORECASE | re.DOTALL).fullmatch
# A header field holds no line end, and nothing of a name or a URI may bring one in.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search


class ReadToken(bytes):
    """The octets of credentials that who carries them has read already, so that the package need not read them again.

    It is a token like any other; where it is copied, it is read once more.

    Attributes:
        message: What was read.
        allowed: The tolerances that were used.
    """

    message: HttpResponse
    allowed: int


def parse_credentials(value: str | bytes, allowed: int = Tolerances.NONE) -> ReadToken:
    """Read what stands behind "Digest " in Authorization, once for all who need it.

    Args:
        value: The field's value without the scheme; characters beyond ISO 8859-1 become question marks.
        allowed: The tolerances that may be used; the package takes the reading where its policy has the same.

    Raises:
        InvalidToken: see HttpResponse.from_bytes.
    """
    token = ReadToken(value.encode("latin-1", "replace") if isinstance(value, str) else value)
    token.message, token.allowed = HttpResponse.from_bytes(token, allowed), int(allowed)
    return token


def read_response(token: bytes, allowed: int) -> HttpResponse:
    """Return the credentials of a token, as parse_credentials has read them or from its octets."""
    if isinstance(token, ReadToken) and token.allowed == allowed:
        return token.message
    return HttpResponse.from_bytes(token, allowed)


class UnknownAlgorithm(InvalidToken):
    """The challenge's algorithm is none that we know; "the challenge should be ignored"."""


class HttpChallenge(NamedTuple):
    """What stands in WWW-Authenticate.

    Attributes:
        qop: The offered values in lower case, unknown ones included; empty when there was no directive.
        domain: The protection space, URIs.
        upgraded: See http_bindings: whether the server understands channel bindings.
    """

    realm: bytes
    nonce: bytes
    algorithm: Algorithm
    qop: tuple[bytes, ...] = ()
    opaque: bytes | None = None
    stale: bool = False
    domain: tuple[bytes, ...] = ()
    utf8: bool = False
    userhash: bool = False
    tolerances: int = 0

    @classmethod
    def from_bytes(cls, message: bytes, allowed: int = Tolerances.NONE) -> Self:
        """Read a challenge.

        Raises:
            UnknownAlgorithm: another challenge may be of use.
            InvalidToken: too long, malformed, a directive that is repeated or missing.
        """
        reader = _Reader(message, allowed)
        if not reader.value(b"nonce") or b"realm" not in reader.found:
            raise InvalidToken("the challenge has no nonce or no realm")
        name = reader.token(b"algorithm", Tolerances.QUOTED_ALGORITHM)
        # "If this is not present it is assumed to be MD5."
        algorithm = ALGORITHMS.get(name.lower() if name else b"md5")
        if algorithm is None:
            raise UnknownAlgorithm("the challenge's algorithm is not known", requirement="RFC2617-3.2.1-11")
        return cls(
            realm=reader.value(b"realm"),
            nonce=reader.value(b"nonce"),
            algorithm=algorithm,
            qop=tuple(_LIST(reader.quoted(b"qop", Tolerances.BARE_LIST).lower())),
            opaque=reader.value(b"opaque") if b"opaque" in reader.found else None,
            stale=reader.token(b"stale", Tolerances.QUOTED_NUMBER).lower() == b"true",
            domain=tuple(reader.value(b"domain").split()),
            utf8=reader.token(b"charset", Tolerances.QUOTED_CHARSET).lower() == b"utf-8",
            userhash=reader.token(b"userhash", Tolerances.QUOTED_NUMBER).lower() == b"true",
            tolerances=reader.used,
        )

    def to_bytes(self) -> bytes:
        """Write the challenge; the inverse of from_bytes."""
        parts = [b"realm=" + quote(self.realm)]
        if self.domain:
            parts.append(b"domain=" + quote(b" ".join(self.domain)))
        parts.append(b"nonce=" + quote(self.nonce))
        if self.opaque is not None:
            parts.append(b"opaque=" + quote(self.opaque))
        if self.stale:
            parts.append(b"stale=true")
        parts.append(b"algorithm=" + self.algorithm.name)
        if self.qop:
            parts.append(b'qop="' + b",".join(self.qop) + b'"')
        if self.utf8:
            parts.append(b"charset=UTF-8")
        if self.userhash:
            parts.append(b"userhash=true")
        return _joined(parts, _CHALLENGE_LIMIT)


def first_challenge(message: bytes, allowed: int, permitted: frozenset[Algorithm]) -> HttpChallenge:
    """Return the first challenge of a token that is permitted; there is one a line (RFC 7616 section 3.3).

    What cannot be used is passed over, and what cannot be read: another may be of use.

    Raises:
        UnknownAlgorithm: none has an algorithm that is permitted.
        InvalidToken: there are too many; or one is malformed, and no other can be used.
    """
    lines = message[: _MANY * _LIMIT].splitlines()
    if len(lines) > _MANY or len(message) > _MANY * _LIMIT:
        raise InvalidToken(f"{len(lines)} challenges of {len(message)} octets are too many")
    problem: InvalidToken = UnknownAlgorithm(
        "no challenge has an algorithm that is permitted here", requirement="RFC2617-3.2.1-11"
    )
    for line in lines:
        try:
            challenge = HttpChallenge.from_bytes(line, allowed)
        except UnknownAlgorithm:
            continue
        except InvalidToken as error:
            problem = error
            continue
        if challenge.algorithm in permitted:
            return challenge
    raise problem


class HttpResponse(NamedTuple):
    """What stands in Authorization.

    Attributes:
        username: As it came, decoded from username* where that was used; with userhash the hash in hex.
        qop: None is the form of RFC 2069, without cnonce and nc.
        extended: Whether the name stands in username* (RFC 5987).
        hashed_dirs: Names of the directives that the cnonce covers: channel bindings.
        literal_username: See messages.Response.
    """

    username: bytes
    realm: bytes
    nonce: bytes
    uri: bytes
    response: bytes
    algorithm: Algorithm
    qop: bytes | None = None
    cnonce: bytes = b""
    nc: bytes = b""
    opaque: bytes | None = None
    userhash: bool = False
    extended: bool = False
    hashed_dirs: tuple[bytes, ...] = ()
    service_name: bytes | None = None
    channel_binding: bytes | None = None
    literal_username: bytes | None = None
    tolerances: int = 0

    @classmethod
    def from_bytes(cls, message: bytes, allowed: int = Tolerances.NONE) -> Self:
        """Read credentials.

        Raises:
            InvalidToken: too long, malformed, a directive that is repeated, missing, or beside one it excludes.
        """
        reader = _Reader(message, allowed)
        found = reader.found
        for name in (b"realm", b"nonce", b"uri", b"response"):
            if name not in found:
                raise InvalidToken(f"the credentials have no {name.decode()}", requirement="RFC2617-3.2.2-11")
        algorithm = ALGORITHMS.get(reader.token(b"algorithm", Tolerances.QUOTED_ALGORITHM).lower() or b"md5")
        if algorithm is None:
            raise InvalidToken("the credentials' algorithm is not known", requirement="RFC2617-3.2.2-01")
        userhash = reader.token(b"userhash", Tolerances.QUOTED_NUMBER).lower() == b"true"
        username, extended, literal = _username(reader, allowed, userhash=userhash)
        response = reader.value(b"response").lower()
        if len(response) != algorithm.hex_size or response.strip(b"0123456789abcdef"):
            raise InvalidToken(f"response is not {algorithm.hex_size} hex digits", requirement="RFC2617-3.1.3-01")
        qop = reader.token(b"qop", Tolerances.QUOTED_QOP) if b"qop" in found else None
        nc = reader.token(b"nc", Tolerances.QUOTED_NUMBER)
        if qop is not None and (not _COUNT(nc) or not reader.value(b"cnonce")):
            raise InvalidToken("qop without nc of 8 hex digits or without cnonce", requirement="RFC2617-3.2.2-06")
        return cls(
            username=username,
            realm=reader.value(b"realm"),
            nonce=reader.value(b"nonce"),
            uri=reader.value(b"uri"),
            response=response,
            algorithm=algorithm,
            qop=qop,
            cnonce=reader.value(b"cnonce"),
            nc=nc,
            opaque=reader.value(b"opaque") if b"opaque" in found else None,
            userhash=userhash,
            extended=extended,
            hashed_dirs=tuple(_LIST(reader.value(b"hashed-dirs").lower())),
            service_name=reader.value(b"service-name") if b"service-name" in found else None,
            channel_binding=reader.value(b"channel-binding") if b"channel-binding" in found else None,
            literal_username=literal,
            tolerances=reader.used,
        )

    def to_bytes(self) -> bytes:
        """Write the credentials; the inverse of from_bytes."""
        if self.extended:
            parts = [b"username*=UTF-8''" + percent_encoded(self.username, safe="").encode()]
        else:
            parts = [b"username=" + quote(self.username)]
        parts += [
            b"realm=" + quote(self.realm),
            b"nonce=" + quote(self.nonce),
            b"uri=" + quote(self.uri),
            b'response="' + self.response + b'"',
            b"algorithm=" + self.algorithm.name,
        ]
        if self.qop is not None:
            parts += [b"cnonce=" + quote(self.cnonce), b"nc=" + self.nc, b"qop=" + self.qop]
        if self.opaque is not None:
            parts.append(b"opaque=" + quote(self.opaque))
        if self.userhash:
            parts.append(b"userhash=true")
        if self.hashed_dirs:
            parts.append(b'hashed-dirs="' + b",".join(self.hashed_dirs) + b'"')
        if self.service_name is not None:
            parts.append(b"service-name=" + quote(self.service_name))
        if self.channel_binding is not None:
            parts.append(b"channel-binding=" + quote(self.channel_binding))
        return _joined(parts, _LIMIT)


class AuthenticationInfo(NamedTuple):
    """What stands in Authentication-Info: the server's proof (RFC 2617 section 3.2.3, RFC 7615)."""

    rspauth: bytes = b""
    qop: bytes | None = None
    cnonce: bytes = b""
    nc: bytes = b""
    nextnonce: bytes | None = None

    @classmethod
    def from_bytes(cls, message: bytes, allowed: int = Tolerances.NONE) -> Self:
        """Read the header field's value."""
        reader = _Reader(message, allowed)
        return cls(
            rspauth=reader.value(b"rspauth").lower(),
            qop=reader.token(b"qop", Tolerances.QUOTED_QOP) if b"qop" in reader.found else None,
            cnonce=reader.value(b"cnonce"),
            nc=reader.token(b"nc", Tolerances.QUOTED_NUMBER),
            nextnonce=reader.value(b"nextnonce") if b"nextnonce" in reader.found else None,
        )

    def to_bytes(self) -> bytes:
        """Write the value; the inverse of from_bytes."""
        parts = [] if not self.rspauth else [b'rspauth="' + self.rspauth + b'"']
        if self.qop is not None:
            parts += [b"cnonce=" + quote(self.cnonce), b"nc=" + self.nc, b"qop=" + self.qop]
        if self.nextnonce is not None:
            parts.append(b"nextnonce=" + quote(self.nextnonce))
        return _joined(parts, _LIMIT)


def _joined(parts: list[bytes], limit: int) -> bytes:
    message = b", ".join(parts)
    if _CONTROL(message):
        raise InvalidToken("a name, realm or URI holds a control character, which no header field can carry")
    if len(message) >= limit:
        raise InvalidToken(f"the message would be {len(message)} octets, must be below {limit}")
    return message


def _username(reader: _Reader, allowed: int, *, userhash: bool) -> tuple[bytes, bool, bytes | None]:
    """Return the name, whether username* carried it, and its literal reading if one is tolerated."""
    plain, extended = reader.found.get(b"username"), reader.found.get(b"username*")
    if (plain is None) == (extended is None):
        raise InvalidToken("the credentials need one of username and username*", requirement="RFC7616-3.4-04")
    if extended is not None:
        if userhash:
            raise InvalidToken("username* stands beside userhash=true", requirement="RFC7616-3.4-05")
        match = _EXTENDED(reader.value(b"username*"))
        if match is None:
            raise InvalidToken("username* is not UTF-8''name", requirement="RFC7616-3.4-03")
        return unquote_to_bytes(match[1]), True, None
    assert plain is not None
    inside = plain[1]
    literal = inside if allowed & Tolerances.BARE_BACKSLASH and has_bare_backslash(inside) else None
    return reader.value(b"username"), False, literal


class _Reader:
    """Takes values out of a message's directives, and notes the tolerances that were needed."""

    __slots__ = ("_allowed", "found", "used")

    def __init__(self, message: bytes, allowed: int) -> None:
        self.found, scanned = directives(_SCHEME.sub(b"", message), _LIMIT, frozenset())
        # RFC 9110 section 11.2: "each parameter name MUST only occur once per challenge".
        if sum(1 for directive in scanned if directive[0]) != len(self.found):
            raise InvalidToken("a directive occurs twice")
        self._allowed = int(allowed)
        self.used = 0

    def value(self, name: bytes) -> bytes:
        """A value with or without quotes: RFC 9110 section 11.2 lets a reader take both; b"" when absent."""
        _, inside, token, _ = self.found.get(name, _ABSENT)
        return token or unquote(inside)

    def token(self, name: bytes, tolerance: int) -> bytes:
        """A value that has no quotes."""
        _, inside, token, _ = self.found.get(name, _ABSENT)
        if not inside:
            return token
        self._tolerate(name, tolerance, "stands in quotes")
        value = unquote(inside)
        if not is_token(value):
            raise InvalidToken(f"{name.decode()} is no token")
        return value

    def quoted(self, name: bytes, tolerance: int) -> bytes:
        """A value that has quotes."""
        _, inside, token, _ = self.found.get(name, _ABSENT)
        if token:
            self._tolerate(name, tolerance, "is not a quoted list")
        return token or unquote(inside)

    def _tolerate(self, name: bytes, tolerance: int, what: str) -> None:
        if not self._allowed & int(tolerance):
            raise InvalidToken(f"{name.decode()} {what}")
        self.used |= int(tolerance)


_ABSENT: Final[Directive] = (b"", b"", b"", b"")
