"""NTLM and Negotiate: what they say of themselves, first calls, sizes, signatures; one user on both sides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saslsspi import MemoryAuthority, sspi
from saslsspi.sspi import CredentialUse, Environment, IscReq, SecBuffer, SecBufferDesc, SecBufferType, WinNTAuthIdentity
from windows.observed import Answer, flag_names, situation, status_of

_TOKEN, _DATA = SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_DATA
_PEOPLE = MemoryAuthority({"testuser": "testpass"})
_FLAGS_AT = 12  # NegotiateFlags of a NEGOTIATE_MESSAGE


def _client(package: str = "NTLM", username: str | None = "testuser") -> sspi.CredHandle:
    identity = WinNTAuthIdentity(username, "WORKGROUP", "testpass", package_list="NTLM")
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


@situation("NTLM and Negotiate: what they say of themselves")
def information(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    answers: dict[str, Answer] = {}
    for name in ("NTLM", "Negotiate", "Kerberos"):
        info = sspi.query_security_package_info(name)
        answers[f"{name}'s capabilities"] = flag_names(info.capabilities, "SECPKG_FLAG_")
        answers[f"{name}'s RPC number"] = info.rpcid
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
