"""Where a client may send the same Digest credentials again (RFC 2617 section 3.2.1, RFC 7616 section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from saslsspi.adapters.http.challenges import octets_of
from saslsspi.engine.policy import Tolerances
from saslsspi.errors import InvalidParameter, InvalidToken
from saslsspi.host_names import in_a_labels
from saslsspi.packages.digest.http.messages import HttpChallenge

__all__ = ["Origin", "ProtectionSpace", "host_of", "origin"]

_PORTS: Final = {"http": 80, "https": 443}

Origin = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True)
class ProtectionSpace:
    """The URIs that one challenge protects.

    Attributes:
        roots: Absolute URIs; what begins with one of them is inside.
    """

    roots: tuple[str, ...]

    @classmethod
    def of(cls, challenge: str, url: str, *, proxy: bool = False, others: Iterable[str] = ()) -> Self:
        """Return the space of a challenge.

        A server speaks for its own origin. What its domain says of others counts where the user has named them: else
        whoever answers over http could have credentials sent to any server, or take those for https.

        Args:
            challenge: What stands behind "Digest ".
            url: Of the request that was challenged.
            proxy: Whether it came in Proxy-Authenticate, where domain means nothing.
            others: URLs of the other origins that domain may name.

        Raises:
            InvalidToken: malformed.
        """
        read = HttpChallenge.from_bytes(octets_of(challenge), int(Tolerances.DEFAULT))
        return cls.read(read, url, proxy=proxy, others=others)

    @classmethod
    def read(cls, challenge: HttpChallenge, url: str, *, proxy: bool = False, others: Iterable[str] = ()) -> Self:
        """Return the space of a challenge that was read; see `of`."""
        # "If this directive is omitted or its value is empty, the client should assume that the protection space
        # consists of all URIs on the responding server." "This directive is not meaningful in Proxy-Authenticate
        # headers, for which the protection space is always the entire proxy; if present it should be ignored."
        listed = () if proxy else tuple(uri.decode("latin-1") for uri in challenge.domain)
        root = _joined(url, "/")
        absolute = tuple(_joined(root, uri) for uri in listed)
        permitted = {origin(url), *map(origin, others)}
        return cls(tuple(uri for uri in absolute if origin(uri) in permitted) if absolute else (root,))

    def covers(self, url: str) -> bool:
        """Whether a URL is inside: it "has a URI in this list as a prefix (after both have been made absolute)"."""
        path = _path(url)
        return any(origin(url) == origin(root) and path.startswith(_path(root)) for root in self.roots)


def origin(url: str) -> Origin:
    """Return scheme, host and port of a URL, which are the same for the URLs of one server (RFC 6454 section 4)."""
    parts = _split(url)
    try:
        port = parts.port
    except ValueError:  # no number: equal to nothing
        port = -1
    return parts.scheme, host_of(url), _PORTS.get(parts.scheme) if port is None else port


def host_of(url: str) -> str:
    """Return a URL's host as it goes over the wire: a name beyond ASCII in A-labels."""
    return in_a_labels(_split(url).hostname or "")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InvalidParameter(f"it is no URL: {error}") from None


def _joined(base: str, uri: str) -> str:
    try:
        return urlsplit(urljoin(base, uri)).geturl()
    except ValueError:
        raise InvalidToken("domain holds something that is no URI") from None


def _path(url: str) -> str:
    parts = _split(url)
    return (parts.path or "/") + ("?" + parts.query if parts.query else "")
