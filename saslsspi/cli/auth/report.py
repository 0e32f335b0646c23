"""What `auth` asks of a protocol, and what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from saslsspi.engine.security import Security

__all__ = ["Report", "Target"]


class Target(NamedTuple):
    """Where to connect.

    Attributes:
        protocol: ldap, smtp, imap or pop3.
        secure: Whether TLS is there from the start.
        starttls: Whether TLS is begun before authenticating.
        ca, certificate, key: Files in PEM; None for the system's authorities, and for no client certificate.
        timeout: For each answer, in seconds.
    """

    protocol: str
    host: str
    port: int
    secure: bool
    starttls: bool
    ca: Path | None
    certificate: Path | None
    key: Path | None
    timeout: int


class Report(NamedTuple):
    """A logon that succeeded.

    Attributes:
        tls: Version and cipher of the TLS around it, "" without.
        identity: Who the server says we are, asked under the layer; None where its protocol cannot tell.
        milliseconds: How long the authentication took.
        operation: What was done under the layer.
        answer: What the server said to it.
    """

    security: Security
    tls: str
    identity: str | None
    milliseconds: float
    operation: str
    answer: str
