"""Names of hosts as they go over the wire."""

from __future__ import annotations

__all__ = ["in_a_labels"]


def in_a_labels(host: str) -> str:
    """Return a host's name as DNS, certificates and digest-uri have it (RFC 5890 section 2.3.2.1).

    A name beyond ASCII is encoded as Python's sockets and TLS encode it, so that the host that is named is the one that
    was connected to; what is no such name stays as it is, and is refused where it is used.
    """
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host
