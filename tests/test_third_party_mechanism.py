"""A SASL mechanism of somebody else: one module, one entry point, and every protocol has it."""

import json
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest

import saslsspi
from plugin_distribution import installed
from saslsspi.__main__ import main
from saslsspi.adapters.imap import SaslIMAP4
from saslsspi.adapters.ldap import Connection
from saslsspi.adapters.smtp import SaslSMTP
from saslsspi.errors import LogonDenied, PackageNotFound
from saslsspi.sasl.registry import MECHANISMS, find_mechanism
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail.imap import ImapServer
from saslsspi.testbed.mail.smtp import SmtpServer

# ldap3 2.9.1 calls it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

SOURCE = '''
"""X-KNOCK: the server sends a nonce, the client its name and a MAC of the nonce under its password."""

import hashlib
import hmac
import secrets

from saslsspi.errors import InvalidToken, LogonDenied
from saslsspi.credentials import Password
from saslsspi.sasl.mechanism import ClientExchange, First, Mechanism, ServerExchange
from saslsspi.accounts.account import Question, Secret
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property


def answer(password, nonce):
    return hmac.digest(password.encode(), nonce, hashlib.sha256)


class Knocker(ClientExchange):
    def __init__(self, parameters):
        self.credentials = parameters.credentials
        self.outcome = None

    def step(self, challenge):
        if challenge is None and not self.done:
            return None  # the server speaks first
        if self.done or not challenge:
            raise InvalidToken("one nonce is due")
        self.outcome = Outcome(username=self.credentials.username)
        return self.credentials.username.encode() + b" " + answer(self.credentials.password, challenge)


class Porter(ServerExchange):
    def __init__(self, parameters):
        self.nonce = None
        self.outcome = None

    def step(self, response):
        if self.nonce is None:
            self.nonce = secrets.token_bytes(16)
            return self.nonce
        name, _, self.mac = (response or b"").partition(b" ")
        self.name = name.decode("utf-8", "replace")
        return Question(self.name, "", (Secret.PASSWORD,))

    def resume(self, account):
        if account is None or not hmac.compare_digest(self.mac, answer(account.password, self.nonce)):
            raise LogonDenied("nobody opens")
        self.outcome = Outcome(username=self.name, account=account)


KNOCK = Mechanism(
    name="X-KNOCK", first=First.SERVER, properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS, client=Knocker,
    server=Porter, credentials=(Password,),
)
'''
AUTHORITY = saslsspi.MemoryAuthority({"alice": "wonderland"})
ALICE = saslsspi.Password("alice", "wonderland")
MALLORY = saslsspi.Password("alice", "looking-glass")


@pytest.fixture(autouse=True)
def knocking(tmp_path: Path) -> Iterator[None]:
    plugins = {"X-KNOCK": "KNOCK", "plain": "KNOCK"}
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    with (
        installed(tmp_path / "good", "knock-sasl", "saslsspi.mechanisms", plugins, SOURCE, MECHANISMS),  # type: ignore[arg-type]
        installed(
            tmp_path / "bad",
            "broken-sasl",
            "saslsspi.mechanisms",
            {"X-BROKEN": "KNOCK"},
            "import no_such_module_anywhere",
            MECHANISMS,  # type: ignore[arg-type]
        ),
    ):
        yield


def test_it_is_listed_with_the_name_of_its_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mechanisms", "--json"]) == 0
    listed = {record["name"]: record for record in json.loads(capsys.readouterr().out)["mechanisms"]}
    assert (listed["X-KNOCK"]["distribution"], listed["X-KNOCK"]["problem"]) == ("knock-sasl 1.5", None)
    assert listed["PLAIN"]["distribution"].startswith("saslsspi ")
    assert listed["PLAIN"]["problem"] is None

    assert main(["mechanisms"]) == 0
    printed = capsys.readouterr().out
    assert any(line.startswith("X-KNOCK ") and "knock-sasl 1.5" in line for line in printed.splitlines())
    assert "plain of knock-sasl 1.5 cannot be used: the name plain is already taken" in printed
    assert "X-BROKEN of broken-sasl 1.5 cannot be used" in printed
    assert "no_such_module_anywhere" in printed


def test_what_cannot_be_used_says_why_and_harms_nothing() -> None:
    with pytest.raises(PackageNotFound, match="no_such_module_anywhere"):
        find_mechanism("X-BROKEN")
    assert find_mechanism("plain").name == "PLAIN"
    names = {plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None}
    assert {"X-KNOCK", "DIGEST-MD5", "SCRAM-SHA-256", "PLAIN"} <= names
    assert "X-BROKEN" not in names


def test_it_authenticates_over_ldap() -> None:
    with running(LdapServer(authority=AUTHORITY)) as server:

        def bind(credentials: saslsspi.Password) -> Connection:
            return Connection(
                ldap3.Server("127.0.0.1", server.port, get_info=ldap3.NONE),
                mechanism="X-KNOCK",
                credentials=credentials,
                receive_timeout=10,
            )

        with bind(ALICE) as connection:
            assert connection.security is not None
            assert (connection.security.mechanism, connection.security.authcid) == ("X-KNOCK", "alice")
            assert connection.extend.standard.who_am_i() == "u:alice"
        refused = bind(MALLORY)
        assert not refused.bind()
        assert isinstance(refused.refusal, LogonDenied)
        refused.unbind()


@pytest.mark.parametrize(("kind", "client_type"), [(SmtpServer, SaslSMTP), (ImapServer, SaslIMAP4)])
def test_it_authenticates_over_smtp_and_imap(
    kind: type[SmtpServer | ImapServer], client_type: type[SaslSMTP | SaslIMAP4]
) -> None:
    with running(kind(authority=AUTHORITY)) as server, client_type("127.0.0.1", server.port, timeout=10) as client:
        with pytest.raises(LogonDenied):
            client.authenticate_sasl("X-KNOCK", credentials=MALLORY)
        security = client.authenticate_sasl("X-KNOCK", credentials=ALICE)
        assert (security.mechanism, security.authcid) == ("X-KNOCK", "alice")
        assert client.noop()[0] in (250, "OK")
