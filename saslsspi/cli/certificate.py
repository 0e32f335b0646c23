"""A server's certificate file, as the channel bindings of its TLS connections."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from saslsspi.channel_bindings import ChannelBindings

__all__ = ["bindings_of"]

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"


def bindings_of(file: Path) -> ChannelBindings:
    """Return tls-server-end-point of the first certificate in a PEM file (RFC 5929 section 4).

    Raises:
        OSError, ValueError: there is none to read.
    """
    first = file.read_text(encoding="ascii").partition(_BEGIN)[2].partition(_END)[0]
    return ChannelBindings.tls_server_end_point(ssl.PEM_cert_to_DER_cert(_BEGIN + first + _END))
