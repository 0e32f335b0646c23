"""The header fields of HTTP authentication, of origin servers and of proxies (RFC 9110 section 11, RFC 7615)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Final, NamedTuple
from urllib.parse import unquote

from saslsspi.errors import InvalidToken

__all__ = ["MOST_REFUSAL", "ORIGIN", "PROXY", "Fields", "blob_of", "same_target", "with_cookies", "written"]

_LIMIT: Final = 1 << 17  # octets of base64 in one token; a ticket with many groups has 64 KiB

MOST_REFUSAL: Final = 1 << 20
"""Octets of a 401's body that a client reads to go on over the same connection."""


class Fields(NamedTuple):
    """Status and field names: RFC 2617 section 3.6 has others for a proxy."""

    status: int
    challenge: str
    credentials: str
    proof: str


ORIGIN: Final = Fields(401, "WWW-Authenticate", "Authorization", "Authentication-Info")
PROXY: Final = Fields(407, "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info")


def blob_of(text: str) -> bytes:
    """Return the octets of a token68.

    Raises:
        InvalidToken: it is too long or not base64.
    """
    if len(text) > _LIMIT:
        raise InvalidToken(f"the token has {len(text)} characters, more than {_LIMIT}")
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise InvalidToken("the token is not base64") from None


def written(scheme: str, token: bytes) -> str:
    """Return a scheme with its token68, or alone."""
    return f"{scheme} {b64encode(token).decode()}" if token else scheme


def with_cookies(sent: str, new: str) -> str:
    """Return a Cookie field that has the new cookies beside, or in place of, those of the same names."""
    pairs = [pair.partition("=") for pair in f"{sent}; {new}".split("; ") if pair]
    return "; ".join(f"{name}={value}" for name, value in {pair[0]: pair[2] for pair in pairs}.items())


def same_target(claimed: str, targets: tuple[str, ...]) -> bool:
    """Whether the uri of Digest credentials is one of a request's targets (RFC 2617 section 3.2.2.5).

    "May be "*", an absoluteURI or an abs_path"; paths that a server has decoded are compared as decoded.
    """
    return claimed in targets or _plain(claimed) in {_plain(target) for target in targets}


def _plain(target: str) -> tuple[str, str]:
    path, mark, query = target.partition("?")
    return unquote(path, "latin-1"), mark + query
