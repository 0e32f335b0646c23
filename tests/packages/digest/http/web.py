"""A client and a server of Digest for HTTP, as programs would write them over the SSPI functions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Final

from saslsspi import MemoryAuthority, sspi
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.sspi import (
    AscReq,
    CredentialUse,
    Environment,
    HttpDigestPolicy,
    IscReq,
    Policy,
    SecBuffer,
    SecBufferDesc,
    SecBufferFlags,
    SecBufferType,
    SecurityStatus,
)

REALM: Final = "example.test"
USER: Final = "alice"
PASSWORD: Final = "wonderland"
URI: Final = "/tea?cups=2"
PEOPLE: Final = MemoryAuthority({USER: PASSWORD, "Jäsøn Doe": "Secret, or not?", "DOM\\bob": "builder"})
TLS: Final = ChannelBindings(application_data=b"tls-server-end-point:" + b"\x17" * 32)
OTHER_TLS: Final = ChannelBindings(application_data=b"tls-server-end-point:" + b"\x18" * 32)
READONLY: Final = SecBufferFlags.SECBUFFER_READONLY

_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def body_hash(body: bytes, algorithm: str = "SHA-256") -> bytes:
    return hashlib.new(_HASHES[algorithm.removesuffix("-sess")], body).hexdigest().encode()


def policy(*algorithms: str, base: Policy | None = None, **more: object) -> Policy:
    return replace(base or Policy(), http_digest=HttpDigestPolicy(algorithms=algorithms, **more))  # type: ignore[arg-type]


def packed(
    token: bytes, *parameters: bytes, host: bytes = b"", bindings: ChannelBindings | None = None
) -> SecBufferDesc:
    buffers = [SecBuffer(token, SecBufferType.SECBUFFER_TOKEN)]
    buffers += [SecBuffer(value, SecBufferType.SECBUFFER_PKG_PARAMS) for value in parameters]
    if host:
        buffers.append(SecBuffer(host, SecBufferType.SECBUFFER_TARGET_HOST, READONLY))
    if bindings is not None:
        buffers.append(SecBuffer(bindings.to_bytes(), SecBufferType.SECBUFFER_CHANNEL_BINDINGS, READONLY))
    return SecBufferDesc(buffers)


def made_signature(context: sspi.CtxtHandle, *parameters: bytes, size: int | None = None) -> bytes:
    desc = packed(b"", *parameters)
    token = SecBuffer(None if size is None else bytearray(size), SecBufferType.SECBUFFER_TOKEN)
    desc = SecBufferDesc([token, *list(desc)[1:]])
    sspi.make_signature(context, 0, desc, 0)
    return token.data


def verified(context: sspi.CtxtHandle, token: bytes, *parameters: bytes) -> None:
    sspi.verify_signature(context, packed(token, *parameters), 0)


@dataclass
class Browser:
    """The client; each `answer` is one call of InitializeSecurityContext."""

    user: str = USER
    password: str = PASSWORD
    flags: int = 0
    policy: Policy = field(default_factory=Policy)
    host: bytes = b""
    bindings: ChannelBindings | None = None
    context: sspi.CtxtHandle | None = None
    status: int = -1
    attributes: int = 0
    realm: str | None = None

    def __post_init__(self) -> None:
        identity = sspi.WinNTAuthIdentity(self.user, self.realm, self.password)
        self.credential = sspi.acquire_credentials_handle(
            None, "WDigest", CredentialUse.SECPKG_CRED_OUTBOUND, auth_data=identity,
            environment=Environment(policy=self.policy),
        ).credential  # fmt: skip

    def answer(self, challenge: bytes, method: bytes = b"GET", entity: bytes = b"", uri: str = URI) -> bytes:
        output = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
        self.context, attributes, _, self.status = sspi.initialize_security_context(
            self.credential, self.context, uri, IscReq.ISC_REQ_HTTP | self.flags, 0,
            packed(challenge, method, entity, host=self.host, bindings=self.bindings), output,
        )  # fmt: skip
        self.attributes = int(attributes)
        return output[0].data

    @property
    def handle(self) -> sspi.CtxtHandle:
        assert self.context is not None
        return self.context


@dataclass
class Site:
    """The server; each request is a context of its own, as HTTP has it."""

    flags: int = 0
    policy: Policy = field(default_factory=Policy)
    bindings: ChannelBindings | None = None
    principal: str | None = None
    realm: bytes = REALM.encode()
    now: float = 1_700_000_000.0
    more: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        surroundings = Environment(policy=self.policy, clock=lambda: self.now, **({"authority": PEOPLE} | self.more))  # type: ignore[arg-type]
        self.credential = sspi.acquire_credentials_handle(
            self.principal, "WDigest", CredentialUse.SECPKG_CRED_INBOUND, environment=surroundings
        ).credential

    def accept(
        self, token: bytes, method: bytes = b"GET", entity: bytes = b"", context: sspi.CtxtHandle | None = None
    ) -> Answer:
        output = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
        made, attributes, _, status = sspi.accept_security_context(
            self.credential, context, packed(token, method, b"", entity, self.realm, bindings=self.bindings),
            AscReq.ASC_REQ_HTTP | self.flags, 0, output,
        )  # fmt: skip
        if status is SecurityStatus.SEC_I_COMPLETE_NEEDED:
            completed = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
            sspi.complete_auth_token(made, completed)
            return Answer(made, int(attributes), status, completed[0].data)
        return Answer(made, int(attributes), status, output[0].data)

    def challenge(self) -> bytes:
        return self.accept(b"").token


@dataclass(frozen=True)
class Answer:
    """What a server's calls returned for one request."""

    context: sspi.CtxtHandle
    attributes: int
    status: SecurityStatus
    token: bytes

    @property
    def user(self) -> str:
        return sspi.query_context_attributes(self.context, sspi.SecPkgContextNames).username
