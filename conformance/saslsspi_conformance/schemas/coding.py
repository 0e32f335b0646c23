"""Values of a schema to DER and back; nothing may be left over."""

from __future__ import annotations

from typing import Any

from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1.error import PyAsn1Error

from saslsspi.errors import InvalidToken

__all__ = ["decoded", "encoded"]


def decoded(octets: bytes, schema: Any) -> Any:
    """Decode the DER of a schema, and say that it is that to the octet.

    Raises:
        InvalidToken: it is no such value, octets follow it, or it would be encoded otherwise.
    """
    try:
        value, rest = decode(octets, asn1Spec=schema)
    except PyAsn1Error as error:
        raise InvalidToken(f"the ASN.1 value of {len(octets)} octets is malformed: {error}") from error
    if rest or encoded(value) != octets:
        raise InvalidToken(f"the ASN.1 value of {len(octets)} octets is not DER, or {len(rest)} follow it")
    return value


def encoded(value: Any) -> bytes:
    """Encode a value of a schema as DER."""
    return bytes(encode(value))
