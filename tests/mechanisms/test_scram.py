"""SCRAM between our own ends: proofs, names, identities, unknown users."""

from __future__ import annotations

from base64 import b64decode
from functools import partial

import pytest

from pair import To, authenticate, flip, replace, tampered
from saslsspi import (
    Account,
    Anonymous,
    Client,
    Environment,
    MemoryAuthority,
    Password,
    SaslError,
    Server,
    derive_scram_keys,
)
from saslsspi.accounts import decoys
from saslsspi.errors import (
    ContextMisuse,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    NoCredentials,
    NoImpersonation,
    UnknownCredentials,
)
from saslsspi.sasl.mechanism import First
from saslsspi.sasl.registry import MECHANISMS
from scram_world import HASHES, STORED, fields, new_client, new_server
from scripted_scram import SALT, ScriptedClient
from vector_files import load
from work import counting


@pytest.mark.requirement("RFC5802-4-01", "RFC5802-4-02", "RFC5801-14-01")
def test_the_family_is_installed_under_its_names() -> None:
    names = {plugin.name for plugin in MECHANISMS.plugins()}
    assert {name for name in names if name.startswith("SCRAM-")} == {
        name + suffix for name in HASHES for suffix in ("", "-PLUS")
    }
    assert not names & {"SPNEGO", "SPNEGO-PLUS"}
    found = {name: MECHANISMS.find(name) for name in names}
    assert {name: mechanism.name for name, mechanism in found.items() if mechanism} == {name: name for name in names}
    assert all(len(name) <= 20 for name in names)


@pytest.mark.requirement("RFC5802-5.2-01", "RFC7677-3-01")
@pytest.mark.parametrize("mechanism", HASHES)
@pytest.mark.parametrize("initial_response", [True, False])
@pytest.mark.parametrize("success_data", [True, False])
def test_both_ends_agree(mechanism: str, initial_response: bool, success_data: bool) -> None:
    client, server = new_client(mechanism=mechanism), new_server(mechanism, success_data=success_data)
    authenticate(client, server, initial_response=initial_response)
    assert client.mechanism.first is First.CLIENT
    assert client.done
    assert server.done
    assert server.security.authcid == client.security.authcid == "alice"
    assert server.security.account is not None
    assert (server.security.ssf, server.layer, client.layer) == (0, None, None)


@pytest.mark.requirement("RFC5802-5.1-17", "RFC7677-3-01", "RFC5802-3-02")
@pytest.mark.parametrize("vector", load("scram"), ids=lambda vector: vector["id"])
def test_the_client_says_what_the_rfcs_print(vector: dict[str, str]) -> None:
    nonce = b64decode(fields(vector["client_first_text"].encode()[3:])["r"])
    client = new_client(
        vector["username"], vector["password"], vector["mechanism"], environment=Environment(random=lambda _: nonce)
    )
    assert client.start() == vector["client_first_text"].encode()
    assert client.step(vector["server_first_text"].encode()) == vector["client_final_text"].encode()
    client.succeed(vector["server_final_text"].encode())
    assert client.done


@pytest.mark.requirement("RFC5802-3-02", "RFC5802-5.1-18", "RFC5802-5.1-20", "RFC7677-3-02")
@pytest.mark.parametrize("mechanism", HASHES)
def test_the_server_takes_an_independent_proof_and_signs(mechanism: str) -> None:
    server, peer = new_server(mechanism), ScriptedClient(hash_name=HASHES[mechanism])
    challenge = server.step(peer.first())
    assert int(fields(challenge)["i"]) >= 4096
    assert server.step(peer.final(challenge or b"")) == peer.expected
    assert server.done


@pytest.mark.requirement("RFC5802-3-03")
def test_stored_keys_suffice() -> None:
    server = new_server()
    sent = authenticate(new_client("bob", "builder"), server)
    assert server.done
    challenge = fields(sent[1].octets)
    assert (b64decode(challenge["s"]), challenge["i"]) == (SALT, "4096")
    account = server.security.account
    assert account is not None
    assert account.password is None


@pytest.mark.requirement("RFC5802-5.1-23", "RFC5802-5.1-27", "RFC5802-7-02")
@pytest.mark.parametrize(("username", "password"), [("alice", "wrong"), ("bob", "wrong"), ("eve", "x")])
def test_a_wrong_password_ends_with_invalid_proof(username: str, password: str) -> None:
    server = new_server()
    with pytest.raises(LogonDenied) as caught:
        authenticate(new_client(username, password), server)
    assert caught.value.token == b"e=invalid-proof"
    assert not server.done
    with pytest.raises(ContextMisuse):
        server.step(b"again")


@pytest.mark.parametrize("proof", [b"QUJD", b"A" * 43 + b"=", b"A" * 88])
def test_a_proof_that_is_none_is_refused(proof: bytes) -> None:
    server, peer = new_server(), ScriptedClient()
    challenge = server.step(peer.first()) or b""
    with pytest.raises(LogonDenied):
        server.step(peer.final(challenge, proof=proof))


@pytest.mark.parametrize("bits", range(0, 256, 37))
def test_each_bit_of_the_proof_counts(bits: int) -> None:
    tap = tampered(To.SERVER, 1, lambda message: (flip_in_proof(message, bits),))
    with pytest.raises(LogonDenied):
        authenticate(new_client(), new_server(), tap)


def flip_in_proof(message: bytes, bit: int) -> bytes:
    from base64 import b64encode

    head, _, proof = message.rpartition(b",p=")
    octets = bytearray(b64decode(proof))
    octets[bit // 8] ^= 1 << bit % 8
    return head + b",p=" + b64encode(bytes(octets))


# Preparation of names and passwords


@pytest.mark.requirement("RFC5802-3-04", "RFC5802-5.1-05")
def test_the_client_prepares_name_and_password() -> None:
    server = new_server()
    sent = authenticate(new_client("I\u00adX", "n\u00adine"), server)
    assert fields(sent[0].octets[3:])["n"] == "IX"
    assert server.done


@pytest.mark.requirement("RFC5802-5.1-05", "RFC5802-5-01")
@pytest.mark.parametrize(
    ("username", "password"),
    [("\u00ad", "x"), ("", "x"), ("\x07", "x"), ("x", "\u00ad"), ("x", ""), ("x", "\u0221"), ("\ud800", "x")],
)
def test_the_client_refuses_what_cannot_be_prepared(username: str, password: str) -> None:
    with pytest.raises(InvalidParameter):
        new_client(username, password)


@pytest.mark.requirement("RFC5802-5.1-06", "RFC5802-5.1-08")
def test_the_server_prepares_the_name_and_signs_it_as_it_came() -> None:
    server, peer = new_server(), ScriptedClient(b"nine", bare="n=\u2168,r=clientnonce".encode())
    challenge = server.step(peer.first()) or b""
    assert server.step(peer.final(challenge)) == peer.expected
    assert server.security.authcid == "IX"


@pytest.mark.requirement("RFC5802-5.1-07", "RFC5802-7-02")
@pytest.mark.parametrize("name", ["\u00ad", "\x07", "\u06271"])
def test_the_server_refuses_a_name_that_cannot_be_prepared(name: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        new_server().step(f"n,,n={name},r=x".encode())
    assert caught.value.token == b"e=invalid-username-encoding"


@pytest.mark.parametrize("username", ["empty", "odd"])
@pytest.mark.parametrize("password", [b"", b"\x07"])
def test_an_account_without_a_usable_password_lets_nobody_in(username: str, password: bytes) -> None:
    server, peer = new_server(), ScriptedClient(password, bare=f"n={username},r=x".encode())
    with pytest.raises(LogonDenied):
        server.step(peer.final(server.step(peer.first()) or b""))


@pytest.mark.requirement("RFC5802-5.1-09")
def test_a_name_with_comma_and_equals_logs_on() -> None:
    server = new_server()
    sent = authenticate(new_client("a,b=c", "x"), server)
    assert b"n=a=2Cb=3Dc,r=" in sent[0].octets
    assert server.security.authcid == "a,b=c"


# Unknown users


@pytest.mark.requirement("RFC5802-9-01")
def test_an_unknown_user_gets_the_same_salt_each_time() -> None:
    first, second, other = (
        fields(new_server().step(f"n,,n={name},r=x".encode())) for name in ("nobody", "nobody", "nobody2")
    )
    assert first["s"] == second["s"] != other["s"]
    assert first["r"] != second["r"]
    known = fields(new_server().step(b"n,,n=bob,r=x"))
    assert (first["i"], len(first["s"])) == (known["i"], len(known["s"]))


@pytest.mark.requirement("RFC5802-9-01")
def test_salts_of_unknown_users_differ_between_authorities() -> None:
    salts = {fields(new_server(authority=MemoryAuthority({})).step(b"n,,n=nobody,r=x"))["s"] for _ in range(3)}
    assert len(salts) == 3


@pytest.mark.requirement("RFC5802-9-01")
@pytest.mark.parametrize(
    ("known", "costs"),
    [(Account(username="bob", scram={"SHA-256": STORED}), 0), (Account(username="bob", password="builder"), 1)],
    ids=["stored keys", "password"],
)
@pytest.mark.parametrize("username", ["bob", "nobody"])
def test_an_unknown_user_costs_what_a_known_one_costs(
    known: Account, costs: int, username: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    real = decoys.client_keys
    monkeypatch.setattr(decoys, "client_keys", lambda *given: made.append(given) or real(*given))
    server = new_server(authority=MemoryAuthority([known]))
    peer = ScriptedClient(b"wrong", bare=f"n={username},r=x".encode())
    challenge = server.step(peer.first()) or b""
    assert not made
    with pytest.raises(LogonDenied):
        server.step(peer.final(challenge))
    assert len(made) == costs


@pytest.mark.parametrize(("realms", "found"), [("here", True), ("elsewhere", False), (("here", "elsewhere"), False)])
def test_the_only_realm_of_the_server_is_that_of_its_users(realms: str | tuple[str, ...], found: bool) -> None:
    server = new_server(authority=MemoryAuthority([Account(username="u", realm="here", password="p")]), realm=realms)
    if found:
        authenticate(new_client("u", "p"), server)
        return
    with pytest.raises(LogonDenied):
        authenticate(new_client("u", "p"), server)


# Authorization identities


@pytest.mark.requirement("RFC5802-5.1-02", "RFC5801-4-03")
@pytest.mark.parametrize("authzid", ["admin", "alice", "a,b=c"])
def test_a_user_acts_as_whom_the_authority_permits(authzid: str) -> None:
    client, server = new_client(authzid=authzid), new_server()
    sent = authenticate(client, server)
    assert sent[0].octets.startswith(f"n,a={authzid.replace('=', '=3D').replace(',', '=2C')},".encode())
    assert server.security.authzid == client.security.authzid == authzid
    assert server.security.authcid == "alice"


@pytest.mark.requirement("RFC5802-5.1-03", "RFC4422-3.6-06")
def test_a_forbidden_identity_fails_after_the_right_password_only() -> None:
    with pytest.raises(NoImpersonation) as caught:
        authenticate(new_client(authzid="root"), new_server())
    assert caught.value.token == b"e=other-error"
    with pytest.raises(LogonDenied):
        authenticate(new_client(password="wrong", authzid="root"), new_server())


@pytest.mark.requirement("RFC5801-4-04", "RFC5802-6-10")
@pytest.mark.parametrize(("old", "new"), [(b"n,a=admin,", b"n,a=alice,"), (b"n,a=admin,", b"n,,"), (b"n,", b"y,")])
def test_a_header_changed_on_its_way_is_found_out(old: bytes, new: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        authenticate(new_client(authzid="admin"), new_server(), tampered(To.SERVER, 0, replace((old, new))))
    assert caught.value.token == b"e=channel-bindings-dont-match"


@pytest.mark.requirement("RFC5801-4-03", "RFC4422-3.4.1-01")
@pytest.mark.parametrize("authzid", ["a\0", "\ud800"])
def test_the_client_refuses_an_identity_that_cannot_be_sent(authzid: str) -> None:
    with pytest.raises(InvalidParameter):
        new_client(authzid=authzid)


# Order and misuse


@pytest.mark.parametrize("message", [b"", b"n", b"c=biws,r=x,p=QUJD", b"\xff"])
def test_the_server_takes_nothing_else_first(message: bytes) -> None:
    with pytest.raises(InvalidToken) as caught:
        new_server().step(message)
    assert (caught.value.token or b"").startswith(b"e=")


def test_the_client_takes_no_challenge_first() -> None:
    with pytest.raises(InvalidToken):
        new_client().step(b"r=x,s=QUJD,i=4096")


def test_the_client_takes_only_a_password() -> None:
    with pytest.raises(NoCredentials):
        Client("SCRAM-SHA-256", service="imap", host="h")
    with pytest.raises(UnknownCredentials):
        Client("SCRAM-SHA-256", service="imap", host="h", credentials=Anonymous("x"))


def test_two_exchanges_with_the_same_randomness_are_the_same() -> None:
    def run() -> list[bytes]:
        counter = iter(range(1, 100))
        environment = Environment(random=lambda size: bytes([next(counter)]) * size)
        authority = MemoryAuthority({"alice": "wonderland"}, salt_key=bytes(16))
        client, server = new_client(environment=environment), new_server(environment=environment, authority=authority)
        return [message.octets for message in authenticate(client, server)]

    assert run() == run()


def test_secrets_stay_out_of_what_is_shown() -> None:
    client, server = new_client(), new_server()
    authenticate(client, server)
    shown = repr((client, server, client.security, server.security, STORED))
    assert "wonderland" not in shown
    assert repr(STORED.stored_key) not in shown


@pytest.mark.parametrize(("to", "number"), [(To.SERVER, 0), (To.CLIENT, 0), (To.SERVER, 1), (To.CLIENT, 1)], ids=str)
@pytest.mark.parametrize("position", [0, 5, 9, -12, -5, -2])
def test_no_message_can_be_changed_unnoticed(to: To, number: int, position: int) -> None:
    client, server = new_client(), new_server()
    with pytest.raises(SaslError):
        authenticate(client, server, tampered(to, number, flip(position)))
    assert not client.done


def _derivations(*exchanges: tuple[Password, MemoryAuthority]) -> list[int]:
    """Return for each exchange how often keys were derived, both sides together."""
    found = []
    for credentials, authority in exchanges:
        with counting() as counted:
            authenticate(
                Client("SCRAM-SHA-256", service="ldap", host="h", credentials=credentials),
                Server("SCRAM-SHA-256", service="ldap", host="h", authority=authority),
            )
        found.append(sum(count for name, count in counted.work.items() if name.startswith("derivations by")))
    return found


@pytest.mark.requirement("RFC5802-5.1-22")
def test_the_keys_stay_with_the_password_that_they_were_derived_of() -> None:
    there, elsewhere = (
        MemoryAuthority([Account(username="alice", scram={"SHA-256": derive_scram_keys("wonderland", salt=salt)})])
        for salt in (b"a salt", b"another salt")
    )
    alice = Password("alice", "wonderland")
    assert _derivations((alice, there), (alice, there), (alice, elsewhere), (alice, there)) == [1, 0, 1, 0]
    assert _derivations((Password("alice", "wonderland"), there)) == [1], "another object knows nothing of it"
    assert alice == Password("alice", "wonderland")
    assert hash(alice) == hash(Password("alice", "wonderland"))
    assert "wonderland" not in repr(alice)


def test_no_more_than_eight_are_kept() -> None:
    alice = Password("alice", "wonderland")
    asked: list[int] = []

    def derive(number: int) -> int:
        asked.append(number)
        return number

    for number in (*range(9), 8, 0):
        assert alice.derived(number, partial(derive, number)) == number
    assert asked == [*range(9), 0]
