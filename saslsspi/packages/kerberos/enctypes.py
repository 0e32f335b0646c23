"""The encryption types of Kerberos sessions: their names and how strong a layer they make (RFC 3961 section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from saslsspi.packages.kerberos.gss import inquire

__all__ = ["Enctype", "SessionKey", "session_key"]

_INQUIRE_SESSION_KEY: Final = "1.2.840.113554.1.2.2.5.5"  # GSS_C_INQ_SSPI_SESSION_KEY
_INQUIRE_SSF: Final = "1.2.840.113554.1.2.2.5.15"  # GSS_C_SEC_CONTEXT_SASL_SSF


class Enctype(NamedTuple):
    """An encryption type.

    Attributes:
        ssf: Security strength factor, in bits.
        framed: Whether its messages stand in the ASN.1 frame of RFC 1964, whose length field grows with the message.
    """

    name: str
    checksum: str
    ssf: int
    framed: bool


class SessionKey(NamedTuple):
    """The key of an established context; key is None where the library does not give it away."""

    enctype: Enctype
    key: bytes | None


_ENCTYPES: Final[Mapping[int, Enctype]] = {
    1: Enctype("DES-CBC-CRC", "DES-MAC-MD5", 56, framed=True),
    3: Enctype("DES-CBC-MD5", "DES-MAC-MD5", 56, framed=True),
    16: Enctype("DES3-CBC-SHA1", "HMAC-SHA1-DES3", 112, framed=True),
    17: Enctype("AES128-CTS-HMAC-SHA1-96", "HMAC-SHA1-96-AES128", 128, framed=False),
    18: Enctype("AES256-CTS-HMAC-SHA1-96", "HMAC-SHA1-96-AES256", 256, framed=False),
    19: Enctype("AES128-CTS-HMAC-SHA256-128", "HMAC-SHA256-128-AES128", 128, framed=False),
    20: Enctype("AES256-CTS-HMAC-SHA384-192", "HMAC-SHA384-192-AES256", 256, framed=False),
    # As MIT rates RC4, whose key of 128 bits promises more.
    23: Enctype("RC4-HMAC", "HMAC-MD5", 64, framed=True),
    24: Enctype("RC4-HMAC-EXP", "HMAC-MD5", 20, framed=True),
    25: Enctype("CAMELLIA128-CTS-CMAC", "CMAC-CAMELLIA128", 128, framed=False),
    26: Enctype("CAMELLIA256-CTS-CMAC", "CMAC-CAMELLIA256", 256, framed=False),
}
_LEAST: Final = 56  # what is said of a cipher that nobody names


def session_key(context: Any) -> SessionKey:
    """Return key and encryption type of an established context."""
    told = inquire(context, _INQUIRE_SESSION_KEY)
    if told is not None and len(told) == 2:
        # The second is an object identifier that ends in the encryption type's number.
        known = _ENCTYPES.get(told[1][-1] if told[1] else 0)
        return SessionKey(known or _unknown(context), bytes(told[0]))
    return SessionKey(_unknown(context), None)


def _unknown(context: Any) -> Enctype:
    told = inquire(context, _INQUIRE_SSF)
    ssf = int.from_bytes(told[0]) if told and len(told[0]) == 4 else _LEAST
    return Enctype("Kerberos", "Kerberos", ssf, framed=True)
