"""An IMAP server that invites an initial response, and what the probe says of what it does with one."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from saslsspi_conformance.probe.findings import Level
from saslsspi_conformance.probe.survey import survey
from saslsspi_conformance.targets.wire import Account, Address

LISTED = b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256\r\n"


@contextmanager
def imap_server(answer: bytes) -> Iterator[int]:
    """Serve IMAP on a loopback port; AUTHENTICATE gets an answer, in which {tag} stands for the tag."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline(10_000):
                tag, _, command = line.partition(b" ")
                if command.upper().startswith(b"CAPABILITY"):
                    self.wfile.write(LISTED + tag + b" OK done\r\n")
                elif command.upper().startswith(b"AUTHENTICATE"):
                    self.wfile.write(answer.replace(b"{tag}", tag))
                else:
                    self.wfile.write(tag + b" BAD unknown\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "name", "level"),
    [
        (b"+ cj1zYXNsc3NwaXByb2JlMDEyMzQ1Njc4OXgscz1xcXE9LGk9NDA5Ng==\r\n", "initial-response", Level.GOOD),
        (b"+ \r\n", "initial-response-ignored", Level.WARN),
        (b"{tag} NO no such user\r\n", "initial-response-unknown", Level.INFO),
    ],
)
def test_what_becomes_of_an_initial_response_is_told(answer: bytes, name: str, level: Level) -> None:
    with imap_server(answer) as port:
        address = Address(protocol="imap", host="127.0.0.1", port=port, account=Account("", ""), timeout=5)
        found = {finding.id: finding.level for finding in survey(address).findings}
    assert found[name] is level
    assert sum(key.startswith("initial-response") for key in found) == 1
