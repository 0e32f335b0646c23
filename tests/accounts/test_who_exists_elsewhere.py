"""Whoever asks about an account is tried: every mechanism, package, HTTP scheme and bind, and those that are added.

The places that ask are found by reading the code; one that is not named here fails the suite.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import saslsspi
import saslsspi_mechanisms
from accounts.test_who_exists import (
    ALICE,
    AUTHORITIES,
    BELLA,
    CAROL,
    DAVID,
    NAMES,
    PASSWORD,
    REALM,
    Own,
    asked,
    attempt,
    verifying,
)
from saslsspi import (
    Account,
    AccountLookup,
    Context,
    MemoryAuthority,
    NegotiatePolicy,
    Password,
    Policy,
    Question,
    SaslError,
    Secret,
)
from saslsspi.accounts import Delegating
from saslsspi.adapters.http import HttpAcceptor, HttpRequest
from saslsspi.adapters.http.acceptor import _NAMES as SCHEMES
from saslsspi.adapters.http.client.identity import HttpIdentity
from saslsspi.adapters.http.client.logon import HttpLogon
from saslsspi.engine.policy import CredSspPolicy
from saslsspi.engine.registry import PACKAGES
from saslsspi.errors import InvalidParameter
from saslsspi.sasl.registry import MECHANISMS
from testbed.ldap_fixtures import SUFFIX, ldap_server
from testbed.raw_ldap import RawLdap, simple_bind
from work import counting

POLICY = Policy(
    negotiate=NegotiatePolicy(packages="NTLM"),
    credssp=CredSspPolicy(delegate=True, allow_fresh=("*",), allow_fresh_ntlm_only=("*",)),
)
# Which modules ask about an account, and which test below or beside this one tries them.
ASKING = {
    "saslsspi/packages/digest/sasl/server.py": "mechanisms, contexts",
    "saslsspi/packages/digest/http/server.py": "schemes",
    "saslsspi/packages/ntlm/server.py": "mechanisms, contexts, schemes",
    "saslsspi_mechanisms/plain.py": "mechanisms, simple binds",
    "saslsspi_mechanisms/scram/server.py": "mechanisms",
    "saslsspi_mechanisms/cram_md5.py": "mechanisms",
    "saslsspi_mechanisms/oauth/server.py": "asks about a token, whoever the client says it is",
    "saslsspi/packages/kerberos/exchange.py": "asks only about who has proved who it is",
    "saslsspi_mechanisms/external.py": "asks only about who has proved who it is",
    "saslsspi/gateway/door.py": "asks nobody: it is whom the client names, for the record",
    "saslsspi/gateway/ldap/session.py": "asks nobody, as above",
}


def test_every_place_that_asks_is_tried() -> None:
    found = set()
    for package in (saslsspi, saslsspi_mechanisms):
        room = Path(str(package.__file__)).parent
        for file in room.rglob("*.py"):
            calls = (node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
            if any(getattr(call, "id", getattr(call, "attr", "")) == "Question" for call in calls):
                found.add(str(file.relative_to(room.parent)))
    assert found == set(ASKING)


class Asked(Delegating):
    """Keeps which kinds of secrets are asked for."""

    def __init__(self, authority: AccountLookup) -> None:
        super().__init__(authority)
        self.kinds: set[Secret] = set()

    def lookup(self, question: Question) -> Any:
        self.kinds |= set(question.secrets)
        return super().lookup(question)


@pytest.mark.parametrize(
    "name", [plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None and plugin.value.secrets == ()]
)
def test_a_mechanism_that_declares_no_secrets_asks_for_none(name: str) -> None:
    """Else it would be offered where it cannot succeed, and left out of the tests beside this one."""
    mechanism = next(plugin.value for plugin in MECHANISMS.plugins() if plugin.name == name)
    assert mechanism is not None
    authority = Asked(MemoryAuthority([ALICE]))
    if Password in mechanism.credentials and name != "GSSAPI":
        attempt(mechanism, authority, "alice", PASSWORD)
    assert authority.kinds <= {Secret.EXISTENCE}


@pytest.mark.parametrize("mechanism", verifying(), ids=lambda mechanism: mechanism.name)
def test_a_mechanism_asks_for_what_it_declares(mechanism: Any) -> None:
    authority = Asked(MemoryAuthority([ALICE]))
    attempt(mechanism, authority, "alice", PASSWORD)
    assert authority.kinds
    assert authority.kinds <= set(mechanism.secrets)


Trial = Callable[[AccountLookup, str, str], list[Any]]
"""Lets a user try a password, and returns all that is seen of it; counted meanwhile."""


def of_context(package: str) -> Trial:
    def trial(authority: AccountLookup, user: str, password: str) -> list[Any]:
        client = Context.initiate(package, target="HTTP/h", credentials=Password(user, password), policy=POLICY)
        server = Context.accept(package, authority=authority, policy=POLICY)
        seen: list[Any] = []
        said = client.step(server.step() if package == "WDigest" else None)
        try:
            while said is not None:
                reply = server.step(said)
                seen.append(None if reply is None or (package == "CREDSSP" and not seen) else len(reply))
                said = None if reply is None else client.step(reply)
        except SaslError as error:
            seen.append((type(error), error.text))
        return seen

    return trial


def asking(credentials: str, connection: object) -> HttpRequest:
    return HttpRequest(method="GET", targets=("/tea",), credentials=credentials, connection=connection)


def of_scheme(scheme: str) -> Trial:
    def trial(authority: AccountLookup, user: str, password: str) -> list[Any]:
        acceptor = HttpAcceptor.of(authority, [scheme], realm=REALM, policy=POLICY)
        identity = HttpIdentity(Password(user, password), schemes=[scheme], policy=POLICY)
        logon = HttpLogon(identity, "GET", "http://h/tea", "/tea")
        connection, seen, credentials = object(), [], ""
        while True:
            decision = acceptor.judge(asking(credentials, connection))
            offered = [value for name, value in decision.headers if name == "WWW-Authenticate"]
            seen.append((decision.status, [len(value) for value in offered] if scheme != "CredSSP" else None))
            if decision.error is not None:
                return [*seen, type(decision.error), decision.error.text]
            if decision.user is not None:
                return ["in"]
            answer = logon.answer(offered)
            if answer is None:
                return seen
            credentials = answer

    return trial


TRIALS: dict[str, Trial] = {
    **{
        f"context of {plugin.name}": of_context(plugin.name)
        for plugin in PACKAGES.plugins()
        if plugin.value is not None and plugin.name not in ("Kerberos", "Schannel")
    },
    **{f"HTTP {name}": of_scheme(name) for name in SCHEMES.values()},
}
SAYING = {kind: make for kind, make in AUTHORITIES.items() if "counts" not in kind}


@pytest.mark.parametrize("kind", SAYING)
@pytest.mark.parametrize("trial", TRIALS)
def test_a_wrong_password_costs_and_shows_the_same_for_every_name(trial: str, kind: str) -> None:
    authority = SAYING[kind]()
    existing = [name for name in NAMES if asked(authority, name) is not None]
    try:
        TRIALS[trial](authority, existing[0], PASSWORD)
    except InvalidParameter:
        assert trial.startswith("HTTP"), "nobody could log on with the scheme, and it is not offered"
        return
    done: dict[str, tuple[dict[str, int], list[Any]]] = {}
    for name in [*existing, "ghost"]:
        with counting() as counted:
            seen = TRIALS[trial](authority, name, "guess")
        done[name] = {what: count for what, count in counted.work.items() if count}, seen
    assert [seen for _, seen in done.values()] == [done["ghost"][1]] * len(done)
    for name, (work, _) in done.items():
        assert work == done["ghost"][0], name


@contextlib.contextmanager
def counted_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the derivations of all threads: an embedded server works in others."""
    work: Counter[str] = Counter()
    real = hashlib.pbkdf2_hmac

    def derive(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        work[name] += iterations
        return real(name, password, salt, iterations)

    with monkeypatch.context() as patched:
        patched.setattr(hashlib, "pbkdf2_hmac", derive)
        yield work


@pytest.mark.parametrize("kind", SAYING)
def test_a_simple_bind_costs_and_shows_the_same_for_every_name(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Asked(SAYING[kind]())
    existing = [name for name in NAMES if asked(authority, name) is not None]
    done = {}
    with ldap_server(authority=authority, policy=Policy(allow_plaintext=True)) as server:
        for name in [*existing, "ghost"]:
            with RawLdap(server.port) as raw, counted_everywhere(monkeypatch) as work:
                answer = raw.ask(simple_bind(f"uid={name},ou=people,{SUFFIX}", "guess"))
            done[name] = (answer.code, answer.text), dict(work)
    assert [seen for seen, _ in done.values()] == [done["ghost"][0]] * len(done)
    assert [work for _, work in done.values()] == [done["ghost"][1]] * len(done)


@pytest.mark.parametrize(
    ("account", "schemes"),
    [
        (BELLA, []),
        (CAROL, ["Digest"]),
        (DAVID, ["NTLM", "Negotiate", "CredSSP"]),
        (ALICE, ["Digest", "NTLM", "Negotiate", "CredSSP"]),
    ],
)
def test_http_offers_what_the_accounts_can_verify(account: Account, schemes: list[str]) -> None:
    authority = MemoryAuthority([account])
    if not schemes:
        with pytest.raises(InvalidParameter, match="MemoryAuthority"):
            HttpAcceptor.of(authority, ["Digest", "NTLM"], realm=REALM)
        return
    acceptor = HttpAcceptor.of(authority, list(SCHEMES.values()), realm=REALM, policy=POLICY)
    refused = acceptor.judge(asking("", object()))
    offered = [value.split(" ")[0] for name, value in refused.headers if name == "WWW-Authenticate"]
    assert offered == schemes


def test_a_store_of_hashes_is_offered_in_the_hash_that_it_has() -> None:
    for authority, algorithm in (
        (MemoryAuthority([CAROL]), "MD5"),
        (Own(CAROL), "SHA-256"),
        (MemoryAuthority([ALICE, CAROL]), "SHA-256"),
    ):
        acceptor = HttpAcceptor.of(authority, ["Digest"], realm=REALM)
        (value,) = (v for name, v in acceptor.judge(asking("", None)).headers if name == "WWW-Authenticate")
        assert f"algorithm={algorithm}," in value.replace(" ", "") + ","
