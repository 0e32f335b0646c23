"""The four messages of SCRAM and the GS2 header in front of the first (RFC 5802 section 7, RFC 5801 section 4).

from_bytes and to_bytes are exact inverses: what is not the one way to write a message is refused. An error about a
client's message carries the e= that the server sends with the failure; one about a server's message goes nowhere.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn, Self

from saslsspi.errors import InvalidToken
from saslsspi.sasl.gs2 import Gs2Header
from saslsspi_mechanisms.scram.failures import ServerError

__all__ = ["ClientFinal", "ClientFirst", "ServerFinal", "ServerFirst"]

_MAX_SIZE: Final = 16384
_NONCE: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]+\Z")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,9}\Z")
_EXTENSION: Final = re.compile(r"[A-Za-z]=(?s:.)+\Z")
_STRAY_EQUALS: Final = re.compile(r"=(?!2C|3D)")
_ASSIGNED: Final = frozenset("anmrcsipve")

Extensions = tuple[str, ...]
"""Attributes that no version of SCRAM knows yet, each as it stands in the message: `x=value`."""


class _Reader:
    """Takes the attributes off a message in their fixed order (section 5.1)."""

    __slots__ = ("_answers", "_parts", "_what")

    def __init__(self, data: bytes, what: str, *, answers: bool) -> None:
        self._what = what
        self._answers = answers
        if len(data) > _MAX_SIZE:
            self.fail(f"has {len(data)} octets, at most {_MAX_SIZE} are taken")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.fail("is not UTF-8", ServerError.INVALID_ENCODING, "RFC5802-5-01")
        if "\0" in text:
            self.fail("holds NUL", requirement="RFC5802-7-01")
        self._parts = text.split(",")

    def fail(
        self, problem: str, error: ServerError = ServerError.OTHER, requirement: str = "RFC5802-5.1-01"
    ) -> NoReturn:
        token = error.message if self._answers else None
        raise InvalidToken(f"the {self._what} message {problem}", token=token, requirement=requirement)

    def header(self, data: bytes) -> Gs2Header:
        """Take the header off a client's first message."""
        try:
            header, _ = Gs2Header.split(data)
        except InvalidToken as error:
            named = error.requirement == "RFC5801-4-03"
            said = ServerError.INVALID_USERNAME if named else ServerError.OTHER
            self.fail(f"begins with {error.text}", said, error.requirement or "RFC5801-4-01")
        if header.nonstandard:
            self.fail("begins with F, and the tokens of SCRAM are standard ones", requirement="RFC5801-4-02")
        del self._parts[:2]
        return header

    def attribute(self, name: str) -> str:
        """Return the value of the attribute that is due; it is never empty."""
        item = self._parts.pop(0) if self._parts else ""
        if item[:2] != f"{name}=" or len(item) == 2:
            self.fail_at(item, f"lacks {name}= in its place")
        return item[2:]

    def fail_at(self, item: str, problem: str) -> NoReturn:
        """Refuse an item that is not the one that is due."""
        # Section 5.1: "its presence in a client or a server message MUST cause authentication failure when the
        # attribute is parsed by the other end".
        if item.startswith("m="):
            self.fail("demands an extension with m=", ServerError.EXTENSIONS_NOT_SUPPORTED, "RFC5802-5.1-11")
        self.fail(problem if item else "is cut short")

    def nonce(self) -> str:
        value = self.attribute("r")
        if not _NONCE.match(value):
            self.fail("has a nonce that is not printable ASCII", requirement="RFC5802-5.1-12")
        return value

    def base64(self, name: str) -> bytes:
        value = self.attribute(name).encode()
        try:
            octets = a2b_base64(value, strict_mode=True)
        except Error:
            self.fail(f"has {name}= that is not base64", ServerError.INVALID_ENCODING, "RFC5802-7-01")
        if _base64(octets) != value:
            self.fail(f"has {name}= in an odd spelling of base64", ServerError.INVALID_ENCODING, "RFC5802-7-01")
        return octets

    def name(self, value: str, requirement: str) -> str:
        """Return a saslname without its escapes."""
        if not value or _STRAY_EQUALS.search(value):
            self.fail("has a name with = that is neither =2C nor =3D", ServerError.INVALID_USERNAME, requirement)
        return value.replace("=2C", ",").replace("=3D", "=")

    def extensions(self, *, before: int = 0) -> Extensions:
        """Return the optional extensions, which end so many attributes before the message does."""
        taken = []
        while len(self._parts) > before:
            item = self._parts.pop(0)
            if not _EXTENSION.match(item) or item[0] == "m":
                self.fail_at(item, "ends with what is no attribute")
            if item[0] in _ASSIGNED:
                self.fail(f"has {item[0]}= out of its place")
            taken.append(item)
        return tuple(taken)


_base64: Final = partial(b2a_base64, newline=False)


def _escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """client-first-message: `n,,n=user,r=nonce`."""

    header: Gs2Header
    username: str
    nonce: str
    extensions: Extensions = ()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises InvalidToken with the e= that answers it."""
        reader = _Reader(data, "client-first", answers=True)
        header = reader.header(data)
        username = reader.name(reader.attribute("n"), "RFC5802-5.1-10")
        return cls(header, username, reader.nonce(), reader.extensions())

    @property
    def bare(self) -> bytes:
        """client-first-message-bare, which the proofs cover."""
        return ",".join((f"n={_escaped(self.username)}", f"r={self.nonce}", *self.extensions)).encode()

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        return self.header.to_bytes() + self.bare


@dataclass(frozen=True, slots=True)
class ServerFirst:
    """server-first-message: `r=nonce,s=salt,i=iterations`.

    Attributes:
        nonce: The client's, with the server's behind it.
    """

    nonce: str
    salt: bytes
    iterations: int
    extensions: Extensions = ()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises InvalidToken."""
        reader = _Reader(data, "server-first", answers=False)
        nonce, salt, count = reader.nonce(), reader.base64("s"), reader.attribute("i")
        if not _COUNT.match(count):
            reader.fail("has an iteration count that is no positive number of ten digits", requirement="RFC5802-7-01")
        return cls(nonce, salt, int(count), reader.extensions())

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        salt = _base64(self.salt).decode()
        return ",".join((f"r={self.nonce}", f"s={salt}", f"i={self.iterations}", *self.extensions)).encode()


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """client-final-message: `c=biws,r=nonce,p=proof`.

    Attributes:
        binding: The GS2 header, and behind it the channel bindings where they are used.
    """

    binding: bytes
    nonce: str
    proof: bytes
    extensions: Extensions = ()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises InvalidToken with the e= that answers it."""
        reader = _Reader(data, "client-final", answers=True)
        binding, nonce, extensions = reader.base64("c"), reader.nonce(), reader.extensions(before=1)
        proof = reader.base64("p")
        return cls(binding, nonce, proof, extensions)

    @property
    def without_proof(self) -> bytes:
        """client-final-message-without-proof, which the proof covers."""
        binding = _base64(self.binding).decode()
        return ",".join((f"c={binding}", f"r={self.nonce}", *self.extensions)).encode()

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        return self.without_proof + b",p=" + _base64(self.proof)


@dataclass(frozen=True, slots=True)
class ServerFinal:
    """server-final-message: `v=signature` or `e=error`; exactly one of the two is not empty."""

    signature: bytes = b""
    error: str = ""
    extensions: Extensions = ()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; raises InvalidToken."""
        reader = _Reader(data, "server-final", answers=False)
        if data.startswith(b"e="):
            return cls(error=reader.attribute("e"), extensions=reader.extensions())
        if not data.startswith((b"v=", b"m=")):
            reader.fail("has neither v= nor e=", requirement="RFC5802-5.1-24")
        return cls(signature=reader.base64("v"), extensions=reader.extensions())

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of from_bytes."""
        first = f"e={self.error}" if self.error else f"v={_base64(self.signature).decode()}"
        return ",".join((first, *self.extensions)).encode()
