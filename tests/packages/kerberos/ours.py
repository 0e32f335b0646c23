"""Contexts of the Kerberos package, both ends ours."""

from typing import Any

from pair import Contexts, Tap, establish, untouched
from saslsspi import sspi
from saslsspi.sspi import CredentialUse, Environment, IscReq, Policy, SecBuffer, SecBufferDesc, SecBufferType

TARGET = "ldap/localhost"
SIGN = IscReq.ISC_REQ_MUTUAL_AUTH | IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT
SIGN |= IscReq.ISC_REQ_SEQUENCE_DETECT
SEAL = SIGN | IscReq.ISC_REQ_CONFIDENTIALITY

__all__ = ["SEAL", "SIGN", "TARGET", "accepting", "initiating", "logged_on", "opened", "sealed"]


def initiating(**policy: Any) -> sspi.CredHandle:
    environment = Environment(policy=Policy(**policy))
    return sspi.acquire_credentials_handle(
        None, "Kerberos", CredentialUse.SECPKG_CRED_OUTBOUND, environment=environment
    ).credential


def accepting(principal: str | None = TARGET, authority: Any = None, **policy: Any) -> sspi.CredHandle:
    environment = Environment(policy=Policy(**policy), authority=authority)
    return sspi.acquire_credentials_handle(
        principal, "Kerberos", CredentialUse.SECPKG_CRED_INBOUND, environment=environment
    ).credential


def logged_on(
    flags: int = SEAL, server_flags: int = 0, *, tap: Tap = untouched, target: str = TARGET, **accept: Any
) -> Contexts:
    return establish(initiating(), accepting(**accept), target, flags, server_flags, tap)


def sealed(context: sspi.CtxtHandle, text: bytes, qop: int = 0) -> list[bytes]:
    """Encrypt a message and return its three buffers as they go on the wire."""
    sizes = sspi.query_context_attributes(context, sspi.SecPkgContextSizes)
    buffers = SecBufferDesc(
        [
            SecBuffer(bytearray(sizes.security_trailer), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(sizes.block_size), SecBufferType.SECBUFFER_PADDING),
        ]
    )
    sspi.encrypt_message(context, qop, buffers, 0)
    return [buffer.data for buffer in buffers]


def opened(context: sspi.CtxtHandle, wire: bytes) -> tuple[bytes, int]:
    """Open a whole message; return the text and the quality of protection."""
    data = SecBuffer(None, SecBufferType.SECBUFFER_DATA)
    stream = SecBuffer(bytearray(wire), SecBufferType.SECBUFFER_STREAM)
    qop = sspi.decrypt_message(context, SecBufferDesc([stream, data]), 0)
    return data.data, qop
