"""One end of an SSPI context with the face that Python's GSS-like libraries have: step, wrap, unwrap, sign, verify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import saslsspi
from saslsspi import MemoryAuthority, sspi
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.sspi import AscReq, CredentialUse, Environment, IscReq, SecBuffer, SecBufferDesc, SecBufferType

DOMAIN, USER, PASSWORD = "DOM", "alice", "wonderland"
TARGET = "http/host.example"
SIGN = int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_REPLAY_DETECT)
SEAL = SIGN | int(IscReq.ISC_REQ_CONFIDENTIALITY)
ACCEPT_SIGN = int(AscReq.ASC_REQ_INTEGRITY)
ACCEPT_SEAL = ACCEPT_SIGN | int(AscReq.ASC_REQ_CONFIDENTIALITY)
PEOPLE = MemoryAuthority({USER: PASSWORD})


class End(Protocol):
    """What two ends have in common, ours and a peer library's."""

    @property
    def complete(self) -> bool: ...

    def step(self, in_token: bytes | None = None) -> bytes | None: ...


def over(end: End | saslsspi.Context) -> bool:
    """Whether an end has no use for another token."""
    return end.done if isinstance(end, saslsspi.Context) else end.complete


class Context(sspi.CtxtHandle):
    """One end of ours, through SSPI's functions and their buffers; where neither matters, saslsspi.Context serves.

    Args:
        credential: From client_credential or server_credential.
        flags: context_req.
        target: The name that a client means; None for an acceptor.
    """

    def __init__(
        self,
        credential: sspi.CredHandle,
        flags: int = 0,
        target: str | None = None,
        *,
        bindings: ChannelBindings | None = None,
    ) -> None:
        self.complete = False
        self.attributes = 0
        self._credential, self._flags, self._target, self._bindings = credential, flags, target, bindings
        self._number = 0

    def step(self, in_token: bytes | None = None) -> bytes | None:
        buffers = [SecBuffer(in_token, SecBufferType.SECBUFFER_TOKEN)] if in_token else []
        if self._bindings is not None:
            buffers.append(SecBuffer(self._bindings.to_bytes(), SecBufferType.SECBUFFER_CHANNEL_BINDINGS))
        inputs = SecBufferDesc(buffers) if buffers else None
        outputs = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
        result: sspi.InitializeContextResult | sspi.AcceptContextResult
        if self._target is None:
            result = sspi.accept_security_context(self._credential, self, inputs, self._flags, 16, outputs)
        else:
            result = sspi.initialize_security_context(
                self._credential, self, self._target, self._flags, 16, inputs, outputs
            )
        self.complete = result.status == sspi.SecurityStatus.SEC_E_OK
        self.attributes = int(result.attributes)
        return outputs[0].data or None

    def wrap(self, data: bytes, encrypt: bool = True) -> bytes:
        desc = SecBufferDesc(
            [
                SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN),
                SecBuffer(bytearray(data), SecBufferType.SECBUFFER_DATA),
                SecBuffer(bytearray(1), SecBufferType.SECBUFFER_PADDING),
            ]
        )
        sspi.encrypt_message(self, 0 if encrypt else sspi.QopFlags.SECQOP_WRAP_NO_ENCRYPT, desc, self._next())
        return b"".join(buffer.data for buffer in desc)

    def unwrap(self, data: bytes) -> bytes:
        return self.unwrap_qop(data)[0]

    def unwrap_qop(self, data: bytes) -> tuple[bytes, int]:
        desc = SecBufferDesc(
            [SecBuffer(bytearray(data), SecBufferType.SECBUFFER_STREAM), SecBuffer(None, SecBufferType.SECBUFFER_DATA)]
        )
        qop = sspi.decrypt_message(self, desc, self._next())
        return desc[1].data, qop

    def sign(self, data: bytes) -> bytes:
        desc = SecBufferDesc(
            [SecBuffer(data, SecBufferType.SECBUFFER_DATA), SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN)]
        )
        sspi.make_signature(self, 0, desc, self._next())
        return desc[1].data

    def verify(self, data: bytes, mic: bytes) -> int:
        desc = SecBufferDesc(
            [SecBuffer(data, SecBufferType.SECBUFFER_DATA), SecBuffer(mic, SecBufferType.SECBUFFER_TOKEN)]
        )
        return sspi.verify_signature(self, desc, self._next())

    def _next(self) -> int:
        """sspilib's upper classes run one counter over all operations; connection-oriented packages ignore it."""
        self._number += 1
        return self._number - 1


def client_credential(
    package: str = "NTLM",
    username: str | None = USER,
    password: str | None = PASSWORD,
    *,
    domain: str | None = DOMAIN,
    environment: Environment | None = None,
    package_list: str | None = None,
) -> sspi.CredHandle:
    identity = sspi.WinNTAuthIdentity(username, domain, password, package_list=package_list)
    return sspi.acquire_credentials_handle(
        None, package, CredentialUse.SECPKG_CRED_OUTBOUND, auth_data=identity, environment=environment
    ).credential


def server_credential(
    package: str = "NTLM",
    *,
    principal: str | None = None,
    environment: Environment | None = None,
    package_list: str | None = None,
) -> sspi.CredHandle:
    identity = sspi.WinNTAuthIdentity(package_list=package_list)
    surroundings = environment or Environment(authority=PEOPLE)
    return sspi.acquire_credentials_handle(
        principal, package, CredentialUse.SECPKG_CRED_INBOUND, auth_data=identity, environment=surroundings
    ).credential


def run(
    client: End | saslsspi.Context,
    server: End | saslsspi.Context,
    tap: Callable[[int, bytes], bytes] = lambda number, token: token,
) -> list[bytes]:
    """Carry tokens between two ends until both are complete; return them as they arrived.

    Args:
        client: Speaks first.
        server: Answers.
        tap: Takes the number of a token and the token, and returns what arrives in its place.
    """
    tokens: list[bytes] = []
    token = client.step(None)
    ends: tuple[End | saslsspi.Context, End | saslsspi.Context] = (server, client)
    while token is not None and len(tokens) < 12:
        tokens.append(tap(len(tokens), token))
        end = ends[(len(tokens) - 1) % 2]
        if over(end):
            break
        token = end.step(tokens[-1])
    return tokens
