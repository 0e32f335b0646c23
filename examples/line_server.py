"""A server of a protocol of one's own, on asyncio: lines, SASL with security layers, accounts in SQLite.

saslsspi accounts add sqlite:///accounts.db alice --realm notes.example
python examples/line_server.py sqlite:///accounts.db 7000

S: NOTES SCRAM-SHA-256 DIGEST-MD5
C: AUTH DIGEST-MD5                 an initial response may follow, in base64
S: + cmVhbG09...                   challenges and responses in base64
C: dXNlcm5hbWU9...
S: OK alice cnNwYXV0aD0...         data with success; under the layer from here on, if there is one
C: PUT buy tea
S: OK
C: GET
S: OK buy tea
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import sys

from sqlalchemy import create_engine

from saslsspi import InvalidToken, Policy, SaslError, Server
from saslsspi.accounts import AccountLookup, SqlAuthority, Throttle
from saslsspi.adapters.stream import LayeredStream, beside_loop
from saslsspi.engine.hooks.audit import audited_from, refusals

MECHANISMS = ("SCRAM-SHA-256", "DIGEST-MD5")
REALM = "notes.example"
LONGEST_LINE = 8192
SECONDS_TO_LOG_ON = 60.0
MOST_FAILURES = 3


class NoteServer:
    """Keeps a note for each user.

    Args:
        authority: Who may log on.
        host: The name under which clients know this server.
        policy: What is acceptable.
    """

    def __init__(self, authority: AccountLookup, *, host: str = "localhost", policy: Policy | None = None) -> None:
        self.notes: dict[str, bytes] = {}
        self._authority, self._host, self._policy = authority, host, policy
        self._throttle = Throttle()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str = "") -> None:
        """Serve one connection to its end; what asyncio.start_server calls."""
        if not peer:
            peer = "{}:{}".format(*writer.get_extra_info("peername")[:2])
        stream = LayeredStream(reader, writer)
        try:
            stream.write(" ".join(("NOTES", *MECHANISMS)).encode() + b"\r\n")
            async with asyncio.timeout(SECONDS_TO_LOG_ON):
                user = await self._log_on(stream, peer)
            if user is not None:
                await self._commands(stream, user)
        except (SaslError, OSError) as error:  # TimeoutError is an OSError
            logging.getLogger("notes").info("%s: %s", peer, error)
        finally:
            stream.close()
            await stream.wait_closed()

    async def _log_on(self, stream: LayeredStream, peer: str) -> str | None:
        for _ in range(MOST_FAILURES):
            verb, _, rest = (await stream.readline(LONGEST_LINE)).strip().partition(b" ")
            mechanism, _, initial = rest.decode("ascii", "replace").partition(" ")
            if verb.upper() != b"AUTH" or mechanism.upper() not in MECHANISMS:
                stream.write(b"NO log on with AUTH and one of the mechanisms\r\n")
                continue
            server = Server(
                mechanism, service="notes", host=self._host, authority=self._authority, realm=REALM,
                policy=self._policy,
            )  # fmt: skip
            with audited_from(peer), refusals() as refused:
                try:
                    last = await self._exchange(stream, server, octets_of(initial) if initial else None)
                except SaslError:
                    # The client learns no more than NO; the audit log has the reason.
                    for refusal in refused:
                        await asyncio.sleep(self._throttle.failed(refusal.username, peer))
                    stream.write(b"NO\r\n")
                    continue
                finally:
                    if not server.done:  # the client has gone, or took too long
                        server.abort()
            user = server.security.authzid or server.security.authcid
            stream.write(b" ".join((b"OK", user.encode(), base64.b64encode(last or b""))) + b"\r\n")
            await stream.drain()
            if server.layer is not None:
                stream.install(server.layer)
            return user
        return None

    async def _exchange(self, stream: LayeredStream, server: Server, response: bytes | None) -> bytes | None:
        while True:
            # In a thread: the database may be slow, and so may a hash.
            challenge = await beside_loop(server.step, response)
            if server.done:
                return challenge
            stream.write(b"+ " + base64.b64encode(challenge or b"") + b"\r\n")
            response = octets_of((await stream.readline(LONGEST_LINE)).decode("ascii", "replace"))

    async def _commands(self, stream: LayeredStream, user: str) -> None:
        while line := await stream.readline(LONGEST_LINE):
            verb, _, text = line.strip().partition(b" ")
            if verb.upper() == b"PUT":
                self.notes[user] = text
                stream.write(b"OK\r\n")
            elif verb.upper() == b"GET":
                stream.write(b"OK " + self.notes.get(user, b"") + b"\r\n")
            else:
                stream.write(b"NO\r\n")
            await stream.drain()


def octets_of(line: str) -> bytes:
    """Return what a line stands for.

    Raises:
        InvalidToken: it is not base64.
    """
    try:
        return base64.b64decode(line.strip(), validate=True)
    except binascii.Error:
        raise InvalidToken("a response is not base64") from None


async def main(accounts: str, port: int) -> None:
    """Serve on loopback."""
    notes = NoteServer(SqlAuthority(create_engine(accounts)))
    async with await asyncio.start_server(notes.serve, "127.0.0.1", port) as server:
        print(f"notes on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
