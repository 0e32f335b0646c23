"""A server does not tell who has an account: not by octets, and not by work (RFC 5802 section 9, RFC 4616 section 6).

Every installed mechanism and package that verifies with a secret of an account is tried, over authorities of every
kind, for names that exist and for one that does not. What is compared is counted: no clock is asked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from saslsspi import (
    Account,
    AccountLookup,
    Authority,
    Chain,
    Client,
    MemoryAuthority,
    NegotiatePolicy,
    Password,
    Policy,
    Question,
    SaslError,
    Secret,
    Server,
    derive_scram_keys,
)
from saslsspi.accounts import Delegating
from saslsspi.crypto.md4 import md4
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS
from work import counting

PASSWORD = "wonderland"
REALM = "example.test"
POLICY = Policy(weak_mechanisms=("LOGIN", "CRAM-MD5"), negotiate=NegotiatePolicy(packages="NTLM"))


def keys(iterations: int = 10_000, *hashes: str) -> dict[str, Any]:
    salt = bytes(range(16))
    return {
        name: derive_scram_keys(PASSWORD, name, iterations=iterations, salt=salt) for name in hashes or ("SHA-256",)
    }


class Own:
    """An authority of somebody else's, which has lookup and nothing more."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts = {account.username: account for account in accounts}

    def lookup(self, question: Question) -> Account | None:
        return self._accounts.get(question.username)


class Derived(Authority):
    """One on the base class, that says nothing of itself either."""

    def __init__(self, *accounts: Account) -> None:
        self._accounts = {account.username: account for account in accounts}

    def lookup(self, question: Question) -> Account | None:
        return self._accounts.get(question.username)


class Declared(Derived):
    secrets = frozenset({Secret.SCRAM_SHA_256})
    iterations = (4096,)


class SeveralHashes(Derived):
    secrets = frozenset({Secret.SCRAM_SHA_1, Secret.SCRAM_SHA_256, Secret.SCRAM_SHA_512})
    iterations = (10_000,)


HA1 = hashlib.md5(f"carol:{REALM}:{PASSWORD}".encode()).digest()
NT_HASH = md4(PASSWORD.encode("utf-16-le"))
# Names of one length. Each of them exists; "ghost" does not.
ALICE = Account(username="alice", password=PASSWORD)
BELLA = Account(username="bella", scram=keys())
CAROL = Account(username="carol", ha1=HA1)
DAVID = Account(username="david", nt_hash=NT_HASH)
ERICA = Account(username="erica", scram=keys(10_000, "SHA-1", "SHA-256", "SHA-512"))
FRANK = Account(username="frank", scram=keys(4096))
GRETA = Account(username="greta", password="p\u00e4ss\u2168")
HELEN = Account(username="he@en", password=PASSWORD)
NAMES = ["alice", "bella", "carol", "david", "erica", "frank", "greta"]

AUTHORITIES: dict[str, Callable[[], AccountLookup]] = {
    "passwords": lambda: MemoryAuthority([ALICE, GRETA]),
    "stored keys": lambda: MemoryAuthority([BELLA]),
    "stored keys of several hashes": lambda: MemoryAuthority([BELLA, ERICA]),
    "counts that differ": lambda: MemoryAuthority([BELLA, BELLA, FRANK]),
    "all kinds": lambda: MemoryAuthority([ALICE, BELLA, CAROL, DAVID, ERICA, FRANK, GRETA]),
    "HA1": lambda: MemoryAuthority([CAROL]),
    "NT hashes": lambda: MemoryAuthority([DAVID, ALICE]),
    "lookup alone, passwords": lambda: Own(ALICE, GRETA),
    "lookup alone, stored keys": lambda: Own(BELLA),
    "lookup alone, all kinds": lambda: Own(ALICE, BELLA, CAROL, DAVID, GRETA),
    "base class": lambda: Derived(ALICE, BELLA),
    "base class, declared": lambda: Declared(FRANK),
    "base class, several hashes declared": lambda: SeveralHashes(BELLA, ERICA),
    "chain": lambda: Chain(MemoryAuthority([ALICE]), Own(BELLA), MemoryAuthority([CAROL, DAVID])),
    "around another": lambda: Delegating(MemoryAuthority([ALICE, BELLA])),
}


def verifying() -> list[Mechanism]:
    """The installed mechanisms whose servers verify with a secret of an account."""
    found = [plugin.value for plugin in MECHANISMS.plugins() if plugin.value is not None]
    asking = [mechanism for mechanism in found if set(mechanism.secrets) - {Secret.EXISTENCE}]
    return [mechanism for mechanism in asking if Password in mechanism.credentials]


def attempt(mechanism: Mechanism, authority: AccountLookup, username: str, password: str) -> tuple[Any, Any]:
    bindings: Any = None
    if mechanism.name.endswith("-PLUS"):
        from saslsspi import ChannelBindings

        bindings = ChannelBindings.tls_exporter(bytes(32))
    common: dict[str, Any] = {"service": "imap", "host": "h.example", "policy": POLICY, "external_ssf": 256}
    if bindings is not None:
        common["bindings"] = bindings
    client = Client(mechanism, credentials=Password(username, password), **common)
    server = Server(mechanism, authority=authority, realm=REALM, **common)
    seen: list[Any] = []
    work: Counter[str] = Counter()
    message = client.start()
    while True:
        with counting() as counted:
            try:
                reply = server.step(message)
                failure = None
            except SaslError as error:
                reply, failure = error.token, error
        work.update(counted.work)
        seen.append(shown(mechanism, reply, first=not seen))
        if failure is not None:
            seen.append((type(failure), failure.text))
            return work, seen
        if server.done:
            return work, "in"
        try:
            message = client.step(reply or b"")
        except SaslError as error:
            seen.append(type(error))
            return work, seen


def shown(mechanism: Mechanism, reply: bytes | None, *, first: bool) -> object:
    """What of a message must be equal for everybody: its size, and SCRAM's count."""
    if reply is None or (mechanism.name == "CREDSSP" and first):
        return None  # a signature of TLS has one size or another
    return len(reply), reply.rpartition(b",")[2] if b",i=" in reply else b""


@pytest.mark.parametrize("kind", AUTHORITIES)
@pytest.mark.parametrize("mechanism", verifying(), ids=lambda mechanism: mechanism.name)
@pytest.mark.requirement("RFC5802-9-01")
def test_a_wrong_password_costs_and_shows_the_same_for_every_name(mechanism: Mechanism, kind: str) -> None:
    authority = AUTHORITIES[kind]()
    existing = [name for name in NAMES if asked(authority, name) is not None]
    assert existing
    for name in existing:
        attempt(mechanism, authority, name, PASSWORD)  # who was here before costs no less
    trials = {name: attempt(mechanism, authority, name, "guess") for name in [*existing, "ghost"]}
    by_shown: dict[str, list[str]] = {}
    for name, (_, seen) in trials.items():
        by_shown.setdefault(repr(seen), []).append(name)
    if "counts" not in kind and kind != "all kinds":
        assert len(by_shown) == 1, by_shown
    work = {name: {what: count for what, count in done.items() if count} for name, (done, _) in trials.items()}
    for names in by_shown.values():
        for name in names:
            assert work[name] == work[names[0]], (name, names[0])


def asked(authority: AccountLookup, name: str) -> object:
    every = (Secret.PASSWORD, Secret.HA1, Secret.NT_HASH, Secret.SCRAM_SHA_256, Secret.EXISTENCE)
    return authority.lookup(Question(name, REALM, every))
