"""Servers that do what they should not, and what the probe says of them."""

import contextlib
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from saslsspi_conformance.outcome import CaseError, NotApplicable
from saslsspi_conformance.probe.findings import IDS, Severity
from saslsspi_conformance.probe.survey import survey
from saslsspi_conformance.targets.wire import Address, Deadline, TargetAccount

LISTED = b"* CAPABILITY IMAP4rev1 SASL-IR STARTTLS AUTH="
SCRAM_WENT_ON = b"+ cj1zYXNsc3NwaXByb2JlMDEyMzQ1Njc4OXgscz1xcXE9LGk9NDA5Ng==\r\n"
NTLM_WENT_ON = b"+ TlRMTVNTUAACAAAA\r\n"


def address(port: int, protocol: str = "imap") -> Address:
    return Address(protocol=protocol, host="127.0.0.1", port=port, account=TargetAccount("", ""), timeout=5)


@contextmanager
def imap_server(
    answer: bytes, mechanism: bytes = b"SCRAM-SHA-256", start_tls: bytes = b"{tag} NO later\r\n"
) -> Iterator[int]:
    """Serve IMAP on a loopback port; in the answers to AUTHENTICATE and STARTTLS, {tag} stands for the tag."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline(10_000):
                tag, _, command = line.partition(b" ")
                if command.upper().startswith(b"CAPABILITY"):
                    self.wfile.write(LISTED + mechanism + b"\r\n" + tag + b" OK done\r\n")
                elif command.upper().startswith(b"AUTHENTICATE"):
                    self.wfile.write(answer.replace(b"{tag}", tag))
                elif command.upper().startswith(b"STARTTLS"):
                    self.wfile.write(start_tls.replace(b"{tag}", tag))
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
    ("mechanism", "answer", "name", "level"),
    [
        (b"SCRAM-SHA-256", SCRAM_WENT_ON, "initial-response", Severity.GOOD),
        (b"NTLM", NTLM_WENT_ON, "initial-response", Severity.GOOD),
        (b"NTLM", b"+ \r\n", "initial-response-ignored", Severity.WARN),
        (b"SCRAM-SHA-256", b"+ \r\n", "initial-response-ignored", Severity.WARN),
        (b"SCRAM-SHA-256", b"{tag} NO no such user\r\n", "initial-response-unknown", Severity.INFO),
    ],
)
def test_what_becomes_of_an_initial_response_is_told(
    mechanism: bytes, answer: bytes, name: str, level: Severity
) -> None:
    with imap_server(answer, mechanism) as port:
        found = {finding.id: finding.level for finding in survey(address(port), may_name_user=True).findings}
    assert found[name] is level
    assert sum(key.startswith("initial-response") for key in found) == 1
    assert found.keys() <= IDS


def test_no_user_is_named_unasked() -> None:
    with imap_server(b"{tag} NO no such user\r\n") as port:
        assert not any(finding.id.startswith("initial-response") for finding in survey(address(port)).findings)


def test_clear_text_behind_the_agreement_on_tls_is_a_failure() -> None:
    with imap_server(b"{tag} NO\r\n", start_tls=b"{tag} OK begin\r\n* OK from nobody\r\n") as port:
        levels = {finding.id: finding.level for finding in survey(address(port)).findings}
    assert levels["starttls-injection"] is Severity.FAIL


@pytest.mark.parametrize("protocol", ["imap", "smtp", "pop3"])
@pytest.mark.parametrize("said", [b"", b"* OK\r\n+OK\r\n220 x\r\n", b"x" * 100_000], ids=["nothing", "little", "much"])
def test_a_server_that_breaks_off_cannot_be_probed(protocol: str, said: bytes) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), lambda request, *_: request.sendall(said)) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with contextlib.suppress(OSError, CaseError, NotApplicable):
                survey(address(server.server_address[1], protocol))
        finally:
            server.shutdown()
            thread.join()


def test_an_answer_that_drips_in_is_cut_off() -> None:
    deadline = Deadline(0.05)
    deadline.check()
    time.sleep(0.06)
    with pytest.raises(TimeoutError):
        deadline.check()
