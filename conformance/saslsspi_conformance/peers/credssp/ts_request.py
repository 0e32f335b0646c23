"""The messages of CredSSP as plain DER (MS-CSSP section 2.2), and what binds them to TLS (section 3.1.5)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from saslsspi.der import Reader, Tag, context, element, integer, octet_string, sequence

__all__ = ["EMPTY", "TsRequest", "client_binding", "credentials", "passwords", "read", "server_binding", "smart_card",
           "write"]  # fmt: skip


class TsRequest(NamedTuple):
    """A message; error_code is the contents of the INTEGER as they stand."""

    version: int = 6
    nego_token: bytes | None = None
    auth_info: bytes | None = None
    pub_key_auth: bytes | None = None
    error_code: bytes | None = None
    client_nonce: bytes | None = None

    @property
    def fields(self) -> list[str]:
        """The names of the optional fields that are there."""
        return [name for name, value in self._asdict().items() if value is not None and name != "version"]

    def __str__(self) -> str:
        sizes = [f"{name} of {len(getattr(self, name))} octets" for name in self.fields if name != "error_code"]
        code = [] if self.error_code is None else [f"errorCode {self.error_code.hex()}"]
        return f"TSRequest of version {self.version}: " + ", ".join(sizes + code)


def _tokens(tokens: Sequence[bytes]) -> bytes:
    return element(context(1), sequence(*(sequence(element(context(0), octet_string(token))) for token in tokens)))


def write(request: TsRequest, *more_tokens: bytes) -> bytes:
    """Encode; more_tokens follow in negoTokens."""
    parts = [element(context(0), integer(request.version))]
    if request.nego_token is not None:
        parts.append(_tokens((request.nego_token, *more_tokens)))
    for number, value in ((2, request.auth_info), (3, request.pub_key_auth)):
        if value is not None:
            parts.append(element(context(number), octet_string(value)))
    if request.error_code is not None:
        parts.append(element(context(4), element(Tag.INTEGER, request.error_code)))
    if request.client_nonce is not None:
        parts.append(element(context(5), octet_string(request.client_nonce)))
    return sequence(*parts)


def read(octets: bytes) -> TsRequest:
    """Decode strictly, order and tags included.

    Raises:
        InvalidToken: it is not DER, or no TSRequest.
    """
    outer = Reader(octets)
    body = outer.enter()
    outer.end()
    version = body.enter(context(0)).integer()
    found: dict[str, bytes] = {}
    if (tokens := body.optional(context(1))) is not None:
        entry = tokens.enter().enter()
        found["nego_token"] = entry.enter(context(0)).octet_string()
        entry.end()
    for number, name in ((2, "auth_info"), (3, "pub_key_auth")):
        if (field := body.optional(context(number))) is not None:
            found[name] = field.octet_string()
    if (field := body.optional(context(4))) is not None:
        found["error_code"] = field.contents(Tag.INTEGER)
    if (field := body.optional(context(5))) is not None:
        found["client_nonce"] = field.octet_string()
    body.end()
    return TsRequest(version, **found)


def credentials(kind: int, body: bytes) -> bytes:
    """TSCredentials."""
    return sequence(element(context(0), integer(kind)), element(context(1), octet_string(body)))


def passwords(*texts: bytes) -> bytes:
    """TSPasswordCreds: domain, user and password."""
    return sequence(*(element(context(number), octet_string(text)) for number, text in enumerate(texts)))


EMPTY: Final = credentials(1, passwords(b"", b"", b""))
"""What is handed over without delegation."""


def smart_card() -> bytes:
    """TSSmartCardCreds with every field."""
    texts = [name.encode("utf-16-le") for name in ("card", "reader", "container", "csp")]
    details = [element(context(0), integer(1))]
    details += [element(context(number), octet_string(text)) for number, text in enumerate(texts, 1)]
    parts = [octet_string("0000".encode("utf-16-le")), sequence(*details)]
    parts += [octet_string("user".encode("utf-16-le")), octet_string("domain".encode("utf-16-le"))]
    return sequence(*(element(context(number), part) for number, part in enumerate(parts)))


def client_binding(version: int, nonce: bytes, key: bytes) -> bytes:
    """What the client hides in pubKeyAuth."""
    if version < 5:
        return key
    return hashlib.sha256(b"CredSSP Client-To-Server Binding Hash\0" + nonce + key).digest()


def server_binding(version: int, nonce: bytes, key: bytes) -> bytes:
    """What the server hides in pubKeyAuth."""
    if version < 5:
        return bytes([(key[0] + 1) & 0xFF]) + key[1:]
    return hashlib.sha256(b"CredSSP Server-To-Client Binding Hash\0" + nonce + key).digest()
