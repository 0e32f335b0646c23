"""Where a client may send the same Digest credentials again (RFC 2617 section 3.2.1, RFC 7616 section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

from saslsspi.engine.policy import Tolerances
from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.http.messages import HttpChallenge

__all__ = ["ProtectionSpace", "origin"]

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ProtectionSpace:
    """The URIs that one challenge protects.

    Attributes:
        roots: Absolute URIs; what begins with one of them is inside.
    """

    roots: tuple[str, ...]

    @classmethod
    def of(cls, challenge: str, url: str, *, proxy: bool = False) -> Self:
        """Return the space of a challenge.

        Args:
            challenge: What stands behind "Digest ".
            url: Of the request that was challenged.
            proxy: Whether it came in Proxy-Authenticate, where domain means nothing.

        Raises:
            InvalidToken: malformed.
        """
        read = HttpChallenge.from_bytes(challenge.encode("latin-1", "replace"), int(Tolerances.DEFAULT))
        # "If this directive is omitted or its value is empty, the client should assume that the protection space
        # consists of all URIs on the responding server." "This directive is not meaningful in Proxy-Authenticate
        # headers, for which the protection space is always the entire proxy; if present it should be ignored."
        listed = () if proxy else tuple(uri.decode("latin-1") for uri in read.domain)
        root = urljoin(url, "/")
        try:
            absolute = tuple(urlsplit(urljoin(root, uri)).geturl() for uri in listed)
        except ValueError:
            raise InvalidToken("domain holds something that is no URI") from None
        return cls(absolute or (root,))

    def covers(self, url: str) -> bool:
        """Whether a URL is inside: it "has a URI in this list as a prefix (after both have been made absolute)"."""
        return any(origin(url) == origin(root) and _path(url).startswith(_path(root)) for root in self.roots)


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL, which are the same for the URLs of one server (RFC 6454 section 4)."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # no number: equal to nothing
        port = -1
    return parts.scheme, parts.hostname or "", _PORTS.get(parts.scheme) if port is None else port


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + ("?" + parts.query if parts.query else "")
