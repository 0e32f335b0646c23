"""Which decoder a token is for: the first that knows it, those with a signature before those that guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from saslsspi.cli.decode.credssp import decode_credssp
from saslsspi.cli.decode.digest import decode_digest
from saslsspi.cli.decode.framing import decode_layer_offer, decode_sasl_buffer, decode_tls
from saslsspi.cli.decode.gss import decode_gss
from saslsspi.cli.decode.ntlm import decode_ntlm
from saslsspi.cli.decode.texts import decode_cram, decode_plain, decode_scram
from saslsspi.cli.decode.tree import Node
from saslsspi_conformance.probe.findings import Severity

__all__ = ["LARGEST", "TYPES", "decode"]

LARGEST: Final = 1 << 20
"""Largest token that is read, in octets."""
_DEEPEST: Final = 6


def decode(data: bytes, wanted: str | None = None) -> Node:
    """Read a token of any type, or of one type; what is not recognized is described by its size alone."""
    if not data:
        return Node("empty token")
    if len(data) > LARGEST:
        return _unknown(data)
    return _decode(data, wanted, 0)


def _decode(data: bytes, wanted: str | None, depth: int) -> Node:
    if depth > _DEEPEST:
        return _unknown(data)
    inner = partial(_decode, wanted=None, depth=depth + 1)
    for name, decoder in TYPES.items():
        if wanted in (None, name) and (node := decoder(data, inner)) is not None:
            return node
    return _unknown(data)


def _unknown(data: bytes) -> Node:
    node = Node("unknown token", {"size": len(data)})
    node.find(Severity.INFO, "unknown", "it is no token of a known type; what it holds is not shown")
    return node


_Decoder = Callable[[bytes, Callable[[bytes], Node]], Node | None]


def _flat(decoder: Callable[[bytes], Node | None]) -> _Decoder:
    return lambda data, _: decoder(data)


TYPES: Final[Mapping[str, _Decoder]] = {
    "ntlm": _flat(decode_ntlm),
    "tls": _flat(decode_tls),
    "scram": _flat(decode_scram),  # before gss: "n" is also the tag of an AP-REQ
    "gss": decode_gss,
    "credssp": decode_credssp,
    "digest": _flat(decode_digest),
    "cram-md5": _flat(decode_cram),
    "gssapi-layer": _flat(decode_layer_offer),
    "sasl-buffer": _flat(decode_sasl_buffer),
    "plain": _flat(decode_plain),
}
"""By the names of --type."""
