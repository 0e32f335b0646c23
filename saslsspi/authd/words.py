"""The lines of Dovecot's authentication protocol (version 1.2): a command and its parameters, tabs between.

Dovecot's documentation, "Dovecot Authentication Protocol". What stands in parameters is escaped with octet 1.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from dataclasses import dataclass, field
from typing import Final, Self

from saslsspi.errors import InvalidToken

__all__ = ["MAX_LINE", "AuthCommand", "Continuation", "line", "read_auth", "read_continuation"]

MAX_LINE: Final = 16384
"""Longest line that is taken, its end included, in octets."""

_ESCAPED: Final = re.compile(r"\x01(.)", re.DOTALL)
_TO: Final = {"\0": "0", "\1": "1", "\t": "t", "\r": "r", "\n": "l"}
_FROM: Final = {mark: character for character, mark in _TO.items()}
_SPECIAL: Final = re.compile("[\0\1\t\r\n]")
_NUMBER: Final = re.compile(r"[0-9]{1,10}\Z")
_LARGEST: Final = (1 << 32) - 1


def line(command: str, *parameters: str) -> bytes:
    """Write a line."""
    escaped = (_SPECIAL.sub(lambda found: "\1" + _TO[found[0]], parameter) for parameter in parameters)
    return "\t".join((command, *escaped)).encode("utf-8", "surrogateescape") + b"\n"


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _FROM.get(found[1], found[1]), text)


def _number(text: str) -> str:
    if not _NUMBER.match(text) or int(text) > _LARGEST:
        raise InvalidToken("a request's number is a decimal of 32 bits")
    return text


def _octets(text: str) -> bytes:
    try:
        return a2b_base64(text.encode("utf-8", "surrogateescape"), strict_mode=True) if text else b""
    except Error:
        raise InvalidToken("what a client said is not base64") from None


@dataclass(frozen=True, slots=True)
class AuthCommand:
    """AUTH: an exchange begins.

    Attributes:
        number: The request's, as it came; on its connection it names the exchange.
        mechanism: In upper case.
        service: smtp, imap ..., in lower case.
        secured: Whether the client's connection is encrypted, or local.
        certificate_user: Who a certificate says the client is; "" without one.
        peer: The client's address, "" where it is not told.
        response: The initial response, None without one.
    """

    number: str
    mechanism: str
    service: str
    secured: bool = False
    certificate_user: str = ""
    peer: str = ""
    response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Continuation:
    """CONT: what the client says next."""

    number: str
    response: bytes = field(repr=False)

    @classmethod
    def of(cls, parameters: list[str]) -> Self:
        """Read the parameters of CONT."""
        if len(parameters) < 2:
            raise InvalidToken("CONT needs a number and a response")
        return cls(_number(parameters[0]), _octets(parameters[1]))


def read_auth(parameters: list[str]) -> AuthCommand:
    """Read the parameters of AUTH.

    Raises:
        InvalidToken: they are not such; the text says why.
    """
    if len(parameters) < 2:
        raise InvalidToken("AUTH needs a number and a mechanism")
    named: dict[str, str] = {}
    response = None
    for parameter in parameters[2:]:
        name, _, value = parameter.partition("=")
        if name == "resp":  # "This must be the last parameter. Everything after it is ignored."
            response = _octets(value) or None  # Exim says it so where the client has sent none
            break
        named[name] = _unescaped(value)
    address, port = named.get("rip", ""), named.get("rport", "")
    return AuthCommand(
        number=_number(parameters[0]),
        mechanism=_unescaped(parameters[1]).upper(),
        service=named.get("service", "").lower(),
        secured="secured" in named,
        certificate_user=named.get("cert_username", "") if "valid-client-cert" in named else "",
        peer=f"{address}:{port}" if address and port else address,
        response=response,
    )


def read_continuation(parameters: list[str]) -> Continuation:
    """Read the parameters of CONT.

    Raises:
        InvalidToken: they are not such; the text says why.
    """
    return Continuation.of(parameters)
