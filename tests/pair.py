"""Both ends of an exchange joined in memory, and a tap on the wire between them.

A tap sees each message on its way and says what arrives in its place: nothing, the same, another, or several. It
serves SASL's Client and Server (`authenticate`), the SSPI functions (`establish`) and layers (`carry`) alike. An
error comes out as the side that detects it raises it; an exchange that starves simply ends, with nobody done.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from saslsspi import Client, Layer, Server, sspi
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType

__all__ = [
    "Change",
    "Contexts",
    "Message",
    "Tap",
    "To",
    "authenticate",
    "carry",
    "cut",
    "drop",
    "establish",
    "flip",
    "repeat",
    "replace",
    "tampered",
    "untouched",
]


class To(enum.Enum):
    """Where a message goes."""

    SERVER = enum.auto()
    CLIENT = enum.auto()


class Message(NamedTuple):
    """A message on its way.

    Attributes:
        number: How many went the same way before it.
    """

    to: To
    number: int
    octets: bytes


Tap = Callable[[Message], Sequence[bytes]]
"""Takes a message and returns what arrives instead."""

Change = Callable[[bytes], Sequence[bytes]]
"""What a tap does to the octets of one message."""


def untouched(message: Message) -> Sequence[bytes]:
    return (message.octets,)


def tampered(to: To, number: int, change: Change) -> Tap:
    """Change one message and let the others pass."""
    return lambda message: change(message.octets) if message[:2] == (to, number) else (message.octets,)


def drop(octets: bytes) -> Sequence[bytes]:
    return ()


def repeat(octets: bytes) -> Sequence[bytes]:
    return (octets, octets)


def cut(size: int) -> Change:
    """Let the first size octets through; a negative size takes octets from the end."""
    return lambda octets: (octets[:size],)


def flip(position: int, mask: int = 1) -> Change:
    """Flip bits of the octet at position, which may count from the end."""

    def change(octets: bytes) -> Sequence[bytes]:
        changed = bytearray(octets)
        changed[position] ^= mask
        return (bytes(changed),)

    return change


def replace(*replacement: bytes | tuple[bytes, bytes]) -> Change:
    """Put other octets in place: the whole message, or (old, new) that must occur in it."""

    def change(octets: bytes) -> Sequence[bytes]:
        for item in replacement:
            if isinstance(item, bytes):
                octets = item
            else:
                assert item[0] in octets, f"{item[0]!r} does not occur in {octets!r}"
                octets = octets.replace(*item)
        return (octets,)

    return change


class _Line:
    """The wire: what went over it, and what has yet to arrive."""

    def __init__(self, tap: Tap) -> None:
        self.sent: list[Message] = []
        self.arriving: deque[tuple[To, bytes, bool]] = deque()
        self._tap = tap

    def send(self, to: To, octets: bytes, success: bool = False) -> None:
        message = Message(to, sum(earlier.to is to for earlier in self.sent), octets)
        self.sent.append(message)
        self.arriving.extend((to, arrived, success) for arrived in self._tap(message))


def authenticate(
    client: Client, server: Server, tap: Tap = untouched, *, initial_response: bool = True
) -> list[Message]:
    """Run a SASL exchange until the server reports success or nobody has a message left; return what was sent.

    Args:
        initial_response: Whether the protocol around the exchange has room for one.

    Raises:
        SaslError: of the side that fails.
    """
    line = _Line(tap)
    first = client.start() if initial_response else None
    if first is not None:
        line.send(To.SERVER, first)
    elif (challenge := server.step(None)) is not None:
        line.send(To.CLIENT, challenge)
    else:
        line.send(To.CLIENT, b"")
    while line.arriving:
        to, octets, success = line.arriving.popleft()
        if to is To.SERVER:
            reply = server.step(octets)
            if not server.done:
                line.send(To.CLIENT, reply or b"")
            elif reply is None:
                client.succeed()
            else:
                line.send(To.CLIENT, reply, success=True)
        elif success:
            client.succeed(octets)
        else:
            line.send(To.SERVER, client.step(octets) or b"")
    return line.sent


@dataclass
class Contexts:
    """Two joined security contexts, and what each call returned last."""

    client: sspi.CtxtHandle
    server: sspi.CtxtHandle
    client_attributes: sspi.IscRet
    server_attributes: sspi.AscRet
    sent: list[Message]


def establish(
    outbound: sspi.CredHandle,
    inbound: sspi.CredHandle,
    target: str,
    client_flags: sspi.IscReq | int = 0,
    server_flags: sspi.AscReq | int = 0,
    tap: Tap = untouched,
) -> Contexts:
    """Run an exchange between the SSPI functions until both sides return SEC_E_OK.

    Raises:
        SaslError: of the side that fails.
        AssertionError: the exchange starved.
    """
    line = _Line(tap)
    handles: dict[To, sspi.CtxtHandle | None] = {To.CLIENT: None, To.SERVER: None}
    attributes = {To.CLIENT: 0, To.SERVER: 0}
    finished: set[To] = set()
    line.arriving.append((To.CLIENT, b"", False))
    while line.arriving:
        to, octets, _ = line.arriving.popleft()
        given = SecBufferDesc([SecBuffer(octets, SecBufferType.SECBUFFER_TOKEN)])
        taken = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
        drep = sspi.TargetDataRep.SECURITY_NATIVE_DREP
        result: sspi.InitializeContextResult | sspi.AcceptContextResult
        if to is To.CLIENT:
            result = sspi.initialize_security_context(
                outbound, handles[to], target, client_flags, drep, given, SecBufferDesc([taken])
            )
        else:
            result = sspi.accept_security_context(
                inbound, handles[to], given, server_flags, drep, SecBufferDesc([taken])
            )
        handles[to], attributes[to] = result.context, int(result.attributes)
        if result.status is sspi.SecurityStatus.SEC_E_OK:
            finished.add(to)
        if taken.count or to not in finished:
            line.send(To.SERVER if to is To.CLIENT else To.CLIENT, taken.data)
    assert finished == {To.CLIENT, To.SERVER}, f"only {finished or 'nobody'} came to an end"
    client, server = handles[To.CLIENT], handles[To.SERVER]
    assert client is not None
    assert server is not None
    return Contexts(client, server, sspi.IscRet(attributes[To.CLIENT]), sspi.AscRet(attributes[To.SERVER]), line.sent)


def carry(sender: Layer, receiver: Layer, texts: Iterable[bytes], tap: Tap = untouched) -> list[bytes]:
    """Send messages through a layer, one way; return the plain texts that arrive."""
    line = _Line(tap)
    for text in texts:
        line.send(To.SERVER, sender.wrap(text))
    return [text for _, octets, _ in line.arriving for text in receiver.feed(octets)]
