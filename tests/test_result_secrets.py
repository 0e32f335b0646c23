"""What says who has logged on holds no secret: not in its repr, nor as a dict, a pickle or a copy.

Results are found in the source: every record with a field that holds a Security, an account or delegated credentials.
Each must stand in MADE below, with what makes one of a real logon; a new one without it fails.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import saslsspi
from saslsspi import Account, Client, Context, MemoryAuthority, Password, Policy, Security, Server
from saslsspi.adapters.http import HttpDecision, HttpUser
from saslsspi.adapters.mail.logon import Established
from saslsspi.cli.auth.report import Report
from saslsspi.engine.identity import HandedOver
from saslsspi.engine.policy import CredSspPolicy
from saslsspi.errors import SaslError
from saslsspi.packages.credssp.credentials import PasswordCredentials
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.sspi.tokens import ImpersonationLevel, SecurityToken
from saslsspi.testbed.ldap.bind import BindReply
from saslsspi.testbed.ldap.responses import Result
from saslsspi.testbed.ldap.settings import Bound
from saslsspi.testbed.mail.server import Authenticated

ROOT = Path(saslsspi.__file__).parent
SECRET = "S3cr3tWonder"
PEOPLE = MemoryAuthority({"alice": SECRET})
HOLDS = {"Security", "HandedOver", "HttpUser"}
# The engine's own record, which a result is made from and which nobody outside is handed.
INNER = {"Outcome"}


def records(*rooms: str) -> Iterator[tuple[str, set[str]]]:
    """The records of the library (or of some rooms), each with the words of its fields' annotations."""
    for path in (path for room in rooms or ("",) for path in (ROOT / room).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                words = {
                    name.id
                    for field in node.body
                    if isinstance(field, ast.AnnAssign)
                    for name in ast.walk(field.annotation)
                    if isinstance(name, ast.Name)
                }
                decorated = "dataclass" in ast.unparse(node).split("class ")[0]
                if decorated or any("NamedTuple" in ast.unparse(base) for base in node.bases):
                    yield node.name, words


def logged_on(mechanism: str) -> Security:
    """What a server says of alice."""
    policy = Policy(credssp=CredSspPolicy(delegate=True, allow_fresh=("*",), allow_fresh_ntlm_only=("*",)))
    common: dict[str, Any] = {"service": "ldap", "host": "h.example", "policy": policy, "external_ssf": 256}
    client = Client(mechanism, credentials=Password("alice", SECRET), **common)
    server = Server(mechanism, authority=PEOPLE, **common)
    message = client.start()
    while not server.done:
        reply = server.step(message)
        message = client.step(reply or b"") if not client.done and not server.done else b""
    return server.security


def password_mechanisms() -> list[str]:
    """The installed mechanisms that a password is enough for, without a realm of Kerberos or a TLS around them."""
    found = []
    for plugin in MECHANISMS.plugins():
        try:
            logged_on(plugin.name)
        except SaslError:
            continue
        found.append(plugin.name)
    return found


MECHANISM_NAMES = password_mechanisms()
DELEGATING = "CREDSSP"


def security() -> Security:
    return logged_on(DELEGATING)


MADE: dict[str, Callable[[], object]] = {
    "Security": security,
    "HttpUser": lambda: HttpUser("NTLM", "alice", security(), None),
    "Authenticated": lambda: Authenticated("127.0.0.1", 0, security()),
    "Report": lambda: Report(security(), "", None, 0.1, "NOOP", "OK"),
    "HttpDecision": lambda: HttpDecision(HttpUser("NTLM", "alice", security(), None), 200, []),
    "Bound": lambda: Bound("127.0.0.1", "CREDSSP", "u:alice", 0, security()),
    "BindReply": lambda: BindReply(Result(0), None, "CREDSSP", "u:alice", security()),
    "Established": lambda: Established(security(), None),
    "SecurityToken": lambda: SecurityToken(
        "alice", "", "", "CREDSSP", (), next(iter(ImpersonationLevel)), HandedOver(delegated())
    ),
}


def delegated() -> PasswordCredentials:
    return PasswordCredentials("", "alice", SECRET)


def test_every_result_is_tried() -> None:
    found = {name for name, words in records() if words & HOLDS and name not in INNER}
    assert found - MADE.keys() == set()


def test_no_result_holds_an_account_as_the_authority_gave_it() -> None:
    above = records("adapters", "cli", "sasl", "sspi", "testbed")
    assert {name for name, words in above if "Account" in words} == set()


def forms(result: object) -> Iterator[tuple[str, str]]:
    """Every form in which a result can leave: what cannot be made holds nothing."""
    yield "repr", repr(result)
    yield "copy", repr(copy.deepcopy(result))
    if hasattr(result, "__dict__"):
        yield "vars", repr(vars(result))
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        yield "asdict", repr(dataclasses.asdict(result))
        yield "astuple", repr(dataclasses.astuple(result))
    if hasattr(result, "_asdict"):
        yield "_asdict", repr(result._asdict())
    try:
        octets = pickle.dumps(result)
    except SaslError:
        return
    yield "pickle", octets.decode("latin-1")


@pytest.mark.parametrize("name", sorted(MADE))
def test_no_form_of_a_result_has_a_secret(name: str) -> None:
    for form, text in forms(MADE[name]()):
        assert SECRET not in text, form
        assert SECRET.encode("utf-16-le").decode("latin-1") not in text, form


@pytest.mark.parametrize("mechanism", MECHANISM_NAMES)
def test_what_a_server_says_of_a_logon_has_no_secret(mechanism: str) -> None:
    said = logged_on(mechanism)
    account = PEOPLE.lookup(saslsspi.Question("alice", "", (saslsspi.Secret.PASSWORD,)))
    assert account is not None
    assert account.password == SECRET
    for form, text in forms(said):
        assert SECRET not in text, form
    assert said.account is None or (said.account.username, said.account.secrets - {saslsspi.Secret.EXISTENCE}) == (
        "alice",
        frozenset(),
    )


def test_mechanisms_were_found() -> None:
    assert {"DIGEST-MD5", "PLAIN", "NTLM", "SCRAM-SHA-256", "CREDSSP"} <= set(MECHANISM_NAMES)


def test_a_context_says_no_more() -> None:
    client = Context.initiate("NTLM", target="ldap/h", credentials=Password("alice", SECRET))
    server = Context.accept("NTLM", authority=PEOPLE)
    server.step(client.step(server.step(client.step())))
    for form, text in forms(server.security):
        assert SECRET not in text, form


def test_delegated_credentials_are_there_for_who_asks() -> None:
    handed = security().delegated
    assert isinstance(handed, PasswordCredentials)
    assert handed.password == SECRET


def test_the_repr_of_a_result_shows_what_it_holds() -> None:
    shown = repr(logged_on("DIGEST-MD5"))
    assert "alice" in shown
    assert "DIGEST-MD5" in shown
    assert "Account(username='alice'" in shown


def test_an_accounts_own_repr_has_no_secret() -> None:
    assert SECRET not in repr(Account(username="alice", password=SECRET))
