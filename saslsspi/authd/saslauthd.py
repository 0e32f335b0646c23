"""The protocol of Cyrus SASL's saslauthd: a name and a password come, OK or NO goes; one question a connection.

Four strings, each behind its length in two octets: user, password, service, realm. The answer is one such string.
Programs whose `pwcheck_method` is saslauthd check plain passwords so.
"""

from __future__ import annotations

import asyncio
from typing import Final

from saslsspi.authd.crowd import Guest
from saslsspi.authd.exchanges import Door
from saslsspi.errors import InvalidToken, SaslError

__all__ = ["serve_saslauthd"]

_LONGEST: Final = 1024  # octets of each string, as saslauthd's own MAX_REQ_LEN


async def serve_saslauthd(door: Door, guest: Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one question; before it has come as a whole nothing is lost with its guest.

    Raises:
        InvalidToken: it is none.
    """
    try:
        async with asyncio.timeout(door.limits.exchange_seconds):
            guest.idle = lambda: True
            user, password, service, _ = [await _string(reader) for _ in range(4)]
            guest.idle = lambda: False
    except (asyncio.IncompleteReadError, TimeoutError):
        return
    try:
        server = door.server("PLAIN", service=service.decode("ascii", "replace").lower() or "smtp", secured=True)
        await door.step(server, b"\0" + user + b"\0" + password, "")
    except SaslError as error:
        await door.hold_back(error)
        writer.write(_answer("NO authentication failed"))
    else:
        writer.write(_answer("OK"))
    await writer.drain()


async def _string(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(2))
    if size > _LONGEST:
        raise InvalidToken(f"a string of {size} octets, at most {_LONGEST} are taken")
    octets = await reader.readexactly(size)
    if b"\0" in octets:
        raise InvalidToken("a string holds NUL")
    return octets


def _answer(text: str) -> bytes:
    return len(text).to_bytes(2) + text.encode()
