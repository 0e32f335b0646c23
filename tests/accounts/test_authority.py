from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from pair import authenticate
from saslsspi import (
    Account,
    AccountLookup,
    Authority,
    Chain,
    Client,
    MemoryAuthority,
    Password,
    Policy,
    Question,
    Secret,
    Server,
    derive_scram_keys,
    offer,
    user_hash,
)
from saslsspi.accounts import Delegating, FileAuthority
from saslsspi.accounts.authority import SingleAccount, may_act_as, secrets_of
from saslsspi.accounts.decoys import DecoyMemory, Decoys
from saslsspi.adapters.mail.identity import MailAuthority
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.engine.environment import Environment
from saslsspi.errors import InvalidParameter, LogonDenied, NoAuthenticatingAuthority, NoImpersonation, SaslError
from saslsspi.testbed.ldap.directory import Directory
from saslsspi.testbed.ldap.identity import LdapAuthority

ALICE = Account(username="alice", password="wonderland", may_act_as=frozenset({"boss"}))
ASKED = Question("alice", "", (Secret.PASSWORD,))
STORED = {"SHA-256": derive_scram_keys("builder", iterations=4096)}


class Only(Authority):
    """What a subclass has to bring."""

    def lookup(self, question: Question) -> Account | None:
        return ALICE if question.means("alice") else None


class Late:
    """One that is to be awaited."""

    async def lookup(self, question: Question) -> Account | None:
        await asyncio.sleep(0)
        return ALICE if question.means("alice") else None


class Answers:
    """One that answers with anything."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def lookup(self, question: Question) -> Any:
        return self._answer


def logon(
    authority: AccountLookup, mechanism: str = "SCRAM-SHA-256", password: str = "wonderland", **more: Any
) -> Server:
    client = Client(
        mechanism, service="imap", host="h", credentials=Password("alice", password), external_ssf=256, **more
    )
    server = Server(mechanism, service="imap", host="h", authority=authority, external_ssf=256)
    authenticate(client, server)
    return server


# The contract


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM"])
def test_lookup_alone_serves_every_mechanism(mechanism: str) -> None:
    for authority in (Only(), Answers(ALICE)):
        assert logon(authority, mechanism).security.authcid == "alice"


@pytest.mark.parametrize(
    ("answer", "named"),
    [(("alice", "wonderland"), "a tuple"), ("wonderland", "a str"), (True, "a bool"), ({}, "a dict")],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM"])
def test_a_wrong_answer_is_an_error_that_names_the_authority(answer: object, named: str, mechanism: str) -> None:
    with pytest.raises(NoAuthenticatingAuthority, match=f"Answers.lookup answered with {named}"):
        logon(Answers(answer), mechanism)


def test_an_authority_that_fails_is_named() -> None:
    class Broken:
        def lookup(self, question: Question) -> Account | None:
            raise KeyError(question.username)

    with pytest.raises(NoAuthenticatingAuthority, match=r"Broken\.lookup failed with KeyError"):
        logon(Broken())


@pytest.mark.parametrize(
    ("field", "value"), [("ha1", b"short"), ("ha1", "0" * 32), ("nt_hash", b""), ("password", b"x")]
)
def test_an_account_refuses_a_secret_of_another_shape(field: str, value: object) -> None:
    with pytest.raises(InvalidParameter, match="alice"):
        Account(username="alice", **{field: value})  # type: ignore[arg-type]  # that is the point


# Authorities that are to be awaited


def test_without_an_event_loop_one_that_is_to_be_awaited_is_refused_and_named() -> None:
    with pytest.raises(NoAuthenticatingAuthority, match=r"Late\.lookup .* async lookup"):
        logon(Late())


def test_beside_an_event_loop_it_is_awaited() -> None:
    for authority in (Late(), Chain(MemoryAuthority({}), Late()), Delegating(Late())):
        server = asyncio.run(beside_loop(logon, authority))
        assert server.security.authcid == "alice"


def test_what_goes_wrong_beside_an_event_loop_is_told_as_ever() -> None:
    class Wrong:
        async def lookup(self, question: Question) -> Any:
            return "wonderland"

    with pytest.raises(NoAuthenticatingAuthority, match=r"Wrong\.lookup answered with a str"):
        asyncio.run(beside_loop(logon, Wrong()))
    with pytest.raises(LogonDenied):
        asyncio.run(beside_loop(logon, Late(), "PLAIN", "guess"))


# One rule of authorization


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5"])
@pytest.mark.parametrize(("authzid", "permitted"), [("", True), ("alice", True), ("boss", True), ("bob", False)])
def test_a_user_acts_as_itself_and_as_whom_the_authority_says(mechanism: str, authzid: str, permitted: bool) -> None:
    if permitted:
        assert logon(Only(), mechanism, authzid=authzid).security.authzid == authzid
        return
    with pytest.raises(NoImpersonation):
        logon(Only(), mechanism, authzid=authzid)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5"])
def test_an_authority_decides_for_itself(mechanism: str) -> None:
    class Groups(Only):
        def may_act_as(self, account: Account, authzid: str) -> bool:
            return authzid.startswith("team-")

    assert logon(Groups(), mechanism, authzid="team-a").security.authzid == "team-a"
    with pytest.raises(NoImpersonation):
        logon(Groups(), mechanism, authzid="boss")
    # In a chain, and around another, it is asked all the same.
    assert logon(Chain(MemoryAuthority({"bob": "x"}), Groups()), mechanism, authzid="team-a").done
    assert logon(Delegating(Groups()), mechanism, authzid="team-a").done


@pytest.mark.parametrize("carried", [MailAuthority, lambda inner: LdapAuthority(inner, Directory("dc=example"))])
def test_what_carries_an_authority_does_not_overrule_it(carried: Callable[[AccountLookup], Authority]) -> None:
    class Never(Only):
        def may_act_as(self, account: Account, authzid: str) -> bool:
            return False

    for authzid in ("boss", "u:boss"):
        assert not carried(Never()).may_act_as(ALICE, authzid), "listed in the account, and the authority says no"
    assert carried(Only()).may_act_as(ALICE, "boss") or carried(Only()).may_act_as(ALICE, "u:boss")


def test_the_name_with_a_realm_is_ones_own_where_the_realm_was_verified() -> None:
    taken = {}
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "DIGEST-MD5"):
        for realm in ("EXAMPLE.TEST", None):
            client = Client(
                mechanism, service="imap", host="h", authzid="alice@EXAMPLE.TEST", external_ssf=256,
                credentials=Password("alice", "wonderland", realm="EXAMPLE.TEST"),
            )  # fmt: skip
            server = Server(mechanism, service="imap", host="h", authority=Only(), realm=realm, external_ssf=256)
            with contextlib.suppress(NoImpersonation):
                authenticate(client, server)
            taken[mechanism, realm] = server.done
    assert {realm: {done for (_, of), done in taken.items() if of == realm} for realm in ("EXAMPLE.TEST", None)} == {
        "EXAMPLE.TEST": {True},
        None: {False},
    }


# Several authorities


def test_the_first_of_a_chain_that_knows_the_user_answers_and_all_are_asked() -> None:
    asked = []

    class Watched(MemoryAuthority):
        def lookup(self, question: Question) -> Account | None:
            asked.append(self)
            return super().lookup(question)

    one, other = Watched({"alice": "wonderland"}), Watched({"alice": "other", "bob": "builder"})
    chain = Chain(one, other)
    found = chain.lookup(ASKED)
    assert isinstance(found, Account)
    assert (found.password, found.source) == ("wonderland", one)
    assert asked == [one, other]
    assert chain.lookup(Question("nobody", "", (Secret.PASSWORD,))) is None
    with pytest.raises(InvalidParameter):
        Chain()


@pytest.mark.parametrize(
    "around",
    [
        lambda inner: Chain(inner),
        lambda inner: Chain(Chain(MemoryAuthority({"bob": "x"}), inner), MemoryAuthority({"bob": "x"})),
        lambda inner: Chain(Delegating(Chain(inner))),
        lambda inner: Delegating(Chain(Delegating(inner))),
        lambda inner: MailAuthority(Chain(Chain(Chain(inner)))),
    ],
)  # fmt: skip
def test_authorities_may_stand_within_one_another(around: Callable[[AccountLookup], Authority]) -> None:
    class Groups(Only):
        decoy_key = b"k" * 32

        def may_act_as(self, account: Account, authzid: str) -> bool:
            return authzid.startswith("team-")

    assert logon(around(Groups()), "PLAIN", authzid="team-a").security.authzid == "team-a"
    with pytest.raises(NoImpersonation):
        logon(around(Groups()), "PLAIN", authzid="boss")

    def first_message(authority: AccountLookup) -> bytes | None:
        server = Server("SCRAM-SHA-256", service="imap", host="h", authority=authority)
        return (server.step(b"n,,n=nobody,r=abc") or b"").partition(b",")[2]

    # Another process has made the same of it, and a stranger sees no difference.
    assert first_message(around(Groups())) == first_message(around(Groups()))


def test_a_chain_says_what_all_of_it_holds() -> None:
    passwords, stored = MemoryAuthority([ALICE]), MemoryAuthority([Account(username="bob", scram=STORED)])
    assert Chain(passwords, stored).secrets == {Secret.PASSWORD, Secret.SCRAM_SHA_256, Secret.EXISTENCE}
    assert Chain(passwords, Answers(None)).secrets is None


def test_a_chain_names_the_one_that_answers_wrongly() -> None:
    with pytest.raises(NoAuthenticatingAuthority, match=r"Answers\.lookup answered with a str"):
        logon(Chain(MemoryAuthority({}), Answers("x")))


# What a server offers follows from what its authority holds


@pytest.mark.parametrize(
    ("account", "offered"),
    [
        (ALICE, {"DIGEST-MD5", "NTLM", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"}),
        (Account(username="a", scram=STORED), {"PLAIN", "SCRAM-SHA-256"}),
        (Account(username="a", ha1=bytes(16)), {"DIGEST-MD5"}),
        (Account(username="a", nt_hash=bytes(16)), {"NTLM"}),
        (Account(username="a"), set()),
    ],
)
def test_only_what_the_accounts_can_serve_is_offered(account: Account, offered: set[str]) -> None:
    simple = {"DIGEST-MD5", "NTLM", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"}
    made = offer(Policy(), sorted(simple), external_ssf=256, secrets=MemoryAuthority([account]).secrets)
    assert set(made.names) == offered
    assert all("accounts do not hold" in made.reasons[name] for name in simple - offered)
    assert set(offer(Policy(), sorted(simple), external_ssf=256, secrets=secrets_of(Answers(None))).names) == simple


# Kinds of one's own


OTP = Secret("otp", "the seed of a one-time password", read=lambda text: bytes.fromhex(str(text)))


def test_a_kind_of_ones_own_goes_through_every_authority(tmp_path: Any) -> None:
    path = tmp_path / "accounts.toml"
    path.touch(mode=0o600)
    path.write_text('[[account]]\nuser = "alice"\notp = "00ff"\n')
    question = Question("alice", "", (OTP,))
    file = FileAuthority(path, kinds=(OTP,))
    for authority in (
        file,
        MemoryAuthority([Account(username="alice", other={OTP: b"\0\xff"})]),
        Chain(MemoryAuthority([ALICE]), file),
        Delegating(file),
        SingleAccount(Account(username="alice", other={OTP: b"\0\xff"})),
    ):
        account = authority.lookup(question)
        assert isinstance(account, Account)
        assert account.secret(OTP) == b"\0\xff"
        assert authority.secrets is not None
        assert OTP in authority.secrets
    assert MemoryAuthority([ALICE]).lookup(question) is None
    path.write_text('[[account]]\nuser = "alice"\notp = "no hex"\n')
    with pytest.raises(InvalidParameter, match=r"otp of .* is not the seed"):
        FileAuthority(path, kinds=(OTP,))
    with pytest.raises(InvalidParameter):
        FileAuthority(path)


def test_no_secret_shows() -> None:
    account = Account(
        username="a", password="pw1", ha1=b"h" * 16, nt_hash=b"n" * 16, scram=STORED, other={OTP: b"seed"}
    )
    shown = repr(account)
    assert not [secret for secret in ("pw1", "hhh", "nnn", "seed", "ScramKeys") if secret in shown]


# Hashed names


def test_a_hashed_name_is_found_without_hashing_every_name_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from saslsspi.accounts import memory

    made: list[str] = []
    real = memory.user_hash
    monkeypatch.setattr(memory, "user_hash", lambda *given: made.append(given[0]) or real(*given))
    people = MemoryAuthority({f"user{number}": "x" for number in range(50)})
    for name in ("user7", "user49", "nobody"):
        question = Question(user_hash(name, "R", "sha256"), "R", (Secret.PASSWORD,), hashed_with="sha256")
        found = people.lookup(question)
        assert (found.username if found else "nobody") == name
    assert len(made) == 50


@pytest.mark.parametrize("hash_name", ["SHA-1", "SHA-256", "SHA-512"])
@pytest.mark.parametrize("counts", [(), (10_000,)], ids=["learned", "declared"])
def test_plain_verifies_with_keys_of_any_hash_that_the_store_declares(hash_name: str, counts: tuple[int, ...]) -> None:
    account = Account(username="alice", scram={hash_name: derive_scram_keys("wonderland", hash_name)})

    class Stored(Only):
        secrets = frozenset({Secret.SCRAM_SHA_1, Secret.SCRAM_SHA_256, Secret.SCRAM_SHA_512})
        iterations = counts

        def lookup(self, question: Question) -> Account | None:
            return account if question.means("alice") else None

    assert logon(Stored(), "PLAIN").security.authcid == "alice"
    with pytest.raises(LogonDenied):
        logon(Stored(), "PLAIN", "guess")


# What unknown users are shown


def shown(decoys: Decoys, name: str, hash_name: str = "SHA-256", account: Account | None = None) -> tuple[bytes, int]:
    return decoys.show(account, name, hash_name, range(4096, 1_000_001))[:2]


@pytest.mark.requirement("RFC5802-9-01")
def test_salts_depend_on_the_name_the_hash_and_the_key_and_on_nothing_else() -> None:
    first = shown(Decoys(bytes(16)), "alice")
    assert first == shown(Decoys(bytes(16)), "alice")
    others = {
        shown(Decoys(bytes(16)), "bob"),
        shown(Decoys(bytes(16)), "alice", "SHA-1"),
        shown(Decoys(b"\1" * 16), "alice"),
    }
    assert len({first} | others) == 4
    with pytest.raises(InvalidParameter):
        Decoys(bytes(15))


def test_unknown_names_are_shown_each_count_as_often_as_accounts_have_it() -> None:
    rare = {"SHA-256": derive_scram_keys("x", iterations=5000, salt=bytes(20))}
    accounts = [Account(username=f"u{number}", scram=STORED) for number in range(3)]
    decoys = Decoys.of_accounts(bytes(16), [*accounts, Account(username="rare", scram=rare)])
    drawn = [shown(decoys, f"ghost{number}") for number in range(2000)]
    assert {(len(salt), count) for salt, count in drawn} == {(16, 4096), (20, 5000)}
    assert 400 < sum(count == 5000 for _, count in drawn) < 600
    # A further count changes what few names are shown.
    more = Decoys.of_accounts(bytes(16), [*accounts, Account(username="rare", scram=rare), *accounts])
    assert (
        sum(one != other for one, other in zip(drawn, (shown(more, f"ghost{n}") for n in range(2000)), strict=True))
        < 400
    )


def test_what_nobody_declares_is_learned_from_the_first_account_that_is_looked_up() -> None:
    decoys = Decoys(bytes(16))
    assert shown(decoys, "ghost")[1] == 10_000
    shown(decoys, "bob", account=Account(username="bob", scram=STORED))
    assert shown(decoys, "ghost")[1] == 4096
    declared = Decoys(bytes(16), secrets=frozenset({Secret.SCRAM_SHA_256}), iterations=(7000,), learns=False)
    shown(declared, "bob", account=Account(username="bob", scram=STORED))
    assert shown(declared, "ghost")[1] == 7000


@pytest.mark.parametrize("declared", [(), (7000,)])
def test_a_count_that_nobody_has_said_is_a_warning_once(
    declared: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Before its first account was seen nobody can know which counts an authority has; its owner is told."""
    bob = Account(username="bob", scram=STORED)
    decoys = Decoys(bytes(16), secrets=frozenset({Secret.SCRAM_SHA_256}), iterations=declared, learns=not declared)
    with caplog.at_level("WARNING", "saslsspi.accounts"):
        for _ in range(3):
            shown(decoys, "bob", account=bob)
    (told,) = caplog.messages
    assert "4096 iterations, and unknown names are shown " + str(*declared or (10_000,)) in told
    caplog.clear()
    said = Decoys(bytes(16), secrets=frozenset({Secret.SCRAM_SHA_256}), iterations=(4096,), learns=False)
    for fitting in (said, Decoys.of_accounts(bytes(16), [bob]), Decoys.joined(bytes(16), [said, decoys])):
        shown(fitting, "bob", account=bob)
    assert caplog.messages == []


def test_learning_is_bounded() -> None:
    decoys = Decoys(bytes(16))
    for count in range(4096, 4196):
        decoys.observe(
            Account(username="u", scram={"SHA-256": STORED["SHA-256"].__class__("SHA-256", b"s", count, b"", b"")})
        )
    assert len({shown(decoys, f"ghost{number}")[1] for number in range(500)}) <= 16


def test_a_changed_password_is_noticed() -> None:
    people = {"alice": "old"}

    class Changing:
        def lookup(self, question: Question) -> Account | None:
            return Account(username="alice", password=people["alice"])

    authority = Changing()
    logon(authority, password="old")
    people["alice"] = "new"
    with pytest.raises(SaslError):
        logon(authority, password="old")
    assert logon(authority, password="new").done


def test_a_second_logon_derives_nothing_and_few_results_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from saslsspi.accounts import decoys as module

    made: list[object] = []
    real = module.client_keys
    monkeypatch.setattr(module, "client_keys", lambda *given: made.append(given) or real(*given))
    authority = MemoryAuthority([ALICE])
    for _ in range(3):
        logon(authority)
    assert len(made) == 1
    monkeypatch.setattr(Decoys, "_KEPT", 0)
    other = MemoryAuthority([ALICE])
    logon(other)
    logon(other)
    assert len(made) == 3


@pytest.mark.parametrize(
    "make",
    [lambda: Answers(None), Only, lambda: SingleAccount(ALICE), lambda: None],
    ids=["alone", "base", "one", "none"],
)
def test_each_authority_has_one_set_of_decoys(make: Callable[[], AccountLookup | None]) -> None:
    memory, authority = DecoyMemory(), make()
    first, second = (Environment(authority=authority, decoy_memory=memory).decoys() for _ in range(2))
    assert first is second
    if authority is not None:
        assert Environment(authority=Delegating(authority), decoy_memory=memory).decoys() is first
        assert Environment(authority=make(), decoy_memory=memory).decoys() is not first


def test_an_authority_without_a_hash_is_served_too() -> None:
    class Unhashable(Answers):
        __hash__ = None  # type: ignore[assignment]  # that is the point

    memory = DecoyMemory()
    one, other = (Environment(authority=Unhashable(None), decoy_memory=memory).decoys() for _ in range(2))
    assert one is other


def test_the_key_of_decoys_comes_from_the_environment_or_from_the_authority() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    one, other = (Environment(authority=Only(), random=random).decoys() for _ in range(2))
    assert shown(one, "x") == shown(other, "x")
    assert asked == [32, 32]

    class Shared(Only):
        decoy_key = b"k" * 16

    assert shown(Environment(authority=Shared()).decoys(), "x") == shown(Environment(authority=Shared()).decoys(), "x")
    same = [MemoryAuthority({}, salt_key=b"k" * 16) for _ in range(2)]
    assert len({shown(Environment(authority=each).decoys(), "x") for each in same}) == 1


def test_where_no_authority_is_given_the_account_says_it() -> None:
    assert may_act_as(None, ALICE, "boss")
    assert not may_act_as(None, ALICE, "bob")
