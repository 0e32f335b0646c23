"""An SSPI program as an application would write it: both sides of a context, driven by status codes alone."""

from dataclasses import dataclass, field

from saslsspi import sspi
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus

TARGET = "ldap/dc.example.test"
SIGN = sspi.IscReq.ISC_REQ_INTEGRITY | sspi.IscReq.ISC_REQ_SEQUENCE_DETECT
SEAL = SIGN | sspi.IscReq.ISC_REQ_CONFIDENTIALITY
ACCEPT_SIGN = sspi.AscReq.ASC_REQ_INTEGRITY
ACCEPT_SEAL = sspi.AscReq.ASC_REQ_CONFIDENTIALITY


def outbound(
    username: str | None = "alice", password: str | None = "wonderland", package: str = "WDigest", **more: object
) -> sspi.CredHandle:
    identity = sspi.WinNTAuthIdentity(username, None, password)
    use = sspi.CredentialUse.SECPKG_CRED_OUTBOUND
    return sspi.acquire_credentials_handle(None, package, use, auth_data=identity, **more).credential  # type: ignore[arg-type]


def inbound(
    username: str = "alice",
    password: str = "wonderland",
    package: str = "WDigest",
    principal: str | None = TARGET,
    **more: object,
) -> sspi.CredHandle:
    identity = sspi.WinNTAuthIdentity(username, "example.test", password)
    use = sspi.CredentialUse.SECPKG_CRED_INBOUND
    return sspi.acquire_credentials_handle(principal, package, use, auth_data=identity, **more).credential  # type: ignore[arg-type]


def tokens(token: bytes | None) -> SecBufferDesc | None:
    return None if token is None else SecBufferDesc([SecBuffer(token, SecBufferType.SECBUFFER_TOKEN)])


def empty_token() -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])


@dataclass
class Side:
    """One side of a context: what it was given, and what each call returned."""

    credential: sspi.CredHandle
    flags: int
    context: sspi.CtxtHandle | None = None
    attributes: int = 0
    expiry: int = 0
    statuses: list[SecurityStatus] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.statuses) and self.statuses[-1] is SecurityStatus.SEC_E_OK

    @property
    def handle(self) -> sspi.CtxtHandle:
        assert self.context is not None
        return self.context


class Initiator(Side):
    """The client."""

    target = TARGET

    def step(self, token: bytes | None) -> bytes:
        output = empty_token()
        result = sspi.initialize_security_context(
            self.credential, self.context, self.target, self.flags, 0, tokens(token), output
        )
        self.context, self.attributes, self.expiry, status = result
        self.statuses.append(status)
        self.sent.append(output[0].data)
        return output[0].data


class Acceptor(Side):
    """The server."""

    def step(self, token: bytes | None) -> bytes:
        output = empty_token()
        result = sspi.accept_security_context(self.credential, self.context, tokens(token), self.flags, 0, output)
        self.context, self.attributes, self.expiry, status = result
        self.statuses.append(status)
        self.sent.append(output[0].data)
        return output[0].data


def connect(client: Initiator, server: Acceptor) -> None:
    """Pass tokens until both sides say SEC_E_OK; the server speaks first, as it does in SASL use of Digest."""
    token: bytes | None = server.step(None)
    while not (client.done and server.done):
        if not client.done:
            token = client.step(token)
        if not server.done:
            token = server.step(token)


def connected(flags: int = 0, accept_flags: int = 0, **more: object) -> tuple[Initiator, Acceptor]:
    client = Initiator(outbound(**more), int(flags))  # type: ignore[arg-type]
    server = Acceptor(inbound(**more), int(accept_flags))  # type: ignore[arg-type]
    connect(client, server)
    return client, server


def seal(side: Side, message: bytes) -> bytes:
    """EncryptMessage with the buffers of the Digest page; returns the octets for the wire."""
    sizes = sspi.query_context_attributes(side.handle, sspi.SecPkgContextSizes)
    buffers = SecBufferDesc(
        [
            SecBuffer(bytearray(message), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(sizes.max_signature + sizes.block_size), SecBufferType.SECBUFFER_PADDING),
        ]
    )
    sspi.encrypt_message(side.handle, 0, buffers, 0)
    return buffers[0].data + buffers[1].data


def unseal(side: Side, wire: bytes) -> bytes:
    """DecryptMessage of a whole protected message in one STREAM buffer."""
    buffers = SecBufferDesc(
        [SecBuffer(bytearray(wire), SecBufferType.SECBUFFER_STREAM), SecBuffer(None, SecBufferType.SECBUFFER_DATA)]
    )
    sspi.decrypt_message(side.handle, buffers, 0)
    return buffers[1].data


def signed(message: bytes, signature: bytes | bytearray) -> SecBufferDesc:
    return SecBufferDesc(
        [
            SecBuffer(bytearray(message), SecBufferType.SECBUFFER_DATA),
            SecBuffer(signature, SecBufferType.SECBUFFER_TOKEN),
        ]
    )


def sign(side: Side, message: bytes) -> bytes:
    buffers = signed(message, bytearray(16))
    sspi.make_signature(side.handle, 0, buffers, 0)
    return buffers[1].data
