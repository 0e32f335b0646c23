"""The three NTLM messages (MS-NLMP section 2.2.1): fixed heads with pointers into a payload.

A received message is read without copying more than its fields. What is signed or hashed later (MIC, the NTLMv2
response) is taken from the received octets and never encoded anew. Strings stay octets here: what they are encoded
in is told by the flags.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from saslsspi.errors import InvalidToken
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag

__all__ = ["MAX_MESSAGE", "MAX_TOKEN", "SIGNATURE", "VERSION", "Authenticate", "ChallengeMessage", "Negotiate"]

MAX_TOKEN: Final = 2888
"""Largest token that Windows makes, in octets (cbMaxToken)."""
MAX_MESSAGE: Final = 1 << 16
"""Largest message that is read, in octets."""

SIGNATURE: Final = b"NTLMSSP\0"
VERSION: Final = bytes.fromhex("0a00 7c4f 000000 0f")  # 10.0, build 20348, revision 15 (section 2.2.2.10)

_TYPED: Final = Struct("<8sI").unpack_from
_NEGOTIATE: Final = Struct("<8sII HHI HHI 8s")
_CHALLENGE: Final = Struct("<8sI HHI I 8s 8s HHI 8s")
_AUTHENTICATE: Final = Struct("<8sI HHI HHI HHI HHI HHI HHI I 8s")
_AUTHENTICATE_LEAST: Final = 64  # before VERSION came
_VERSION_FLAG: Final = int(NtlmFlag.VERSION)
_REQUEST_TARGET: Final = int(NtlmFlag.REQUEST_TARGET)
_TARGET_INFO: Final = int(NtlmFlag.TARGET_INFO)
_DOMAIN_SUPPLIED: Final = int(NtlmFlag.OEM_DOMAIN_SUPPLIED)
_WORKSTATION_SUPPLIED: Final = int(NtlmFlag.OEM_WORKSTATION_SUPPLIED)
_NO_VERSION: Final = bytes(8)


def _check(data: bytes, number: int, least: int) -> None:
    if not least <= len(data) <= MAX_MESSAGE:
        raise InvalidToken(
            f"NTLM message of {len(data)} octets, expected {least} to {MAX_MESSAGE}", requirement="MSNLMP-3.2.5.1.2-01"
        )
    signature, kind = _TYPED(data)
    if signature != SIGNATURE or kind != number:
        raise InvalidToken(f"not NTLM message {number}")


def _field(data: bytes, head: int, size: int, offset: int) -> bytes:
    """Return the payload that a pointer shows; one of size 0 points anywhere."""
    if not size:
        return b""
    if offset < head or size > len(data) - offset:
        raise InvalidToken(
            f"a field of {size} octets at {offset} lies outside a message of {len(data)}",
            requirement="MSNLMP-3.2.5.1.2-01",
        )
    return data[offset : offset + size]


class Negotiate(NamedTuple):
    r"""NEGOTIATE_MESSAGE (section 2.2.1.1).

        Signature "NTLMSSP\0", MessageType 1, NegotiateFlags, DomainNameFields, WorkstationFields, Version (8), payload

    Attributes:
        domain, workstation: In the OEM character set; present where their flag says so.
    """

    flags: int
    domain: bytes = b""
    workstation: bytes = b""
    version: bytes = _NO_VERSION

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; the oldest clients send no more than the flags.

        Raises:
            InvalidToken: it is no NEGOTIATE_MESSAGE, or a field lies outside it.
        """
        _check(data, 1, 16)
        head = data[: _NEGOTIATE.size].ljust(_NEGOTIATE.size, b"\0")
        _, _, flags, size, _, at, other_size, _, other_at, version = _NEGOTIATE.unpack(head)
        domain = _field(data, 32, size, at) if flags & _DOMAIN_SUPPLIED else b""
        workstation = _field(data, 32, other_size, other_at) if flags & _WORKSTATION_SUPPLIED else b""
        return cls(flags, domain, workstation, version if flags & _VERSION_FLAG else _NO_VERSION)

    def to_bytes(self) -> bytes:
        """Encode."""
        at = _NEGOTIATE.size
        size, other = len(self.domain), len(self.workstation)
        head = _NEGOTIATE.pack(
            SIGNATURE, 1, self.flags, size, size, at, other, other, at + size, self.version
        )  # fmt: skip
        return head + self.domain + self.workstation


class ChallengeMessage(NamedTuple):
    r"""CHALLENGE_MESSAGE (section 2.2.1.2).

    Signature "NTLMSSP\0", MessageType 2, TargetNameFields, NegotiateFlags, ServerChallenge (8), Reserved (8),
    TargetInfoFields, Version (8), payload
    """

    flags: int
    server_challenge: bytes
    target_name: bytes = b""
    target_info: bytes = b""
    version: bytes = _NO_VERSION

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode; old servers send neither target information nor version.

        Raises:
            InvalidToken: it is no CHALLENGE_MESSAGE, or a field lies outside it.
        """
        _check(data, 2, 32)
        head = data[: _CHALLENGE.size].ljust(_CHALLENGE.size, b"\0")
        _, _, size, _, at, flags, challenge, _, info_size, _, info_at, version = _CHALLENGE.unpack(head)
        return cls(
            flags,
            challenge,
            _field(data, 32, size, at) if flags & _REQUEST_TARGET else b"",
            _field(data, 48, info_size, info_at) if flags & _TARGET_INFO and len(data) >= 48 else b"",
            version if flags & _VERSION_FLAG else _NO_VERSION,
        )

    def to_bytes(self) -> bytes:
        """Encode."""
        at = _CHALLENGE.size
        size, info = len(self.target_name), len(self.target_info)
        return b"".join((
            _CHALLENGE.pack(
                SIGNATURE, 2, size, size, at, self.flags, self.server_challenge, bytes(8), info, info, at + size,
                self.version,
            ),
            self.target_name,
            self.target_info,
        ))  # fmt: skip


class Authenticate(NamedTuple):
    r"""AUTHENTICATE_MESSAGE (section 2.2.1.3).

        Signature "NTLMSSP\0", MessageType 3, LmChallengeResponseFields, NtChallengeResponseFields, DomainNameFields,
        UserNameFields, WorkstationFields, EncryptedRandomSessionKeyFields, NegotiateFlags, Version (8), MIC (16),
        payload

    Attributes:
        mic_offset: Where the MIC stands, 72, or 64 from peers that leave VERSION out; 0 where there is no room.
            Whether it is one is said by MsvAvFlags inside the response.
    """

    flags: int
    lm_response: bytes = b""
    nt_response: bytes = b""
    domain: bytes = b""
    username: bytes = b""
    workstation: bytes = b""
    session_key: bytes = b""
    version: bytes = _NO_VERSION
    mic_offset: int = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode.

        Raises:
            InvalidToken: it is no AUTHENTICATE_MESSAGE, or a field lies outside it.
        """
        _check(data, 3, _AUTHENTICATE_LEAST)
        head = data[: _AUTHENTICATE.size].ljust(_AUTHENTICATE.size, b"\0")
        (
            _, _, lm_size, _, lm_at, nt_size, _, nt_at, domain_size, _, domain_at, user_size, _, user_at,
            station_size, _, station_at, key_size, _, key_at, flags, version,
        ) = _AUTHENTICATE.unpack(head)  # fmt: skip
        least = _AUTHENTICATE_LEAST
        # The payload begins where the first field that is not empty points to.
        payload = len(data)
        for size, at in (
            (lm_size, lm_at), (nt_size, nt_at), (domain_size, domain_at), (user_size, user_at),
            (station_size, station_at), (key_size, key_at),
        ):  # fmt: skip
            if size and at < payload:
                payload = at
        mic_offset = 72 if payload >= 88 else 64 if payload >= 80 and not flags & _VERSION_FLAG else 0
        return cls(
            flags,
            _field(data, least, lm_size, lm_at),
            _field(data, least, nt_size, nt_at),
            _field(data, least, domain_size, domain_at),
            _field(data, least, user_size, user_at),
            _field(data, least, station_size, station_at),
            _field(data, least, key_size, key_at),
            version if flags & _VERSION_FLAG else _NO_VERSION,
            mic_offset,
        )

    def to_bytes(self) -> bytes:
        """Encode; a MIC gets its room, filled with zeros, where mic_offset is 72."""
        names = _AUTHENTICATE.size + (16 if self.mic_offset else 0)
        domain, user, station = len(self.domain), len(self.username), len(self.workstation)
        lm, nt, key = len(self.lm_response), len(self.nt_response), len(self.session_key)
        if max(domain, user, station, nt) > 0xFFFF:
            raise InvalidToken("a name or response does not fit into an AUTHENTICATE_MESSAGE")
        user_at = names + domain
        station_at = user_at + user
        lm_at = station_at + station
        nt_at = lm_at + lm
        return b"".join((
            _AUTHENTICATE.pack(
                SIGNATURE, 3, lm, lm, lm_at, nt, nt, nt_at, domain, domain, names, user, user, user_at,
                station, station, station_at, key, key, nt_at + nt, self.flags, self.version,
            ),
            bytes(names - _AUTHENTICATE.size),
            self.domain,
            self.username,
            self.workstation,
            self.lm_response,
            self.nt_response,
            self.session_key,
        ))  # fmt: skip
