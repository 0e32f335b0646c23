"""The protocols of lines that carry SASL, each in a module of its own in this room, which is where they are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from saslsspi.adapters.mail.line_protocol import LineProtocol

__all__ = ["LINE_PROTOCOLS", "protocol_of_service"]


def _found() -> Iterator[LineProtocol]:
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, LineProtocol):
                yield value


LINE_PROTOCOLS: Final[Mapping[str, LineProtocol]] = MappingProxyType({protocol.name: protocol for protocol in _found()})
"""By name."""


def protocol_of_service(service: str) -> LineProtocol | None:
    """Return the protocol with this GSSAPI service name, or None."""
    return next((protocol for protocol in LINE_PROTOCOLS.values() if protocol.service == service), None)
