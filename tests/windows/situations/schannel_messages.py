"""Schannel: EncryptMessage and DecryptMessage, and a peer that asks to renegotiate."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from interop.openssl import listening_server
from saslsspi import sspi
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
from windows.observed import Answer, situation, status_of
from windows.tls_world import DATA, EMPTY, EXTRA, Client, Peer, empty, room, rsa_server, tokens

HEADER, TRAILER = SecBufferType.SECBUFFER_STREAM_HEADER, SecBufferType.SECBUFFER_STREAM_TRAILER
REQUEST = b"GET /tests/clientcert/ HTTP/1.1\r\n\r\n"


def sealed(client: Client, text: bytes) -> SecBufferDesc:
    sizes = sspi.query_context_attributes(client.handle, sspi.SecPkgContextStreamSizes)
    message = SecBufferDesc(
        [
            SecBuffer(bytearray(sizes.header), HEADER),
            SecBuffer(bytearray(text), DATA),
            SecBuffer(bytearray(sizes.trailer), TRAILER),
            empty(),
        ]
    )
    sspi.encrypt_message(client.handle, 0, message, 0)
    return message


def arrived(wire: bytes, *kinds: SecBufferType) -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(bytearray(wire), kinds[0]), *(SecBuffer(None, kind) for kind in kinds[1:])])


@situation("Schannel: messages")
def messages(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    client, peer = Client(), Peer()
    client.connect(peer)

    def opened(message: SecBufferDesc) -> str:
        return status_of(lambda: sspi.decrypt_message(client.handle, message, 0))

    wire = b"".join(buffer.data for buffer in sealed(client, REQUEST))
    seen: dict[str, Answer] = {"sealed as a server reads it": peer.read(wire) == REQUEST}
    wire = peer.write(b"an answer")
    seen["three buffers"] = opened(arrived(wire, DATA, EMPTY, EMPTY))
    seen["no DATA"] = opened(arrived(wire, EMPTY, EMPTY, EMPTY, EMPTY))
    seen["two DATA"] = opened(arrived(wire, DATA, DATA, EMPTY, EMPTY))
    seen["too few EMPTY"] = opened(arrived(wire, DATA, EXTRA, EMPTY, EMPTY))
    part = arrived(wire[: len(wire) - 5], DATA, EMPTY, EMPTY, EMPTY)
    seen["half a record"] = opened(part)
    seen["half a record: first buffer"] = part[0].buffer_type.name
    seen["half a record: MISSING"] = part[0].count
    whole = arrived(wire, DATA, EMPTY, EMPTY, EMPTY)
    seen["whole"] = opened(whole)
    seen["whole: types"] = " ".join(buffer.buffer_type.name.removeprefix("SECBUFFER_") for buffer in whole)
    seen["whole: text"] = whole[1].data == b"an answer"
    wire = peer.write(bytes(211))
    part = arrived(wire[:130], DATA, EMPTY, EMPTY, EMPTY)
    seen["130 octets of 240"] = opened(part)
    seen["130 octets of 240: MISSING"] = part[0].count if len(wire) == 240 else -1
    seen["240 octets"] = opened(arrived(wire, DATA, EMPTY, EMPTY, EMPTY))
    return seen


@situation("Schannel: the peer asks to renegotiate")
def renegotiation(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    client = Client()
    with listening_server(rsa_server(), "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384") as peer:
        peer.send(client.first())
        pending = b""
        while True:
            output = room()
            pending += peer.record()
            result = client.call(tokens(pending, empty()), output)
            pending = b""
            if output[0].count:
                peer.send(output[0].data)
            if result.status is SecurityStatus.SEC_E_OK:
                break
        peer.press(b"r")
        message = arrived(peer.record(), DATA, EMPTY, EMPTY, EMPTY)
        status = status_of(lambda: sspi.decrypt_message(client.handle, message, 0))
        return {
            "status": status,
            "first buffer": message[0].buffer_type.name,
            "first buffer's count": message[0].count,
            "second buffer": message[1].buffer_type.name,
            "second buffer's count": message[1].count,
            "third buffer": message[2].buffer_type.name,
            "third buffer's count": message[2].count,
            "the next call": status_of(lambda: client.call(None, room())),
        }
