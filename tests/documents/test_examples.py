"""Every program of the first pages does what the page says, against embedded servers."""

from __future__ import annotations

import re
import ssl
import threading
import wsgiref.simple_server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import saslsspi
from plugin_distribution import installed
from saslsspi import MemoryAuthority
from saslsspi.accounts import MemoryTokens
from saslsspi.adapters.imap import SaslIMAP4
from saslsspi.adapters.ldap.refusal import _DATA_HINTS, bind_refused
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.testbed.certificates import make_certificates
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail.imap import ImapServer
from saslsspi.testbed.mail.smtp import SmtpServer

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PEOPLE = MemoryAuthority({"alice": "wonderland"})
# ldap3 2.9.1 calls it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")


def page(name: str) -> dict[str, Any]:
    """Return the names that the programs of a page define."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.findall((DOCS / name).read_text(encoding="utf-8")):
        exec(compile(block, name, "exec"), names)  # our own document
    return names


def test_ldap() -> None:
    with running(LdapServer(authority=PEOPLE, suffix="dc=example,dc=test")) as server:
        security, entries = page("start/ldap.md")["people"](server.url, "alice", "wonderland")
    assert security.ssf >= 56
    assert entries


def test_mail() -> None:
    with running(ImapServer(authority=PEOPLE)) as server:
        mechanism, _ = page("start/mail.md")["inbox"]("127.0.0.1", server.port, "alice", "wonderland")
    assert mechanism


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def protected() -> Iterator[str]:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [environ["REMOTE_USER"].encode()]

    guarded = page("start/http.md")["protected"](application)
    with wsgiref.simple_server.make_server("127.0.0.1", 0, guarded, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tea"
        server.shutdown()
        thread.join()


def test_http(protected: str) -> None:
    assert page("start/http.md")["cups"](protected, "alice", "wonderland") == 200
    assert page("start/http.md")["cups"](protected, "alice", "looking-glass") == 401


@pytest.mark.parametrize(("password", "said"), [("wonderland", "alice"), ("looking-glass", "refused: ")])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_a_server(mechanism: str, password: str, said: str) -> None:
    names = page("start/server.md")
    client = saslsspi.Client(
        mechanism, service="imap", host="mail.example.test", credentials=saslsspi.Password("alice", password),
        external_ssf=256,
    )  # fmt: skip
    messages = [client.start()]
    answer = names["log_on"](
        names["make_authority"](), mechanism, messages.pop, lambda reply: messages.append(client.step(reply))
    )
    assert answer.startswith(said)


@pytest.mark.parametrize(("password", "logs_on"), [("wonderland", True), ("looking-glass", False)])
def test_a_mechanism(password: str, logs_on: bool, tmp_path: Path) -> None:
    source = "\n".join(BLOCK.findall((DOCS / "start/mechanism.md").read_text(encoding="utf-8")))
    with (
        installed(tmp_path, "knock-sasl", "saslsspi.mechanisms", {"X-KNOCK": "KNOCK"}, source, MECHANISMS),  # type: ignore[arg-type]
        running(ImapServer(authority=PEOPLE)) as server,
        SaslIMAP4("127.0.0.1", server.port) as client,
    ):
        credentials = saslsspi.Password("alice", password)
        try:
            security = client.authenticate_sasl(mechanism="X-KNOCK", credentials=credentials)
        except saslsspi.LogonDenied:
            assert not logs_on
        else:
            assert logs_on
            assert security.mechanism == "X-KNOCK"


def test_signing() -> None:
    with running(LdapServer(authority=PEOPLE, suffix="dc=example,dc=test")) as server:
        connection = page("how-to/signing.md")["signed"](server.url, "alice", "wonderland")
        assert connection.security.ssf >= 1
        connection.unbind()


def test_what_a_directory_says() -> None:
    said = "80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data {}, v4563"
    names = page("how-to/directory-errors.md")
    for data, words in {"775": "locked", "52e": "try another password", "80090346": "channel bindings"}.items():
        result = {"result": 49, "description": "invalidCredentials", "message": said.format(data)}
        assert words in names["why"](bind_refused("GSS-SPNEGO", "alice", result))


def test_every_number_of_the_page_is_one_that_the_error_explains() -> None:
    text = (DOCS / "how-to/directory-errors.md").read_text(encoding="utf-8")
    numbers = set(re.findall(r"`([0-9a-f]{3,8})`", "".join(re.findall(r"^\| `.*?\|", text, re.MULTILINE))))
    assert numbers - {"80090308", "8009030c"} == set(_DATA_HINTS) - {"568"}


def test_a_mail_with_a_token(tmp_path: Path) -> None:
    made = make_certificates(tmp_path, "alice")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server)
    server = SmtpServer(authority=MemoryTokens({"an-issuer.has-given.this": "alice"}), certificate=context)
    trusted = ssl.create_default_context(cafile=str(made.authority))
    with running(server):
        send = page("how-to/office365.md")["send"]
        refused = send("localhost", server.port, "alice", lambda: "an-issuer.has-given.this", "Hello", trusted)
    assert refused == {}
    assert len(server.mailbox.messages) == 1


def test_the_steps_of_cyrus() -> None:
    server = saslsspi.Server("DIGEST-MD5", service="imap", host="h", authority=PEOPLE, realm="h")

    def exchange(message: bytes | None) -> bytes:
        reply = server.step(message)
        assert reply is None or isinstance(reply, bytes)
        return reply or b""

    layer = page("how-to/from-cyrus.md")["log_on"](["PLAIN", "DIGEST-MD5"], exchange, "h", "alice", "wonderland")
    assert server.layer is not None
    assert server.layer.unwrap(layer.wrap(b"hello")) == b"hello"


def test_scram_keys() -> None:
    names, table = page("how-to/scram-keys.md"), {}
    names["set_password"](table, "alice", "wonderland")
    assert "wonderland" not in table["alice"]
    client = saslsspi.Client(
        "SCRAM-SHA-256", service="imap", host="h", credentials=saslsspi.Password("alice", "wonderland")
    )
    server = saslsspi.Server("SCRAM-SHA-256", service="imap", host="h", authority=names["authority_over"](table))
    message = client.start()
    while not client.done:
        reply = server.step(message)
        assert isinstance(reply, bytes)
        message = client.step(reply)
    assert server.security.authcid == "alice"


def test_the_front_page(capsys: pytest.CaptureFixture[str]) -> None:
    page("index.md")
    assert capsys.readouterr().out == "alice\n"


def test_every_other_page_has_python_that_compiles() -> None:
    for file in DOCS.rglob("*.md"):
        if file.is_relative_to(DOCS / "reference"):
            continue
        for block in BLOCK.findall(file.read_text(encoding="utf-8")):
            if ">>>" not in block:
                compile(block, str(file), "exec")
