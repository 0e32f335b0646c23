"""The hashes and keys of DIGEST-MD5 (RFC 2831 sections 2.1.2.1, 2.1.3, 2.3 and 2.4)."""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.crypto.md5 import md5
from saslsspi.engine.exchange import Side

__all__ = ["LayerKeys", "layer_keys", "response_values", "secret_hash", "session_hash"]

_ZEROS: Final = b":00000000000000000000000000000000"
_CLIENT_SIGNING: Final = b"Digest session key to client-to-server signing key magic constant"
_SERVER_SIGNING: Final = b"Digest session key to server-to-client signing key magic constant"
_CLIENT_SEALING: Final = b"Digest H(A1) to client-to-server sealing key magic constant"
_SERVER_SEALING: Final = b"Digest H(A1) to server-to-client sealing key magic constant"


def secret_hash(username: bytes, realm: bytes, password: bytes) -> bytes:
    """H(user:realm:password), 16 octets: what a server may store in place of the password."""
    return md5(b"%b:%b:%b" % (username, realm, password)).digest()


def session_hash(secret: bytes, nonce: bytes, cnonce: bytes, authzid: bytes | None) -> bytes:
    """H(A1), 16 octets: the session key. The nonces are those of the initial authentication (section 2.2.1)."""
    if authzid is None:
        return md5(b"%b:%b:%b" % (secret, nonce, cnonce)).digest()
    return md5(b"%b:%b:%b:%b" % (secret, nonce, cnonce, authzid)).digest()


def response_values(
    ha1: bytes, nonce: bytes, nc: bytes, cnonce: bytes, qop: bytes, digest_uri: bytes
) -> tuple[bytes, bytes]:
    """Return the client's response-value and the server's rspauth, 32 hex digits each.

    All values are those of the response, unescaped; the case of qop and digest_uri is kept, and qop is b"auth" when
    the directive was absent. ha1 is H(A1).
    """
    tail = digest_uri if qop.lower() == b"auth" else digest_uri + _ZEROS
    # KD(HEX(H(A1)), nonce:nc:cnonce:qop:HEX(H(A2))); the two values differ in A2 alone.
    start = b"%b:%b:%b:%b:%b:" % (ha1.hex().encode(), nonce, nc, cnonce, qop)
    client = start + md5(b"AUTHENTICATE:" + tail).hexdigest().encode()
    server = start + md5(b":" + tail).hexdigest().encode()
    return md5(client).hexdigest().encode(), md5(server).hexdigest().encode()


class LayerKeys(NamedTuple):
    """The keys of one side's layer, 16 octets each."""

    send_signing: bytes
    receive_signing: bytes
    send_sealing: bytes
    receive_sealing: bytes


def layer_keys(ha1: bytes, side: Side, *, cipher_key_size: int | None) -> LayerKeys:
    """Derive Kic, Kis and Kcc, Kcs and hand them out by direction.

    Args:
        ha1: H(A1).
        side: Who sends with these.
        cipher_key_size: How many octets of H(A1) go into the sealing keys: 5 for rc4-40, 7 for rc4-56, 16 for
            every other cipher (section 2.4); None without a cipher.
    """
    signing = [md5(ha1 + _CLIENT_SIGNING).digest(), md5(ha1 + _SERVER_SIGNING).digest()]
    sealing = [b"", b""]
    if cipher_key_size is not None:
        head = ha1[:cipher_key_size]
        sealing = [md5(head + _CLIENT_SEALING).digest(), md5(head + _SERVER_SEALING).digest()]
    send, receive = (0, 1) if side is Side.INITIATE else (1, 0)
    return LayerKeys(
        send_signing=signing[send],
        receive_signing=signing[receive],
        send_sealing=sealing[send],
        receive_sealing=sealing[receive],
    )
