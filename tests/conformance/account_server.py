"""A server of IMAP with one account and PLAIN, and whatever a server does to those whose logons fail."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["Account", "serving"]

_CAPABILITIES = b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN"


@dataclass
class Account:
    """What the server knows, and what has happened to it.

    Attributes:
        delay: How long a refusal takes, told how many there have been, in seconds.
        silent: Whether a message gets no answer at all, told the message and how often it came.
        accepts: Whether a message logs on; by default one with the right name and password, as one's own identity.
        refused: Every message that was refused.
        seen: Every message.
    """

    delay: Callable[[int], float] = lambda count: 0.0
    silent: Callable[[bytes, int], bool] = lambda message, count: False
    accepts: Callable[[bytes, int], bool] = lambda message, count: _right(message)
    refusal: bytes = b"NO authentication failed"
    refused: list[bytes] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)

    @property
    def suffered(self) -> int:
        """How many refused messages named the account."""
        return sum(b"alice" in message.replace("\u00ad".encode(), b"") for message in self.refused)


def _right(message: bytes) -> bool:
    return message in (b"\0alice\0wonderland", b"alice\0alice\0wonderland")


class _Session(socketserver.StreamRequestHandler):
    account: Account

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._say(b"* OK hello")
            for line in self.rfile:
                tag, _, command = line.strip().partition(b" ")
                words = command.split(b" ")
                name = words[0].upper()
                if name == b"CAPABILITY":
                    self._say(_CAPABILITIES)
                if name in (b"CAPABILITY", b"NOOP"):
                    self._say(tag + b" OK done")
                elif name != b"AUTHENTICATE":
                    self._say(tag + b" BAD what?")
                elif words[1].upper() != b"PLAIN":
                    self._say(tag + b" NO no such mechanism")
                else:
                    self._authenticate(tag, words[2] if len(words) > 2 else None)

    def _authenticate(self, tag: bytes, coded: bytes | None) -> None:
        if coded is None:
            self._say(b"+ ")
            coded = self.rfile.readline().strip()
        try:
            message = base64.b64decode(b"" if coded == b"=" else coded, validate=True)
        except ValueError:
            self._say(tag + b" BAD no base64")
            return
        account = self.account
        account.seen.append(message)
        count = account.seen.count(message)
        if account.silent(message, count):
            self.rfile.read()
            return
        if account.accepts(message, count):
            self._say(tag + b" OK welcome")
            return
        account.refused.append(message)
        time.sleep(account.delay(len(account.refused)))
        self._say(tag + b" " + account.refusal)

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


@contextlib.contextmanager
def serving(account: Account) -> Iterator[str]:
    """Run one and return its URL."""
    session = type("_Own", (_Session,), {"account": account})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"imap://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
