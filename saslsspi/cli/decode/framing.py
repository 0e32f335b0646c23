"""What stands around messages: TLS records, SASL's length prefix, and the layer messages of GSSAPI."""

from __future__ import annotations

from typing import Final

from saslsspi.cli.decode.tree import Node
from saslsspi.errors import InvalidToken
from saslsspi.packages.schannel.records import whole_records
from saslsspi.sasl.drivers.layer_messages import LayerOffer, SecurityLayer
from saslsspi_conformance.probe.findings import Severity

__all__ = ["decode_layer_offer", "decode_sasl_buffer", "decode_tls"]

_RECORDS: Final = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data"}
_HANDSHAKES: Final = {1: "client_hello", 2: "server_hello", 4: "new_session_ticket", 11: "certificate",
                      12: "server_key_exchange", 14: "server_hello_done", 16: "client_key_exchange",
                      20: "finished"}  # fmt: skip
_VERSIONS: Final = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2 or 1.3"}
_MAX_RECORDS: Final = 64


def decode_tls(data: bytes) -> Node | None:
    """Read the headers of records; None where there are none."""
    if len(data) < 5 or data[0] not in _RECORDS or data[1] != 3:
        return None
    try:
        size, missing = whole_records(data)
    except InvalidToken:
        return None
    node = Node("TLS records")
    at = 0
    records: list[str] = []
    while at < size and len(records) < _MAX_RECORDS:
        body = int.from_bytes(data[at + 3 : at + 5])
        kind = _RECORDS[data[at]]
        if kind == "handshake" and body:
            kind += f" {_HANDSHAKES.get(data[at + 5], '(encrypted or other)')}"
            if data[at + 5] == 2 and data[at + 9 : at + 11] < b"\x03\x03" and body >= 6:
                node.find(Severity.FAIL, "old-tls", "the server chose a version below TLS 1.2")
        version = _VERSIONS.get(int.from_bytes(data[at + 1 : at + 3]), "unknown version")
        records.append(f"{kind}, {version}, {body} octets")
        at += 5 + body
    node.fields["records"] = records
    if missing:
        node.find(Severity.INFO, "incomplete", f"{missing} octets are missing at the end")
    return node


def decode_sasl_buffer(data: bytes) -> Node | None:
    """Read the length prefix of a protected buffer (RFC 4422 section 3.7); None where it does not fit."""
    if len(data) < 8 or int.from_bytes(data[:4]) != len(data) - 4:
        return None
    node = Node("SASL buffer", {"size": len(data) - 4})
    if data[-6:-4] == b"\0\1":  # RFC 2831 section 2.3: message type 1, sequence number
        node.fields |= {"like": "DIGEST-MD5", "sequence number": int.from_bytes(data[-4:])}
    return node


def decode_layer_offer(data: bytes) -> Node | None:
    """Read the unwrapped layer offer of GSSAPI (RFC 4752 section 3.2); None where it is none."""
    if len(data) != 4 or not 1 <= data[0] <= 7:
        return None
    try:
        offer = LayerOffer.from_bytes(data)
    except InvalidToken:
        return None
    layers = [str(layer.name).lower() for layer in SecurityLayer if offer.layers & layer]
    node = Node("GSSAPI security layers", {"layers": layers, "max size": offer.max_size})
    if "confidentiality" not in layers:
        node.find(Severity.INFO, "no-encryption", "no layer encrypts")
    return node
