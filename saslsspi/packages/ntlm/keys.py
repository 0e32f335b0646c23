"""The hashes, responses and keys of NTLM (MS-NLMP sections 3.3 and 3.4.5)."""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.crypto.des import des_encrypt_block, expand_key
from saslsspi.crypto.md4 import md4
from saslsspi.crypto.md5 import HmacMd5, md5
from saslsspi.crypto.rc4 import key_stream
from saslsspi.errors import InvalidParameter
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag

__all__ = [
    "NtlmLayerKeys",
    "desl",
    "key_exchange_key",
    "layer_keys",
    "lm_hash",
    "nt_hash",
    "ntowf_v2",
    "rc4_once",
    "session_base_key_v1",
    "upper_case",
]

_ESS: Final = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
_LM_KEY: Final = int(NtlmFlag.LM_KEY)
_DATAGRAM: Final = int(NtlmFlag.DATAGRAM)
_NON_NT: Final = int(NtlmFlag.REQUEST_NON_NT_SESSION_KEY)
_KEY_128: Final = int(NtlmFlag.KEY_128)
_KEY_56: Final = int(NtlmFlag.KEY_56)

# Section 3.4.5.2 and 3.4.5.3: "null-terminated ASCII constants"; the client's direction first.
_SIGNING: Final = (
    b"session key to client-to-server signing key magic constant\0",
    b"session key to server-to-client signing key magic constant\0",
)
_SEALING: Final = (
    b"session key to client-to-server sealing key magic constant\0",
    b"session key to server-to-client sealing key magic constant\0",
)
_LM_TEXT: Final = b"KGS!@#$%"


def nt_hash(password: str) -> bytes:
    """NTOWFv1, 16 octets: MD4 of the password in UTF-16LE; lone surrogates, as gMSA passwords have them, survive."""
    return md4(password.encode("utf-16-le", "surrogatepass"))


def lm_hash(password: str) -> bytes:
    """LMOWFv1, 16 octets (section 3.3.1).

    Raises:
        InvalidParameter: the password has more than 14 characters, or one that the OEM character set lacks.
    """
    try:
        octets = password.upper().encode("cp437")
    except UnicodeEncodeError:
        octets = bytes(15)
    # "If the password is longer than 14 characters, the LMOWF v1 cannot be computed."
    if len(octets) > 14:
        raise InvalidParameter("this password has no LAN Manager hash: at most 14 characters of the OEM set")
    octets = octets.ljust(14, b"\0")
    return b"".join(des_encrypt_block(expand_key(octets[at : at + 7]), _LM_TEXT) for at in (0, 7))


def upper_case(text: str) -> str:
    """Return text in upper case as Windows does it: one UTF-16 unit for one, so a sharp s stays."""
    if text.isascii():
        return text.upper()
    return "".join(c if ord(c) > 0xFFFF or len(c.upper()) != 1 else c.upper() for c in text)


def ntowf_v2(hash_of_password: bytes, username: str, domain: str) -> HmacMd5:
    """NTOWFv2 (section 3.3.2), ready as the key of the HMACs that it is used for.

    "NTOWFv2(Passwd, User, UserDom) as HMAC_MD5(MD4(UNICODE(Passwd)), UNICODE(ConcatenationOf(Uppercase(User),
    UserDom)))": the domain keeps its case.
    """
    text = (upper_case(username) + domain).encode("utf-16-le", "surrogatepass")
    return HmacMd5(HmacMd5(hash_of_password).digest(text))


def desl(key: bytes, block: bytes) -> bytes:
    """DESL (section 6): 24 octets, the block under three keys of 7 octets out of 16."""
    padded = key.ljust(21, b"\0")
    return b"".join(des_encrypt_block(expand_key(padded[at : at + 7]), block) for at in (0, 7, 14))


def session_base_key_v1(hash_of_password: bytes) -> bytes:
    """The SessionBaseKey of NTLMv1: MD4 of the NT hash."""
    return md4(hash_of_password)


def key_exchange_key(
    flags: int, session_base_key: bytes, lm_response: bytes, server_challenge: bytes, lm: bytes | None
) -> bytes:
    """KXKEY under NTLMv1 (section 3.4.5.1); with NTLMv2 it is the SessionBaseKey itself.

    Args:
        flags: Negotiated.
        session_base_key: MD4 of the NT hash.
        lm_response: LmChallengeResponse as it was sent.
        server_challenge: 8 octets.
        lm: The LAN Manager hash, which LM_KEY and REQUEST_NON_NT_SESSION_KEY use; None where it is not known.
    """
    if flags & _ESS:
        return HmacMd5(session_base_key).digest(server_challenge, lm_response[:8])
    if lm is None:
        return session_base_key
    if flags & _LM_KEY:
        block = lm_response[:8]
        second = lm[7:8] + b"\xbd" * 6
        return des_encrypt_block(expand_key(lm[:7]), block) + des_encrypt_block(expand_key(second), block)
    if flags & _NON_NT:
        return lm[:8] + bytes(8)
    return session_base_key


def rc4_once(key: bytes, message: bytes) -> bytes:
    """RC4K (section 6): RC4 from the start of the key stream."""
    return key_stream(key)(message)


class NtlmLayerKeys(NamedTuple):
    """The keys of one side's layer; without extended session security there are no signing keys."""

    send_signing: bytes
    receive_signing: bytes
    send_sealing: bytes
    receive_sealing: bytes


def layer_keys(flags: int, exported_session_key: bytes, *, client: bool) -> NtlmLayerKeys:
    """SIGNKEY and SEALKEY (sections 3.4.5.2 and 3.4.5.3), handed out by direction.

    Args:
        flags: Negotiated.
        exported_session_key: 16 octets.
        client: Whether the client sends with these.
    """
    send, receive = (0, 1) if client else (1, 0)
    key = exported_session_key
    if flags & _ESS:
        weakened = key if flags & _KEY_128 else key[:7] if flags & _KEY_56 else key[:5]
        return NtlmLayerKeys(
            md5(key + _SIGNING[send]).digest(),
            md5(key + _SIGNING[receive]).digest(),
            md5(weakened + _SEALING[send]).digest(),
            md5(weakened + _SEALING[receive]).digest(),
        )
    if flags & (_LM_KEY | _DATAGRAM):
        key = key[:7] + b"\xa0" if flags & _KEY_56 else key[:5] + b"\xe5\x38\xb0"
    return NtlmLayerKeys(b"", b"", key, key)
