"""The hash that the signature of an X.509 certificate uses (RFC 5280 section 4.1.1.2), for tls-server-end-point.

The outermost layer of the certificate is enough for that. X.509 libraries read all of it, and refuse certificates that
servers have: Samba makes itself one whose serial number is 0.
"""

from __future__ import annotations

from typing import Final

from saslsspi.der import Lengths, Reader, Tag, context

__all__ = ["signature_hash"]

_NIST: Final = "2.16.840.1.101.3.4"
_SHA2: Final = ("sha224", "sha256", "sha384", "sha512")
_SHA3: Final = ("sha3_224", "sha3_256", "sha3_384", "sha3_512")
_PSS: Final = "1.2.840.113549.1.1.10"
_PSS_DEFAULT: Final = "sha1"  # RFC 4055 section 3.1

_SIGNATURES: Final = {
    # RFC 3279 section 2.2 and RFC 4055 section 5: RSA
    "1.2.840.113549.1.1.4": "md5",
    "1.2.840.113549.1.1.5": "sha1",
    "1.3.14.3.2.29": "sha1",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.113549.1.1.14": "sha224",
    # RFC 3279, RFC 5758: DSA and ECDSA
    "1.2.840.10040.4.3": "sha1",
    "1.2.840.10045.4.1": "sha1",
    **{f"1.2.840.10045.4.3.{number}": name for number, name in enumerate(_SHA2, 1)},
    **{f"{_NIST}.3.{number}": name for number, name in enumerate(_SHA2, 1)},
    # RFC 8692 and NIST's register: DSA, ECDSA and RSA with SHA-3
    **{f"{_NIST}.3.{number}": name for number, name in enumerate(_SHA3 * 3, 5)},
}
_HASHES: Final = {
    "1.3.14.3.2.26": "sha1",
    f"{_NIST}.2.1": "sha256",
    f"{_NIST}.2.2": "sha384",
    f"{_NIST}.2.3": "sha512",
    f"{_NIST}.2.4": "sha224",
    **{f"{_NIST}.2.{number}": name for number, name in enumerate(_SHA3, 7)},
}


def signature_hash(certificate_der: bytes) -> str | None:
    """Return hashlib's name of the hash, None for a signature that has none of its own or is not known.

    Raises:
        InvalidToken: this is not a certificate.
    """
    whole = Reader(certificate_der, lengths=Lengths.ANY_DEFINITE)
    certificate = whole.enter()
    whole.end()
    certificate.contents(Tag.SEQUENCE)
    algorithm = certificate.enter()
    certificate.contents(Tag.BIT_STRING)
    certificate.end()
    name = algorithm.oid()
    if name != _PSS:
        return _SIGNATURES.get(name)
    parameters = algorithm.enter()
    named = parameters.optional(context(0))
    return _PSS_DEFAULT if named is None else _HASHES.get(named.enter().oid())
