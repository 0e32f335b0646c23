"""Every kind of context that protects messages, by package: what the tests of message functions run over.

A package that is installed and has no row here fails tests/sspi/test_buffer_lists.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from packages.digest.http.web import URI, Browser, Site, made_signature, verified
from saslsspi import Context, MemoryAuthority, NtlmPolicy, Password, Policy, sspi
from saslsspi.engine.protection import Records
from saslsspi.errors import QopNotSupported
from saslsspi.sspi import IscReq, SecBuffer, SecBufferDesc, SecBufferType

TARGET = "HTTP/localhost"
ALICE = Password("alice", "wonderland")
PEOPLE = MemoryAuthority({"alice": "wonderland"})
SIGN = Policy(min_ssf=1, max_ssf=1)
CRC = Policy(ntlm=NtlmPolicy(extended_session_security=False, require_timestamp=False))
DATA, TOKEN, PADDING = SecBufferType.SECBUFFER_DATA, SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_PADDING
STREAM, EMPTY = SecBufferType.SECBUFFER_STREAM, SecBufferType.SECBUFFER_EMPTY
HEADER, TRAILER = SecBufferType.SECBUFFER_STREAM_HEADER, SecBufferType.SECBUFFER_STREAM_TRAILER


@dataclass
class Joined:
    """Two joined contexts, as handles of the SSPI functions and as objects of Context; both stand on the same engine.

    Attributes:
        numbered: Whether each message needs a number from outside.
        requests: Whether requests are signed in place of messages.
    """

    client: sspi.CtxtHandle
    server: sspi.CtxtHandle
    ends: tuple[Context, Context] | None = None
    numbered: bool = False
    requests: bool = False
    numbers: dict[int, int] = field(default_factory=dict)

    def number(self, sender: sspi.CtxtHandle) -> int:
        """The number of a sender's next message."""
        return self.numbers.get(id(sender), 0) if self.numbered else 0

    def next(self, sender: sspi.CtxtHandle) -> None:
        self.numbers[id(sender)] = self.number(sender) + 1


def handle_of(context: Context) -> sspi.CtxtHandle:
    handle = sspi.CtxtHandle()
    handle._context = context._context
    return handle


def join(
    package: str, policy: Policy | None = None, *, flags: int = 0, accept_flags: int = 0, target: str = TARGET
) -> Joined:
    """Log on."""
    needs_password = package not in ("Schannel", "Kerberos")
    client = Context.initiate(
        package, target=target, credentials=ALICE if needs_password else None, policy=policy, flags=flags
    )
    server = Context.accept(
        package, authority=None if package == "Kerberos" else PEOPLE, policy=policy, flags=accept_flags
    )
    token = client.step()
    if token is None:
        token = client.step(server.step())
    while token is not None and not server.done:
        token = server.step(token)
        if token is not None:
            token = client.step(token)
    if package == "Schannel" and client.done:
        assert client.unwrap(b"") == b""  # the server's tickets, so that the next record is a message
    return Joined(handle_of(client), handle_of(server), (client, server), bool(flags & IscReq.ISC_REQ_DATAGRAM))


def join_http() -> Joined:
    browser, site = Browser(), Site()
    answer = site.accept(browser.answer(site.challenge()))
    return Joined(browser.handle, answer.context, requests=True)


Kinds = Mapping[str, Callable[[], Joined]]
KINDS: Mapping[str, Kinds] = {
    "NTLM": {
        "sealed": lambda: join("NTLM"),
        "signed": lambda: join("NTLM", SIGN),
        "sealed with CRC-32": lambda: join("NTLM", CRC),
        "datagrams": lambda: join(
            "NTLM", flags=int(IscReq.ISC_REQ_DATAGRAM), accept_flags=int(sspi.AscReq.ASC_REQ_DATAGRAM)
        ),
        "without a layer": lambda: join("NTLM", Policy(max_ssf=0)),
    },
    "Negotiate": {"sealed": lambda: join("Negotiate"), "signed": lambda: join("Negotiate", SIGN)},
    "WDigest": {
        "rc4": lambda: join("WDigest"),
        "3des": lambda: join("WDigest", Policy(ciphers=("3des",))),
        "signed": lambda: join("WDigest", SIGN),
        "requests": join_http,
    },
    "Schannel": {"records": lambda: join("Schannel", flags=int(IscReq.ISC_REQ_MANUAL_CRED_VALIDATION))},
    "CREDSSP": {"records": lambda: join("CREDSSP")},
    "Kerberos": {
        "sealed": lambda: join("Kerberos"),
        "signed": lambda: join("Kerberos", SIGN),
        "DCE": lambda: join(
            "Kerberos",
            flags=int(IscReq.ISC_REQ_USE_DCE_STYLE),
            accept_flags=int(sspi.AscReq.ASC_REQ_USE_DCE_STYLE),
        ),
        # Their ciphers pad; the fixture permits this type alone.
        "arcfour-hmac": lambda: join("Kerberos", target="smtp/arcfour-hmac"),
        "des3-cbc-sha1": lambda: join("Kerberos", target="smtp/des3-cbc-sha1"),
    },
}
EVERY_KIND = [
    pytest.param(package, kind, id=f"{package}: {kind}", marks=[pytest.mark.interop] if package == "Kerberos" else [])
    for package, kinds in KINDS.items()
    for kind in kinds
]


def is_stream(handle: sspi.CtxtHandle) -> bool:
    return isinstance(handle._opened().protection(), Records)


def right_buffers(handle: sspi.CtxtHandle, text: bytes) -> list[SecBuffer]:
    """The buffers that a package's own page asks EncryptMessage to be called with."""
    if is_stream(handle):
        sizes = sspi.query_context_attributes(handle, sspi.SecPkgContextStreamSizes)
        head, tail = (HEADER, sizes.header), (TRAILER, sizes.trailer)
    else:
        added = sspi.query_context_attributes(handle, sspi.SecPkgContextSizes)
        head, tail = (TOKEN, added.security_trailer), (PADDING, added.security_trailer + added.block_size)
    return [
        SecBuffer(bytearray(head[1]), head[0]),
        SecBuffer(bytearray(text), DATA),
        SecBuffer(bytearray(tail[1]), tail[0]),
    ]


def sealed(joined: Joined, sender: sspi.CtxtHandle, text: bytes) -> bytes:
    buffers = SecBufferDesc(right_buffers(sender, text))
    sspi.encrypt_message(sender, 0, buffers, joined.number(sender))
    return b"".join(buffer.data for buffer in buffers)


def opened(joined: Joined, sender: sspi.CtxtHandle, receiver: sspi.CtxtHandle, wire: bytes) -> bytes:
    if is_stream(receiver):
        buffers = SecBufferDesc([SecBuffer(bytearray(wire), DATA), *(SecBuffer(None, EMPTY) for _ in range(3))])
    else:
        buffers = SecBufferDesc([SecBuffer(bytearray(wire), STREAM), SecBuffer(None, DATA)])
    sspi.decrypt_message(receiver, buffers, joined.number(sender))
    joined.next(sender)
    text = buffers.first(DATA)
    assert text is not None
    return text.data


def signed(joined: Joined, sender: sspi.CtxtHandle, text: bytes) -> bytes:
    size = sspi.query_context_attributes(sender, sspi.SecPkgContextSizes).max_signature
    buffers = SecBufferDesc([SecBuffer(bytearray(text), DATA), SecBuffer(bytearray(size), TOKEN)])
    sspi.make_signature(sender, 0, buffers, joined.number(sender))
    return buffers[1].data


def check_signature(
    joined: Joined, sender: sspi.CtxtHandle, receiver: sspi.CtxtHandle, text: bytes, token: bytes
) -> None:
    buffers = SecBufferDesc([SecBuffer(text, DATA), SecBuffer(token, TOKEN)])
    sspi.verify_signature(receiver, buffers, joined.number(sender))
    joined.next(sender)


def check_they_go_on(joined: Joined, sender: sspi.CtxtHandle, receiver: sspi.CtxtHandle) -> None:
    """The next messages of a sender open at the receiver: neither has consumed anything alone."""
    if joined.requests:
        verified(joined.server, made_signature(joined.client, b"GET", URI.encode()), b"GET", URI.encode())
        verified(joined.client, made_signature(joined.server))
        return
    try:
        wire = sealed(joined, sender, b"the next message")
    except QopNotSupported:
        return
    assert opened(joined, sender, receiver, wire) == b"the next message"
    if not is_stream(sender):
        check_signature(joined, sender, receiver, b"and signed", signed(joined, sender, b"and signed"))
