"""What tells OAUTHBEARER and XOAUTH2 apart: how the message is written, and how a refusal is told and answered."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from saslsspi_mechanisms.oauth.messages import BearerMessage, XOAuth2Message

__all__ = ["BEARER", "EXPIRED", "GOOGLE", "INSUFFICIENT", "Dialect"]

EXPIRED: Final = "invalid_token"  # RFC 6750 section 3.1: "expired, revoked, malformed, or invalid for other reasons"
INSUFFICIENT: Final = "insufficient_scope"


class Dialect(NamedTuple):
    """One of the two.

    Attributes:
        message: The client's message.
        needs_user: Whether it must name one.
        dummy: What a client answers an error with (RFC 7628 section 3.2.3).
        statuses: How a status of OAuth is written, where it is written otherwise.
        schemes: What a server's error says of the kinds of tokens.
    """

    name: str
    message: type[BearerMessage | XOAuth2Message]
    needs_user: bool
    dummy: bytes
    statuses: Mapping[str, str] = MappingProxyType({})
    schemes: str = ""


BEARER: Final = Dialect("OAUTHBEARER", BearerMessage, needs_user=False, dummy=b"\1")
GOOGLE: Final = Dialect(
    "XOAUTH2",
    XOAuth2Message,
    needs_user=True,
    dummy=b"",
    statuses=MappingProxyType({EXPIRED: "401", INSUFFICIENT: "403"}),
    schemes="bearer",
)
