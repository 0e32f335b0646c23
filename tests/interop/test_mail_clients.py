"""Real clients against our servers: curl, gsasl, and Cyrus's imtest, pop3test and smtptest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import saslsspi
from adapters.mail_world import IMAP, MESSAGE, POP3, PROTOCOLS, REALM, SMTP, MailProtocol
from interop.certificate import ServerCertificate, make_server_certificate
from interop.mail_tools import curl, cyrus_test, gsasl
from interop.people import ALICE, PEOPLE, Person
from saslsspi.testbed import loopback
from saslsspi.testbed.mail.server import Authenticated, MailServer

pytestmark = pytest.mark.interop

WRONG = Person("alice", "not hers")
DENIED = 67  # curl's exit status


@dataclass
class Served:
    """A running server, what it reported, and its certificate's files."""

    protocol: MailProtocol
    server: MailServer
    reports: list[Authenticated]
    tls: ServerCertificate

    def url(self, path: str = "", *, tls_port: bool = False) -> str:
        scheme = self.protocol.name + ("s" if tls_port else "")
        return f"{scheme}://localhost:{self.server.tls_port if tls_port else self.server.port}/{path}"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ServerCertificate:
    return make_server_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=PROTOCOLS, ids=str)
def served(request: pytest.FixtureRequest, tls: ServerCertificate) -> Iterator[Served]:
    yield from serve(request.param, tls)


@pytest.fixture
def imap(tls: ServerCertificate) -> Iterator[Served]:
    yield from serve(IMAP, tls)


def serve(protocol: MailProtocol, tls: ServerCertificate) -> Iterator[Served]:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    der = ssl.PEM_cert_to_DER_cert(tls.certificate_file.read_text())
    reports: list[Authenticated] = []
    server = protocol.server(
        authority=saslsspi.MemoryAuthority({person.name: person.password for person in PEOPLE.values()}),
        realm=REALM,
        # curl puts the realm where digest-uri wants the host.
        hosts=("localhost", "127.0.0.1", REALM),
        certificate=context,
        bindings=saslsspi.ChannelBindings.tls_server_end_point(der),
        messages=[MESSAGE],
        on_security=reports.append,
    )
    with loopback.running(server):
        yield Served(protocol, server, reports, tls)


def transfer(served: Served, mechanism: str, folder: Path, **options: object) -> int:
    """Let curl send or fetch a message; return its exit status."""
    tls_port = bool(options.pop("tls_port", False))
    if served.protocol is POP3:
        result = curl(served.url("1", tls_port=tls_port), mechanism=mechanism, **options)  # type: ignore[arg-type]
        assert result.exit_status or result.output == MESSAGE
    elif served.protocol is IMAP:
        url = served.url("INBOX;MAILINDEX=1", tls_port=tls_port)
        result = curl(url, mechanism=mechanism, **options)  # type: ignore[arg-type]
        assert result.exit_status or result.output == MESSAGE
    else:
        upload = folder / "message"
        upload.write_bytes(MESSAGE)
        url = served.url(tls_port=tls_port)
        result = curl(url, mechanism=mechanism, upload=upload, mail=True, **options)  # type: ignore[arg-type]
        assert result.exit_status or served.server.mailbox.messages[-1] == MESSAGE
    return result.exit_status


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "NTLM"])
def test_curl_moves_a_message(served: Served, tmp_path: Path, mechanism: str) -> None:
    assert transfer(served, mechanism, tmp_path) == 0
    assert served.reports[-1].security.mechanism == mechanism


@pytest.mark.requirement("SMTP4954-9-01", "POP5034-4-17")
@pytest.mark.parametrize("tls_port", [False, True], ids=["starttls", "tls port"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "DIGEST-MD5"])
@pytest.mark.parametrize("initial_response", [False, True], ids=["empty challenge", "initial response"])
def test_curl_moves_a_message_over_tls(
    served: Served, tmp_path: Path, mechanism: str, initial_response: bool, tls_port: bool
) -> None:
    options = {"ca_file": served.tls.ca_file, "initial_response": initial_response, "tls_port": tls_port}
    assert transfer(served, mechanism, tmp_path, **options) == 0
    assert served.reports[-1].security.mechanism == mechanism
    assert served.reports[-1].ssf >= 128


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "NTLM"])
def test_curl_is_denied_with_a_wrong_password(served: Served, tmp_path: Path, mechanism: str) -> None:
    assert transfer(served, mechanism, tmp_path, person=WRONG) == DENIED
    assert served.reports == []


@pytest.mark.parametrize("protocol", [IMAP, SMTP], ids=str)
@pytest.mark.parametrize(
    ("mechanism", "qop"),
    [("DIGEST-MD5", "qop-auth"), ("DIGEST-MD5", "qop-int"), ("SCRAM-SHA-1", "qop-auth"), ("SCRAM-SHA-256", "qop-auth")],
)
def test_gsasl_speaks_under_what_it_negotiated(
    protocol: MailProtocol, mechanism: str, qop: str, tls: ServerCertificate
) -> None:
    for served in serve(protocol, tls):
        command, answer = ("z1 NOOP", "z1 OK") if protocol is IMAP else ("EHLO me", "250 HELP")
        printed = gsasl(protocol.name, served.server.port, mechanism=mechanism, qop=qop, command=command, expect=answer)
        assert answer in printed, printed
        assert served.reports[-1].security.ssf == (1 if qop == "qop-int" else 0)


@pytest.mark.parametrize("protocol", [IMAP, SMTP], ids=str)
@pytest.mark.parametrize("mechanism", ["PLAIN", "DIGEST-MD5"])
def test_gsasl_speaks_over_starttls(protocol: MailProtocol, mechanism: str, tls: ServerCertificate) -> None:
    # With TLS its SCRAM fails before it sends anything, whoever listens and whatever is listed.
    for served in serve(protocol, tls):
        command, answer = ("z1 NOOP", "z1 OK") if protocol is IMAP else ("NOOP", "250 ")
        printed = gsasl(
            protocol.name, served.server.port, mechanism=mechanism, command=command, expect=answer, ca_file=tls.ca_file
        )
        assert answer in printed, printed
        assert served.reports[-1].ssf >= 128


LEAVE = {"imap": "z1 NOOP\r\nz2 LOGOUT\r\n", "pop3": "STAT\r\nQUIT\r\n", "smtp": "NOOP\r\nQUIT\r\n"}
SAID = {"imap": "z1 OK", "pop3": "+OK 1 ", "smtp": "250 "}
PROGRAM = {"imap": "imtest", "pop3": "pop3test", "smtp": "smtptest"}


@pytest.mark.requirement("IMAP3501-6.2.2-09", "SMTP4954-4-34", "POP5034-4-14")
@pytest.mark.parametrize("ssf", [0, 1, 128], ids=["auth", "auth-int", "auth-conf"])
@pytest.mark.parametrize("name", PEOPLE)
def test_cyrus_clients_speak_under_each_layer(served: Served, ssf: int, name: str) -> None:
    kind = served.protocol.name
    result = cyrus_test(
        PROGRAM[kind],
        served.server.port,
        mechanism="DIGEST-MD5",
        min_ssf=ssf,
        max_ssf=ssf,
        commands=LEAVE[kind],
        person=PEOPLE[name],
    )
    assert result.ssf == ssf, result.printed
    assert SAID[kind] in result.printed.rpartition("Security strength factor")[2]
    assert "MITM" not in result.printed
    assert served.reports[-1].security.authcid == name


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_cyrus_clients_speak_scram(served: Served, mechanism: str) -> None:
    kind = served.protocol.name
    result = cyrus_test(PROGRAM[kind], served.server.port, mechanism=mechanism, commands=LEAVE[kind])
    assert result.ssf == 0, result.printed
    assert served.reports[-1].security.mechanism == mechanism


def test_cyrus_clients_are_denied_with_a_wrong_password(served: Served) -> None:
    kind = served.protocol.name
    result = cyrus_test(PROGRAM[kind], served.server.port, mechanism="DIGEST-MD5", commands=LEAVE[kind], person=WRONG)
    assert not result.authenticated
    assert served.reports == []


def test_imtest_appends_megabytes_under_a_layer(imap: Served) -> None:
    text = "0123456789abcdef" * 65536 * 2
    commands = f"z1 APPEND INBOX {{{len(text)}+}}\r\n{text}\r\nz2 LOGOUT\r\n"
    result = cyrus_test(
        "imtest", imap.server.port, mechanism="DIGEST-MD5", min_ssf=128, max_ssf=128, commands=commands, person=ALICE
    )
    assert "z1 OK" in result.printed
    assert imap.server.mailbox.messages[-1] == text.encode()
