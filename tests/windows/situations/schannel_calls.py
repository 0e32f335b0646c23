"""Schannel: the buffers and statuses of InitializeSecurityContext and AcceptSecurityContext."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saslsspi import sspi
from saslsspi.sspi import AscReq, CredentialUse, IscReq, IscRet, SecBuffer, SecBufferDesc, SecBufferType
from windows.observed import Answer, flag_names, situation, status_of
from windows.tls_world import (
    ALERT,
    MANUAL,
    STREAM,
    TLS12_CLIENT,
    TLS12_SERVER,
    TOKEN,
    Client,
    Peer,
    empty,
    outbound,
    room,
    rsa_server,
    tokens,
)

ALLOCATE = int(IscReq.ISC_REQ_ALLOCATE_MEMORY)
FREERDP = (
    STREAM | MANUAL | IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_EXTENDED_ERROR
    | IscReq.ISC_REQ_INTEGRITY
)  # fmt: skip


def begun(outputs: SecBufferDesc | None, flags: int = STREAM | MANUAL) -> str:
    inputs = SecBufferDesc([empty()])
    return status_of(lambda: Client().call(inputs, outputs, flags))


def with_alert(alert: SecBuffer, token: SecBuffer | None = None) -> SecBufferDesc:
    return SecBufferDesc([token or SecBuffer(bytearray(8192), TOKEN), alert])


@situation("Schannel: first calls of a client")
def first_calls(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    memory = bytearray(8)
    allocated = with_alert(SecBuffer(bytearray(), ALERT), SecBuffer(memory, TOKEN))
    small = with_alert(SecBuffer(bytearray(100), ALERT))
    found = SecBufferDesc([SecBuffer(None, TOKEN)])
    return {
        "no output": begun(None),
        "enough room": begun(room()),
        "TOKEN of no octets": begun(room(0)),
        "TOKEN of no octets, ALLOCATE_MEMORY": begun(room(0), STREAM | MANUAL | ALLOCATE),
        "ALERT of no octets": begun(with_alert(SecBuffer(bytearray(), ALERT))),
        "ALERT of no octets, ALLOCATE_MEMORY": begun(allocated, STREAM | MANUAL | ALLOCATE),
        "TOKEN's memory was replaced": allocated[0].count > 8 and memory == bytes(8),
        "ALERT with room": begun(small),
        "ALERT's count afterwards": small[1].count,
        "TOKEN without memory": begun(found),
        "memory was found": found[0].count > 0,
        "a TOKEN of no octets and an EMPTY as input": status_of(lambda: Client().call(tokens(b"", empty()), room())),
    }


@situation("Schannel: later calls of a client")
def later_calls(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    seen: dict[str, Answer] = {}
    for what, octet in (("rubbish", 0xFA), ("zeros", 0)):
        client, output = Client(), room(1)
        client.first()
        seen[what] = status_of(lambda: client.call(tokens(bytes([octet]) * 8192), output))  # noqa: B023  # called at once
        seen[f"{what}: the output's count"] = output[0].count
        if what == "zeros":
            again = room(0)
            seen["zeros once more"] = status_of(lambda: client.call(tokens(bytes(8192)), again))  # noqa: B023
            seen["zeros once more: the output's count"] = again[0].count
        else:
            seen["zeros behind rubbish"] = status_of(lambda: client.call(tokens(bytes(8192)), room(1)))  # noqa: B023
    client, peer = Client(), Peer()
    flight = peer.answer(client.first())
    for what, have in (("no input", None), ("no octets", 0), ("4 octets", 4), ("5 octets", 5)):
        second = empty()
        inputs = None if have is None else tokens(flight[:have], second)
        output = room()
        seen[what] = status_of(lambda: client.call(inputs, output))  # noqa: B023  # called at once
        seen[f"{what}: the output's count"] = output[0].count
        seen[f"{what}: the output's type"] = output[0].buffer_type.name
        if have is not None:
            seen[f"{what}: the second buffer"] = second.buffer_type.name
            seen[f"{what}: MISSING"] = second.count if have != 5 else second.count > 5
    seen["a second buffer that is not empty"] = status_of(lambda: client.call(tokens(flight, empty(5)), room()))
    output = room()
    seen["one TOKEN"] = status_of(lambda: client.call(tokens(flight), output))
    return seen


@situation("Schannel: an established client")
def established(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    client, peer = Client(outbound(sspi.SchCredentials(protocols=TLS12_CLIENT))), Peer()  # type: ignore[arg-type]
    result, output = client.connect(peer)
    remote = client_query(client, sspi.SecPkgContextRemoteCert).certificate
    endpoint = client_query(client, sspi.SecPkgContextEndpointBindings).bindings
    unique = client_query(client, sspi.SecPkgContextUniqueBindings).bindings
    key = client_query(client, sspi.SecPkgContextKeyInfo)
    from hashlib import sha256

    prefix = b"tls-server-end-point:"
    seen: dict[str, Answer] = {
        "status": result.status.name,
        "the output's count": output[0].count,
        "attributes": flag_names(IscRet(result.attributes & ~MANUAL), "ISC_RET_"),
        "credential's names": status_of(
            lambda: sspi.query_credentials_attributes(client.credential, sspi.SecPkgCredNames)
        ),
        "remote certificate": len(remote) > 0,
        "endpoint bindings": endpoint.application_data == prefix + sha256(remote).digest(),
        "endpoint bindings: size": len(endpoint.to_bytes()) == 32 + len(prefix) + 32,
        "endpoint bindings: address types": endpoint.initiator_addr_type + endpoint.acceptor_addr_type,
        "endpoint bindings: addresses": len(endpoint.initiator_addr + endpoint.acceptor_addr),
        "unique bindings": unique.application_data.startswith(b"tls-unique:") and len(unique.application_data) > 11,
        "unique bindings: address types": unique.initiator_addr_type + unique.acceptor_addr_type,
        "unique bindings: addresses": len(unique.initiator_addr + unique.acceptor_addr),
        "cipher strength at least 128": client_query(client, sspi.SecPkgContextConnectionInfo).cipher_strength >= 128,
        "key info: signature": key.signature_algorithm_name,
        "key info: at least 128": key.key_size >= 128,
        "stream sizes": status_of(lambda: client_query(client, sspi.SecPkgContextStreamSizes)),
        "negotiation info": status_of(lambda: client_query(client, sspi.SecPkgContextNegotiationInfo)),
    }
    sspi.delete_security_context(client.handle)
    seen["deleted"] = status_of(lambda: client_query(client, sspi.SecPkgContextRemoteCert))
    asking, peer = Client(), Peer()
    result, _ = asking.connect(peer, first=FREERDP, later=FREERDP)
    seen["INTEGRITY as asked"] = bool(result.attributes & IscRet.ISC_RET_INTEGRITY)
    return seen


def client_query(client: Client, kind: type[sspi.SecPkgContext]) -> object:
    return sspi.query_context_attributes(client.handle, kind)


def protocols(*names: bytes) -> SecBuffer:
    listed = b"".join(bytes([len(name)]) + name for name in names)
    size = (len(listed) + 6).to_bytes(4, "little")
    octets = size + (2).to_bytes(4, "little") + len(listed).to_bytes(2, "little") + listed
    return SecBuffer(octets, SecBufferType.SECBUFFER_APPLICATION_PROTOCOLS)


@situation("Schannel: both sides with application protocols")
def application_protocols(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    offered = (b"http/1.1", b"h2")
    client = Client()
    server_identity = sspi.SchCredentials(certificate=str(rsa_server()), protocols=TLS12_SERVER)  # type: ignore[arg-type]
    use = CredentialUse.SECPKG_CRED_INBOUND
    credential = sspi.acquire_credentials_handle(None, "Schannel", use, auth_data=server_identity).credential
    handle, flags = sspi.CtxtHandle(), AscReq.ASC_REQ_CONFIDENTIALITY | AscReq.ASC_REQ_STREAM
    seen: dict[str, Answer] = {}
    token = b""
    for number in (1, 2):
        ours = room()
        inputs = SecBufferDesc([protocols(*offered)]) if number == 1 else tokens(token, empty(), empty(), empty())
        seen[f"client, call {number}"] = status_of(lambda: client.call(inputs, ours))  # noqa: B023  # called at once
        theirs = room()
        given = tokens(ours[0].data, protocols(*offered)) if number == 1 else tokens(ours[0].data)
        seen[f"server, call {number}"] = status_of(
            lambda: sspi.accept_security_context(credential, handle, given, flags, 0, theirs)  # noqa: B023
        )
        token = theirs[0].data
    seen["client, call 3"] = status_of(lambda: client.call(tokens(token), room(), IscReq.ISC_REQ_USE_SUPPLIED_CREDS))
    chosen = sspi.query_context_attributes(client.handle, sspi.SecPkgContextApplicationProtocol).protocol
    return {**seen, "protocol": chosen, "protocol's size": len(chosen)}
