"""The messages of OAUTHBEARER (RFC 7628 section 3) and of XOAUTH2, and the error that a server tells in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from saslsspi.errors import InvalidToken
from saslsspi.sasl.gs2 import BindingFlag, Gs2Header

__all__ = ["BearerMessage", "ErrorResult", "XOAuth2Message", "valid_token"]

_MAX_SIZE: Final = 16384
_MAX_ERROR: Final = 8192
_SEPARATOR: Final = "\1"
_KEY: Final = re.compile(r"[A-Za-z]+\Z")
_VALUE: Final = re.compile(r"[\x21-\x7e \t\r\n]*\Z")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+\Z")
_SCHEME: Final = "bearer "


_Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BearerMessage:
    """The client's message of OAUTHBEARER (section 3.1).

    Wire form, with ^A for octet 1: `n,a=authzid,^A` (`n,,^A` without one), `key=value^A` for each pair, `^A`.

    Attributes:
        authzid: Whom the client wants to be, "" leaves it to the token.
        pairs: Keys and values in their order, those that nobody knows as well.
        flag: What the client thinks of channel bindings, of which there are none here.
    """

    authzid: str
    pairs: _Pairs = field(repr=False)
    flag: BindingFlag = BindingFlag.NONE

    @classmethod
    def of(cls, token: str, username: str, host: str) -> Self:
        """Return the message for a token."""
        known = (("host", host),) if host else ()
        return cls(username, (*known, ("auth", f"Bearer {token}")))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode.

        Raises:
            InvalidToken: it is something else, or too long.
        """
        _text(data, "OAUTHBEARER")
        try:
            header, rest = Gs2Header.split(data)
        except InvalidToken as error:
            raise InvalidToken(f"the OAUTHBEARER message has {error.text}", requirement="RFC7628-3.1-01") from None
        text = rest.decode()
        if text[:1] != _SEPARATOR or header.nonstandard or header.flag is BindingFlag.USED:
            raise InvalidToken("the OAUTHBEARER message begins with another GS2 header", requirement="RFC7628-3.1-01")
        return cls(header.authzid, _pairs(text[1:], "OAUTHBEARER", _VALUE), header.flag)

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        header = Gs2Header(self.flag, authzid=self.authzid)
        return header.to_bytes() + f"{_SEPARATOR}{_written(self.pairs)}".encode()

    @property
    def host(self) -> str:
        """The name by which the client knows the server, "" where it does not say."""
        return _value(self.pairs, "host")

    @property
    def token(self) -> str:
        """The token, "" where there is none, which asks what would be needed (section 4.3)."""
        return _token(self.pairs, "OAUTHBEARER")


@dataclass(frozen=True, slots=True)
class XOAuth2Message:
    """The client's message of XOAUTH2.

    Wire form, with ^A for octet 1: `user=name^Aauth=Bearer token^A^A`.

    Attributes:
        pairs: Keys and values in their order.
    """

    pairs: _Pairs = field(repr=False)

    @classmethod
    def of(cls, token: str, username: str, host: str) -> Self:
        """Return the message for a token; the host has no place in it."""
        return cls((("user", username), ("auth", f"Bearer {token}")))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode.

        Raises:
            InvalidToken: it is something else, or too long.
        """
        message = cls(_pairs(_text(data, "XOAUTH2"), "XOAUTH2", None))
        if not message.authzid:
            raise InvalidToken("the XOAUTH2 message names no user")
        return message

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        return _written(self.pairs).encode()

    @property
    def authzid(self) -> str:
        """Whose mailbox it is."""
        return _value(self.pairs, "user")

    @property
    def host(self) -> str:
        """Nothing: the message does not say."""
        return ""

    @property
    def token(self) -> str:
        """The token, "" where there is none."""
        return _token(self.pairs, "XOAUTH2")


@dataclass(frozen=True, slots=True)
class ErrorResult:
    """Why a server refuses a token: a JSON object (section 3.2.2). Texts hold what a server made up.

    Attributes:
        status: An error code of OAuth, "invalid_token" for one; in XOAUTH2 a status of HTTP; "" where none is told.
        scope: One that a token needs, "" where none is told.
        openid_configuration: URL of the document that says where tokens are had; "" where none is told.
        schemes: The kinds of tokens; only XOAUTH2 has it.
    """

    status: str
    scope: str = ""
    openid_configuration: str = ""
    schemes: str = ""

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; what is no text is taken for absent, and what nobody knows is left out.

        Raises:
            InvalidToken: it is no JSON object, or too long.
        """
        if len(data) > _MAX_ERROR:
            raise InvalidToken(f"the server's error has {len(data)} octets, at most {_MAX_ERROR} are taken")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise InvalidToken(
                f"the server's error of {len(data)} octets is not JSON", requirement="RFC7628-3.2.2-01"
            ) from None
        if not isinstance(found, dict):
            raise InvalidToken("the server's error is no JSON object", requirement="RFC7628-3.2.2-01")
        keys = ("status", "scope", "openid-configuration", "schemes")
        # Some write the status as a number.
        values = ("" if isinstance(found.get(key), bool) else found.get(key) for key in keys)
        return cls(*(str(value) if isinstance(value, str | int) else "" for value in values))

    def to_bytes(self) -> bytes:
        """Encode what there is of it."""
        values = {
            "status": self.status,
            "schemes": self.schemes,
            "scope": self.scope,
            "openid-configuration": self.openid_configuration,
        }
        return json.dumps({key: value for key, value in values.items() if value}, separators=(",", ":")).encode()


def valid_token(token: str) -> bool:
    """Whether a token can stand in a message."""
    return _TOKEN.match(token) is not None


def _text(data: bytes, name: str) -> str:
    if len(data) > _MAX_SIZE:
        raise InvalidToken(f"the {name} message has {len(data)} octets, at most {_MAX_SIZE} are taken")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidToken(f"the {name} message is not UTF-8") from None


def _pairs(text: str, name: str, value: re.Pattern[str] | None) -> _Pairs:
    """Read pairs, each with a separator behind it, and one more at the end."""
    *parts, before_last, last = text.split(_SEPARATOR) if _SEPARATOR in text else ("", "?")
    if before_last or last:
        raise InvalidToken(f"the {name} message does not end with two separators", requirement="RFC7628-3.1-02")
    found: dict[str, str] = {}
    for part in parts:
        key, equals, held = part.partition("=")
        if not equals or not _KEY.match(key) or (value is not None and not value.match(held)):
            raise InvalidToken(f"the {name} message holds what is no pair", requirement="RFC7628-3.1-02")
        if key in found:
            raise InvalidToken(f"the {name} message has the key {key} twice", requirement="RFC7628-3.1-02")
        found[key] = held
    return tuple(found.items())


def _written(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{key}={value}{_SEPARATOR}" for key, value in pairs) + _SEPARATOR


def _value(pairs: _Pairs, wanted: str) -> str:
    return next((value for key, value in pairs if key == wanted), "")


def _token(pairs: _Pairs, name: str) -> str:
    """Return the token of the pair auth, whose scheme is written in any case (section 4)."""
    value = _value(pairs, "auth")
    if not value:
        return ""
    token = value[len(_SCHEME) :].strip(" ")
    if not value.lower().startswith(_SCHEME) or not valid_token(token):
        raise InvalidToken(f"the {name} message has no bearer token in auth=", requirement="RFC7628-3.1-05")
    return token
