"""The channel bindings that a TLS connection of Python's ssl gives (RFC 5929, RFC 9266).

Python has no TLS exporter to ask, up to 3.14; who gets those 32 octets elsewhere makes ChannelBindings.tls_exporter.
"""

from __future__ import annotations

import ssl
from typing import Final

from saslsspi.channel_bindings import ChannelBindings

__all__ = ["server_end_point", "tls_bindings"]

# RFC 5929 section 3 defines tls-unique by the handshake of TLS 1.2 and before; RFC 9266 ends it with TLS 1.3, where
# Python still returns octets.
_WITH_UNIQUE: Final = frozenset({"TLSv1", "TLSv1.1", "TLSv1.2"})


def tls_bindings(
    tls: ssl.SSLSocket | ssl.SSLObject, *, server_certificate: bytes | None = None
) -> tuple[ChannelBindings, ...]:
    """Return the bindings of a connection whose handshake is done, the default type first (RFC 5802 section 6.1).

    They are of this connection: with TLS inside TLS, the one that is given. A session of TLS 1.2 that was taken up
    again has none: RFC 7677 section 4 wants the extended master secret for it, of which Python says nothing.

    Args:
        tls: The socket or object.
        server_certificate: Our own certificate, DER, on a server; a client takes the one it was shown.
    """
    before_1_3 = tls.version() in _WITH_UNIQUE
    if tls.version() is None or (before_1_3 and tls.session_reused):
        return ()
    found = []
    if before_1_3 and (unique := tls.get_channel_binding("tls-unique")):
        found.append(ChannelBindings.tls_unique(unique))
    certificate = server_certificate if tls.server_side else tls.getpeercert(binary_form=True)
    if certificate:
        found.append(ChannelBindings.tls_server_end_point(certificate))
    return tuple(found)


def server_end_point(tls: ssl.SSLSocket | ssl.SSLObject) -> ChannelBindings | None:
    """Return the binding to the certificate that a client was shown, the type that HTTP clients and servers use."""
    certificate = tls.getpeercert(True)  # without the name: what httpx gives away is an object of C
    return ChannelBindings.tls_server_end_point(certificate) if certificate else None
