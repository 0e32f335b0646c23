"""Scripted servers and both kinds of clients of every protocol of lines, as LINE_PROTOCOLS has them."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import importlib
import poplib
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adapters.mail_world import ALICE, TIMEOUT, Peer
from saslsspi.adapters.mail.asyncio_stream import LineClient
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.errors import SaslError

DOCUMENTED = (SaslError, OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto)
"""What a logon may end in: ours, the network's, the extended library's own."""


class HonestServer:
    """A server that greets and lists, and hands over where the exchange begins."""

    def __init__(self, protocol: LineProtocol, peer: Peer, mechanisms: str = "DIGEST-MD5") -> None:
        self.protocol, self.peer, self.mechanisms = protocol, peer, mechanisms.split()
        self.tag = b""

    def listing(self) -> bytes:
        return self.protocol.write_capabilities(self.mechanisms, True, self.tag)

    def greet(self) -> None:
        self.peer.say(self.protocol.greeting or self.listing())

    def hear(self) -> bytes:
        """Return the next command, without its tag; b"" when the client has gone."""
        line = self.peer.hear()
        if self.protocol.tagged:
            self.tag, _, line = line.partition(b" ")
        return line

    def until_authentication(self) -> bytes:
        """Answer commands until one begins an exchange; return it, b"" when the client has gone."""
        while line := self.hear():
            name = line.partition(b" ")[0].upper()
            if name == self.protocol.authenticate:
                return line
            lists = name == self.protocol.capability.partition(b" ")[0]
            self.peer.say(self.listing() if lists else self.protocol.okay)
        return b""


def blocking(protocol: LineProtocol, port: int, mechanism: str | None, **options: Any) -> None:
    """Log on with the blocking client."""
    make = getattr(importlib.import_module(f"saslsspi.adapters.{protocol.name}"), protocol.client)
    client = make("127.0.0.1", port, timeout=TIMEOUT)
    try:
        client.authenticate_sasl(mechanism, credentials=ALICE, **options)
    finally:
        if client.sock is not None:
            with contextlib.suppress(OSError):
                client.sock.close()


def on_a_loop(protocol: LineProtocol, port: int, mechanism: str | None, **options: Any) -> None:
    """Log on with the client for asyncio."""

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT):
            async with await LineClient.connect(protocol, "127.0.0.1", port) as client:
                await client.authenticate_sasl(mechanism, credentials=ALICE, **options)

    asyncio.run(run())


@dataclass(frozen=True)
class Side:
    """A client of a protocol."""

    protocol: LineProtocol
    log_on: Callable[..., None]

    def __str__(self) -> str:
        return f"{self.protocol.name}-{self.log_on.__name__}"

    def __call__(self, port: int, mechanism: str | None = "DIGEST-MD5", **options: Any) -> None:
        self.log_on(self.protocol, port, mechanism, **options)


SIDES = [Side(protocol, log_on) for protocol in LINE_PROTOCOLS.values() for log_on in (blocking, on_a_loop)]
