"""The channel bindings that a TLS connection gives (RFC 5929, RFC 9266): of Python's ssl, or of pyOpenSSL.

Python's ssl has no exporter to ask, up to 3.14, and no tls-unique under TLS 1.3; a pyOpenSSL connection can export.
Who gets those 32 octets elsewhere makes ChannelBindings.tls_exporter.
"""

from __future__ import annotations

import ssl
from typing import Any, Final, Protocol, TypeGuard

from cryptography.hazmat.primitives.serialization import Encoding

from saslsspi.channel_bindings import ChannelBindings

__all__ = ["Exporting", "channel_bindings_of", "exports", "server_end_point", "tls_bindings"]

_EXPORTER: Final = b"EXPORTER-Channel-Binding"
_EXPORTED: Final = 32  # octets

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


class Exporting(Protocol):
    """What is used of a TLS connection that can export keying material; OpenSSL.SSL.Connection is one."""

    def export_keying_material(self, label: bytes, olen: int, context: bytes | None = None) -> bytes:
        """Export octets (RFC 5705, RFC 8446 section 7.5)."""

    def get_protocol_version_name(self) -> str:
        """Return the version, as TLSv1.3."""

    def get_peer_certificate(self, *, as_cryptography: bool) -> Any:
        """Return the certificate that the peer has shown, or None."""


def exports(connection: object) -> TypeGuard[Exporting]:
    """Whether a connection is of pyOpenSSL, or like it."""
    return all(hasattr(connection, name) for name in ("export_keying_material", "get_protocol_version_name"))


def channel_bindings_of(
    connection: ssl.SSLSocket | ssl.SSLObject | Exporting, *, server_certificate: bytes | None = None
) -> tuple[ChannelBindings, ...]:
    """Return the bindings of a connection of ssl or pyOpenSSL whose handshake is done, the default type first.

    Under TLS 1.3 that is tls-exporter (RFC 9266 section 3) where the connection can export, and tls-server-end-point
    where it cannot; before it tls-unique, which pyOpenSSL is not asked for. Pass the first one, or all to a Server.

    Args:
        connection: Of a client or a server.
        server_certificate: Our own certificate, DER, on a server; a client takes the one it was shown.
    """
    if not exports(connection):
        return tls_bindings(connection, server_certificate=server_certificate)  # type: ignore[arg-type]  # the other kind
    found = []
    # Section 2: the label, an empty context, 32 octets. Before TLS 1.3 it needs the extended master secret (section 4),
    # of which the connection says nothing.
    if connection.get_protocol_version_name() == "TLSv1.3":
        found.append(ChannelBindings.tls_exporter(connection.export_keying_material(_EXPORTER, _EXPORTED, b"")))
    certificate = server_certificate
    if certificate is None and (shown := connection.get_peer_certificate(as_cryptography=True)) is not None:
        certificate = shown.public_bytes(Encoding.DER)
    if certificate is not None:
        found.append(ChannelBindings.tls_server_end_point(certificate))
    return tuple(found)
