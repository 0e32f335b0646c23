"""The line server behind a proxy that speaks the PROXY protocol (versions 1 and 2, as HAProxy describes it).

    python examples/behind_proxy.py sqlite:///accounts.db 7000

Every connection begins with a header in which the proxy says where its client is: the audit log and the limits mean
that address, and not the proxy's. Whoever reaches this port can say what it likes there, so only the proxy may: it
listens on loopback, and takes nothing without a header.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import sys

from line_server import NoteServer
from sqlalchemy import create_engine

from saslsspi.accounts import SqlAuthority

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of version 2
LONGEST_TEXT = 107  # octets of a header of version 1
SECONDS = 5.0


async def read_header(reader: asyncio.StreamReader) -> str:
    """Return where the proxy's client is, address and port; "" where the proxy speaks for itself (LOCAL, UNKNOWN).

    Raises:
        ValueError: there is no such header.
    """
    begun = await reader.readexactly(6)
    if begun == b"PROXY ":
        text = b""
        while not text.endswith(b"\r\n"):
            text += await reader.readexactly(1)  # not one octet of what follows
            if len(text) > LONGEST_TEXT:
                raise ValueError("a header of version 1 does not end")
        family, *words = text.decode("ascii").split()
        if family == "UNKNOWN":
            return ""
        if family not in ("TCP4", "TCP6") or len(words) != 4:
            raise ValueError("a header of version 1 has two addresses and two ports")
        return f"{ipaddress.ip_address(words[0])}:{int(words[2])}"
    if begun + await reader.readexactly(6) != SIGNATURE:
        raise ValueError("no header of the PROXY protocol")
    command, family_and_protocol = await reader.readexactly(2)
    body = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    if command >> 4 != 2:
        raise ValueError("an unknown version of the PROXY protocol")
    size = {1: 4, 2: 16}.get(family_and_protocol >> 4)
    if command & 15 == 0 or size is None:
        return ""
    if len(body) < 2 * size + 4:
        raise ValueError("a header of version 2 is too short")
    return f"{ipaddress.ip_address(body[:size])}:{int.from_bytes(body[2 * size : 2 * size + 2])}"


async def main(accounts: str, port: int) -> None:
    """Serve on loopback."""
    notes = NoteServer(SqlAuthority(create_engine(accounts)))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                peer = await read_header(reader)
        except (ValueError, OSError, EOFError) as error:  # IncompleteReadError is an EOFError
            logging.getLogger("notes").warning("not the proxy: %s", error)
            writer.close()
        else:
            await notes.serve(reader, writer, peer)

    async with await asyncio.start_server(accept, "127.0.0.1", port) as server:
        print(f"notes behind a proxy on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
