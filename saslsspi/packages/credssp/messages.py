"""The messages of CredSSP (MS-CSSP section 2.2): TSRequest and the credentials that are handed over.

The wire types are declared with `cryptography.hazmat.asn1`, which is still moving, so nothing outside this module
sees them. Text is UTF-16LE without a terminator; it stays octets in here where its contents do not matter.

    TSRequest ::= SEQUENCE {
        version     [0] INTEGER,
        negoTokens  [1] SEQUENCE OF SEQUENCE { negoToken [0] OCTET STRING } OPTIONAL,
        authInfo    [2] OCTET STRING OPTIONAL,
        pubKeyAuth  [3] OCTET STRING OPTIONAL,
        errorCode   [4] INTEGER OPTIONAL,
        clientNonce [5] OCTET STRING OPTIONAL
    }
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple, Self, TypeVar

from cryptography.hazmat import asn1

from saslsspi.errors import InvalidParameter, InvalidToken

__all__ = ["MAX_SIZE", "NONCE_SIZE", "TSRequest", "announced_size", "decode", "encode"]

MAX_SIZE: Final = 1 << 17
"""Largest TSRequest that is taken, in octets; a Kerberos ticket with a large PAC stays below half of it."""
NONCE_SIZE: Final = 32
_LOWEST: Final = 2  # section 2.2.1: "Valid values for this field are 2, 3, 4, 5, and 6"
_SEQUENCE: Final = 0x30

_Wire = TypeVar("_Wire")


@asn1.sequence
class _NegoToken:
    nego_token: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _TSRequest:
    version: Annotated[int, asn1.Explicit(0)]
    nego_tokens: Annotated[list[_NegoToken] | None, asn1.Explicit(1)]
    auth_info: Annotated[bytes | None, asn1.Explicit(2)]
    pub_key_auth: Annotated[bytes | None, asn1.Explicit(3)]
    error_code: Annotated[int | None, asn1.Explicit(4)]
    client_nonce: Annotated[bytes | None, asn1.Explicit(5)]


class TSRequest(NamedTuple):
    """The message that carries everything (section 2.2.1). Its repr shows sizes only.

    Attributes:
        version: Of its sender, 2 or above.
        error_code: NTSTATUS, unsigned.
    """

    version: int
    nego_token: bytes | None = None
    auth_info: bytes | None = None
    pub_key_auth: bytes | None = None
    error_code: int | None = None
    client_nonce: bytes | None = None

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode.

        Raises:
            InvalidToken: not strict DER, octets left over, a version below 2, not one token in negoTokens, or an error
                code that is no 32-bit number.
        """
        if len(data) > MAX_SIZE:
            raise InvalidToken(f"a TSRequest of {len(data)} octets, at most {MAX_SIZE} are taken")
        wire = decode(_TSRequest, data, "TSRequest")
        if wire.version < _LOWEST:
            raise InvalidToken(f"version {wire.version} of CredSSP does not exist", requirement="MSCSSP-2.2.1-02")
        token = None
        if wire.nego_tokens is not None:
            if len(wire.nego_tokens) != 1:
                raise InvalidToken(
                    f"negoTokens holds {len(wire.nego_tokens)} tokens, expected one", requirement="MSCSSP-2.2.1.1-02"
                )
            token = wire.nego_tokens[0].nego_token
        code = wire.error_code
        if code is not None:
            # Peers write 0xC000006D as a negative number of four octets, or as a positive one of five.
            if not -(1 << 31) <= code < 1 << 32 or not code:
                raise InvalidToken("errorCode is no NTSTATUS of a failure", requirement="MSCSSP-2.2.1-12")
            code &= 0xFFFFFFFF
        return cls(wire.version, token, wire.auth_info, wire.pub_key_auth, code, wire.client_nonce)

    def to_bytes(self) -> bytes:
        """Encode; an error code as a negative number of four octets, as Windows writes it."""
        code = self.error_code
        if code is not None and code >= 1 << 31:
            code -= 1 << 32
        return asn1.encode_der(
            _TSRequest(
                version=self.version,
                nego_tokens=None if self.nego_token is None else [_NegoToken(nego_token=self.nego_token)],
                auth_info=self.auth_info,
                pub_key_auth=self.pub_key_auth,
                error_code=code,
                client_nonce=self.client_nonce,
            )
        )

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{name} of {len(value)} octets" if isinstance(value, bytes) else f"{name} {value:#x}"
            for name, value in self._asdict().items()
            if value is not None
        )
        return f"<TSRequest {sizes}>"


def announced_size(octets: bytes | bytearray) -> int | None:
    """Return how many octets the message that begins here has, None while its header is not whole.

    Raises:
        InvalidToken: it is no SEQUENCE of DER, or a larger one than is taken.
    """
    if len(octets) < 2:
        if octets and octets[0] != _SEQUENCE:
            raise InvalidToken(f"octet {octets[0]:#04x} where a TSRequest is due")
        return None
    if octets[0] != _SEQUENCE:
        raise InvalidToken(f"octet {octets[0]:#04x} where a TSRequest is due")
    length, header = octets[1], 2
    if length > 0x7F:
        header += length & 0x7F
        if not 0x81 <= length <= 0x84:
            raise InvalidToken(f"a TSRequest with the length octet {length:#04x}")
        if len(octets) < header:
            return None
        length = int.from_bytes(octets[2:header])
    if header + length > MAX_SIZE:
        raise InvalidToken(f"a TSRequest of {header + length} octets is announced, at most {MAX_SIZE} are taken")
    return header + length


def decode(kind: type[_Wire], data: bytes, name: str) -> _Wire:
    """Decode DER that nothing may follow.

    Raises:
        InvalidToken: it is not that.
    """
    try:
        return asn1.decode_der(kind, data)
    except (ValueError, OverflowError) as error:
        raise InvalidToken(f"{name} of {len(data)} octets is malformed") from error


def encode(value: Any) -> bytes:
    """Encode a declared type.

    Raises:
        InvalidParameter: a value cannot be encoded.
    """
    try:
        return asn1.encode_der(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidParameter(f"{type(value).__name__.lstrip('_')} holds what DER cannot say") from error
