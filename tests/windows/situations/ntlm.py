"""NTLM and Negotiate: what they say of themselves, first calls, sizes, signatures; one user on both sides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saslsspi import MemoryAuthority, sspi
from saslsspi.sspi import (
    CredentialUse,
    Environment,
    IscReq,
    SecBuffer,
    SecBufferDesc,
    SecBufferFlags,
    SecBufferType,
    WinNTAuthIdentity,
)
from windows.observed import Answer, flag_names, situation, status_of

_TOKEN, _DATA = SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_DATA
_PEOPLE = MemoryAuthority({"testuser": "testpass"})
_FLAGS_AT = 12  # NegotiateFlags of a NEGOTIATE_MESSAGE
_NATIVE, _NETWORK = 16, 0
_HELLO = b"Hello, world!"
_CASINO = "CASINO01".encode("utf-16-le")
# What a server of 2006 sent: no extended session security, no time, no layer.
_CHALLENGE = (
    b"NTLMSSP\0\x02\0\0\0\x10\0\x10\0\x30\0\0\0\x05\x82\x82\xa0\xe9\x58\x7f\x14\xa2\x86\x3b\x63"
    + bytes(8) + b"\x54\0\x54\0\x40\0\0\0" + _CASINO
    + b"".join(bytes((kind, 0, 16, 0)) + (_CASINO if kind < 3 else _CASINO.lower()) for kind in (2, 1, 4, 3))
    + bytes(4)
)  # fmt: skip


def _client(
    package: str = "NTLM",
    username: str | None = "testuser",
    domain: str | None = "WORKGROUP",
    password: str | None = "testpass",
) -> sspi.CredHandle:
    identity = WinNTAuthIdentity(username, domain, password, package_list="NTLM")
    return sspi.acquire_credentials_handle(
        None, package, CredentialUse.SECPKG_CRED_OUTBOUND, auth_data=identity
    ).credential


def _begun(flags: int, outputs: SecBufferDesc | None, inputs: SecBufferDesc | None = None) -> object:
    return sspi.initialize_security_context(_client(), None, None, flags, 0, inputs, outputs)


def _room(kind: SecBufferType = _TOKEN, size: int = 2888) -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(bytearray(size), kind)])


def _asked(flags: IscReq | int) -> int:
    room = _room()
    _begun(int(flags), room)
    return room[0].data[_FLAGS_AT] & 0x30


def _logged_on(package: str, flags: int = 0) -> tuple[sspi.CtxtHandle, list[str]]:
    """Run both sides to the end; return the client, and the statuses of both."""
    credential = _client(package)
    server = sspi.acquire_credentials_handle(
        None, package, CredentialUse.SECPKG_CRED_INBOUND, environment=Environment(authority=_PEOPLE)
    ).credential
    ours, theirs, statuses = sspi.CtxtHandle(), sspi.CtxtHandle(), list[str]()
    token, done = b"", False
    while not done:
        there = _room(size=48256)
        given = SecBufferDesc([SecBuffer(token, _TOKEN)]) if token else None
        first = sspi.initialize_security_context(credential, ours, None, flags, 0, given, there)
        statuses.append(first.status.name)
        if not there[0].count:
            break
        back = _room(size=48256)
        second = sspi.accept_security_context(
            server, theirs, SecBufferDesc([SecBuffer(there[0].data, _TOKEN)]), 0, 0, back
        )
        statuses.append(second.status.name)
        token = back[0].data
        done = first.status == second.status == 0
    return ours, statuses


@situation("NTLM: first calls of a client")
def first_calls(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    room, none = _room(), _room(size=0)
    return {
        "no output": status_of(lambda: _begun(0, None)),
        "TOKEN without memory": status_of(lambda: _begun(0, SecBufferDesc([SecBuffer(None, _TOKEN)]))),
        "TOKEN of no octets": status_of(lambda: _begun(0, none)),
        "TOKEN of no octets: its count": none[0].count,
        "DATA in its place": status_of(lambda: _begun(0, _room(_DATA))),
        "enough room": status_of(lambda: _begun(0, room)),
        "enough room: the buffer's type": room[0].buffer_type.name,
        "enough room: less is in use": room[0].count < 2888,
        "an identity without a user": status_of(lambda: _client(username=None)),
    }


@situation("NTLM: flags of the first message")
def flags_of_the_first_message(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    names = (
        "CONNECTION", "EXTENDED_ERROR", "MUTUAL_AUTH", "USE_DCE_STYLE", "DELEGATE",
        "INTEGRITY", "REPLAY_DETECT", "SEQUENCE_DETECT", "CONFIDENTIALITY",
    )  # fmt: skip
    asked = {name: _asked(IscReq[f"ISC_REQ_{name}"]) for name in names}
    wanted = {"INTEGRITY": 0x10, "REPLAY_DETECT": 0x10, "SEQUENCE_DETECT": 0x10, "CONFIDENTIALITY": 0x20}
    signs = {name: bool(asked[name] & wanted[name]) for name in wanted}
    return {"none": _asked(0), **{name: signs.get(name, number) for name, number in asked.items()}}


@situation("NTLM: an established client")
def established(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    client, statuses = _logged_on("NTLM", int(IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_INTEGRITY))
    sizes = sspi.query_context_attributes(client, sspi.SecPkgContextSizes)
    two_data = SecBufferDesc([SecBuffer(bytearray(16), _DATA), SecBuffer(bytearray(b"Hello"), _DATA)])
    token = SecBuffer(bytearray(16), _TOKEN)
    return {
        "statuses": " ".join(statuses),
        "max_token": sizes.max_token,
        "max_signature": sizes.max_signature,
        "security_trailer": sizes.security_trailer,
        "block_size": sizes.block_size,
        "signed without TOKEN": status_of(lambda: sspi.make_signature(client, 0, two_data, 0)),
        "signed": status_of(
            lambda: sspi.make_signature(client, 0, SecBufferDesc([token, SecBuffer(bytearray(b"Hello"), _DATA)]), 0)
        ),
        "the signature's version": int.from_bytes(token.data[:4], "little"),
    }


@situation("NTLM: whom a credential may be for")
def credentials(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    credential = _client()
    answers: dict[str, Answer] = {
        "user, domain and password": status_of(lambda: _client()),
        "a domain of no characters": status_of(lambda: _client(domain="")),
        "no domain": status_of(lambda: _client(domain=None)),
        "no user": status_of(lambda: _client(username=None)),
        "no password": status_of(lambda: _client(password=None)),
        "nobody named": status_of(
            lambda: sspi.acquire_credentials_handle(None, "NTLM", CredentialUse.SECPKG_CRED_OUTBOUND)
        ),
    }
    contexts = []
    for look in ("a first context of it", "a second context of it"):
        begun = sspi.initialize_security_context(
            credential, None, None, int(IscReq.ISC_REQ_CONNECTION), _NETWORK, None, _room()
        )
        answers[look] = begun.status.name
        contexts.append(begun.context)
    answers["the first deleted"] = status_of(lambda: sspi.delete_security_context(contexts[0]))
    answers["the second deleted"] = status_of(lambda: sspi.delete_security_context(contexts[1]))
    answers["given back"] = status_of(lambda: sspi.free_credentials_handle(credential))
    return answers


def _without_a_layer(drep: int) -> tuple[sspi.CredHandle, sspi.CtxtHandle, list[str], list[SecBuffer]]:
    """Let a client answer the challenge that was recorded, asking for nothing."""
    credential, context = _client(), sspi.CtxtHandle()
    statuses, outputs = [], []
    for inputs in (None, SecBufferDesc([SecBuffer(_CHALLENGE, _TOKEN)])):
        room = _room()
        step = sspi.initialize_security_context(
            credential if inputs is None else None, context, None, 0, drep, inputs, room
        )
        statuses.append(step.status.name)
        outputs.append(room[0])
    return credential, context, statuses, outputs


@situation("NTLM: a recorded challenge is answered")
def recorded(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    answers: dict[str, Answer] = {}
    for name, drep in (("native", _NATIVE), ("network", _NETWORK)):
        credential, context, statuses, outputs = _without_a_layer(drep)
        sizes = sspi.query_context_attributes(context, sspi.SecPkgContextSizes)
        answers[f"{name}: first call"], answers[f"{name}: second call"] = statuses
        answers[f"{name}: the buffers' types"] = " ".join(buffer.buffer_type.name for buffer in outputs)
        answers[f"{name}: less than the largest token"] = all(buffer.count < 2888 for buffer in outputs)
        answers[f"{name}: max_token"] = sizes.max_token
        answers[f"{name}: max_signature"] = sizes.max_signature
        answers[f"{name}: security_trailer"] = sizes.security_trailer
        answers[f"{name}: block_size"] = sizes.block_size
        answers[f"{name}: context deleted"] = status_of(lambda held=context: sspi.delete_security_context(held))  # type: ignore[misc]
        answers[f"{name}: credential given back"] = status_of(
            lambda held=credential: sspi.free_credentials_handle(held)  # type: ignore[misc]
        )
    return answers


@situation("NTLM: messages of a context that asked for nothing")
def messages_without_a_layer(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    context = _without_a_layer(_NETWORK)[1]
    token = SecBuffer(bytearray(16), _TOKEN)
    message = SecBufferDesc([token, SecBuffer(bytearray(_HELLO), _DATA)])
    two_data = SecBufferDesc([SecBuffer(bytearray(16), _DATA), SecBuffer(bytearray(13), _DATA)])
    answers: dict[str, Answer] = {
        "signed without TOKEN": status_of(lambda: sspi.make_signature(context, 0, two_data, 0)),
        "signed": status_of(lambda: sspi.make_signature(context, 0, message, 0)),
        "the signature": token.data.hex(),
    }
    foreign = SecBuffer(bytes.fromhex("0100000000000000e8c7aa261639074e"), _TOKEN)
    other = SecBufferDesc([foreign, SecBuffer(bytearray(_HELLO), _DATA)])
    answers["a signature that says something"] = status_of(lambda: sspi.verify_signature(context, other, 0))
    answers["its own verified"] = status_of(lambda: sspi.verify_signature(context, message, 0))
    answers["sealed"] = status_of(lambda: sspi.encrypt_message(context, 0, message, 0))
    header = int(SecBufferFlags.SECBUFFER_READONLY_WITH_CHECKSUM)
    last = SecBuffer(bytearray(16), _TOKEN)
    several = SecBufferDesc(
        [
            SecBuffer(b"Header Test\0", _DATA, header),
            SecBuffer(bytearray(_HELLO), _DATA),
            SecBuffer(b"Header Test\0", _DATA, header),
            last,
        ]
    )
    answers["four buffers signed"] = status_of(lambda: sspi.make_signature(context, 0, several, 0))
    answers["four buffers: the signature"] = last.data.hex()
    answers["four buffers verified"] = status_of(lambda: sspi.verify_signature(context, several, 0))
    return answers


@situation("NTLM and Negotiate: what they say of themselves")
def information(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    answers: dict[str, Answer] = {}
    for name in ("NTLM", "Negotiate", "Kerberos"):
        info = sspi.query_security_package_info(name)
        answers[f"{name}'s capabilities"] = flag_names(info.capabilities, "SECPKG_FLAG_")
        answers[f"{name}'s RPC number"] = info.rpcid
        answers[f"{name}'s version"] = info.version
        answers[f"{name}'s name"] = info.name
    kerberos = sspi.query_security_package_info("Kerberos")
    answers["Kerberos's largest token is 12000 at least"] = kerberos.max_token >= 12000
    answers["Kerberos's comment"] = kerberos.comment
    answers["Kerberos for nobody named"] = status_of(
        lambda: sspi.acquire_credentials_handle(None, "Kerberos", CredentialUse.SECPKG_CRED_OUTBOUND)
    )
    return answers


@situation("Negotiate: an established client with NTLM")
def negotiated(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    client, _ = _logged_on("Negotiate")
    sizes = sspi.query_context_attributes(client, sspi.SecPkgContextSizes)
    info = sspi.query_context_attributes(client, sspi.SecPkgContextNegotiationInfo)
    return {
        "max_token": sizes.max_token,
        "max_signature": sizes.max_signature,
        "security_trailer": sizes.security_trailer,
        "block_size": sizes.block_size,
        "state": int(info.state),
        "package": info.package_info.name,
        "package's version": info.package_info.version,
        "package's RPC number": info.package_info.rpcid,
        "deleted": status_of(lambda: sspi.delete_security_context(client)),
    }
