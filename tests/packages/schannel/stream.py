"""Two ends of a package that works on a byte stream, driven with SSPI's buffers: TOKEN, EMPTY, EXTRA, MISSING."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saslsspi import sspi
from saslsspi.sspi import AscReq, CredentialUse, IscReq, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus

TARGET = "HTTP/localhost"
MANUAL = IscReq.ISC_REQ_MANUAL_CRED_VALIDATION
OK = SecurityStatus.SEC_E_OK
TOKEN, EMPTY, DATA = SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_EMPTY, SecBufferType.SECBUFFER_DATA


class Side:
    """One end. `step` takes octets as they come from the wire, and keeps what was not taken."""

    def __init__(self, credential: sspi.CredHandle, flags: int = 0, target: str | None = None) -> None:
        self.handle = sspi.CtxtHandle()
        self.credential, self.flags, self.target = credential, flags, target
        self.status: SecurityStatus | None = None
        self.attributes = 0
        self.untaken = b""
        self._first = True
        self.extra: list[SecBuffer] = []

    @property
    def done(self) -> bool:
        return self.status is OK

    def step(self, octets: bytes = b"") -> bytes:
        token = self.untaken + octets
        inputs = SecBufferDesc([SecBuffer(bytearray(token), TOKEN), SecBuffer(None, EMPTY), *self.extra])
        outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
        given = None if self._first and self.target is not None and not self.extra else inputs
        try:
            result = self._call(given, outputs)
        except sspi.WindowsError as error:
            if error.winerror != SecurityStatus.SEC_E_INCOMPLETE_MESSAGE - 2**32:
                raise
            self.untaken = token
            return b""
        self._first = False
        self.extra = []
        self.status, self.attributes = result.status, int(result.attributes)
        second = inputs[1]
        self.untaken = second.data if second.buffer_type is SecBufferType.SECBUFFER_EXTRA else b""
        return outputs[0].data

    def _call(
        self, inputs: SecBufferDesc | None, outputs: SecBufferDesc
    ) -> sspi.InitializeContextResult | sspi.AcceptContextResult:
        if self.target is None:
            return sspi.accept_security_context(self.credential, self.handle, inputs, self.flags, 16, outputs)
        return sspi.initialize_security_context(
            self.credential, self.handle, self.target, self.flags, 16, inputs, outputs
        )

    def encrypt(self, text: bytes) -> bytes:
        sizes = sspi.query_context_attributes(self.handle, sspi.SecPkgContextStreamSizes)
        wire = b""
        for at in range(0, max(1, len(text)), sizes.maximum_message):
            message = SecBufferDesc(
                [
                    SecBuffer(bytearray(sizes.header), SecBufferType.SECBUFFER_STREAM_HEADER),
                    SecBuffer(bytearray(text[at : at + sizes.maximum_message]), DATA),
                    SecBuffer(bytearray(sizes.trailer), SecBufferType.SECBUFFER_STREAM_TRAILER),
                    SecBuffer(None, EMPTY),
                ]
            )
            sspi.encrypt_message(self.handle, 0, message, 0)
            wire += b"".join(buffer.data for buffer in message)
        return wire

    def decrypt(self, wire: bytes) -> tuple[bytes, bytes, int]:
        """Return the text of the first record, what is left, and what DecryptMessage returned."""
        message = SecBufferDesc([SecBuffer(bytearray(wire), DATA), *(SecBuffer(None, EMPTY) for _ in range(3))])
        status = sspi.decrypt_message(self.handle, message, 0)
        text, left = message.first(DATA), message.first(SecBufferType.SECBUFFER_EXTRA)
        assert text is not None
        return text.data, b"" if left is None else left.data, status

    def read(self, wire: bytes) -> bytes:
        """Return the text of records that are whole."""
        texts = b""
        while wire:
            text, wire, _ = self.decrypt(wire)
            texts += text
        return texts

    def query(self, kind: type[Any]) -> Any:
        return sspi.query_context_attributes(self.handle, kind)


def outbound(package: str = "Schannel", identity: sspi.AuthIdentity | None = None, **more: Any) -> sspi.CredHandle:
    use = CredentialUse.SECPKG_CRED_OUTBOUND
    return sspi.acquire_credentials_handle(None, package, use, auth_data=identity, **more).credential


def inbound(package: str = "Schannel", identity: sspi.AuthIdentity | None = None, **more: Any) -> sspi.CredHandle:
    use = CredentialUse.SECPKG_CRED_INBOUND
    return sspi.acquire_credentials_handle(None, package, use, auth_data=identity, **more).credential


def untouched(octets: bytes) -> list[bytes]:
    return [octets]


def connect(
    client: Side,
    server: Side,
    to_server: Callable[[bytes], list[bytes]] = untouched,
    to_client: Callable[[bytes], list[bytes]] = untouched,
) -> tuple[bytes, bytes]:
    """Run both sides until they are done; return what each got behind the exchange (tickets, for one)."""
    token = client.step()
    for _ in range(200):
        pieces = b""
        for piece in to_server(token):
            pieces += server.step(piece) if not server.done else b""
        if client.done and server.done:
            return client.untaken + pieces, server.untaken
        token = b""
        for piece in to_client(pieces):
            token += client.step(piece) if not client.done else b""
        if client.done and server.done:
            return client.untaken, server.untaken
    raise AssertionError("the exchange starved")


def pair(
    client_credential: sspi.CredHandle,
    server_credential: sspi.CredHandle,
    client_flags: int = MANUAL,
    server_flags: int = AscReq.ASC_REQ_STREAM,
    target: str = TARGET,
) -> tuple[Side, Side]:
    return Side(client_credential, client_flags, target), Side(server_credential, server_flags)
