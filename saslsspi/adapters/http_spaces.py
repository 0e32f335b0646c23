"""Where a client may send the same Digest credentials again (RFC 2617 section 3.2.1, RFC 7616 section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.http_messages import HttpChallenge
from saslsspi.sspi.policy import Tolerances

__all__ = ["ProtectionSpace"]

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
        asked = urlsplit(url)
        return any(_origin(asked) == _origin(root) and _path(asked).startswith(_path(root)) for root in self._split())

    def _split(self) -> list[SplitResult]:
        return [urlsplit(root) for root in self.roots]


def _origin(url: SplitResult) -> tuple[str, str, int | None]:
    try:
        port = url.port
    except ValueError:  # no number: equal to nothing
        port = -1
    return url.scheme.lower(), (url.hostname or "").lower(), _PORTS.get(url.scheme.lower()) if port is None else port


def _path(url: SplitResult) -> str:
    return (url.path or "/") + ("?" + url.query if url.query else "")
