"""Our server meets an initial response: the next count of a session, or anything else (RFC 2831 section 2.2.2)."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace as changed

import pytest

from packages.digest.ours import new_server, remembering
from packages.digest.scripted import HOST, REALM, ScriptedClient, values
from saslsspi import Environment, MemoryNonceStore, Policy, Server, sspi
from saslsspi.accounts.nonces import NonceRecord
from saslsspi.errors import SaslError


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def first_logon(server: Server, **named: object) -> ScriptedClient:
    """Log a scripted client on; it can go on from there."""
    script = ScriptedClient(**named)  # type: ignore[arg-type]  # the names are ScriptedClient's
    assert server.step(script.answer(server.step(None) or b""))
    assert not server.security.reauthenticated
    return script


def again(server: Server, script: ScriptedClient, count: int, **changes: object) -> bytes:
    """Send the response with this count as an initial response; return what comes."""
    reply = server.step(changed(script, nc=b"%08x" % count, **changes).message())  # type: ignore[arg-type]
    assert reply is not None
    return reply


def is_challenge(reply: bytes, server: Server, script: ScriptedClient) -> None:
    """A fresh challenge, with another nonce, and the exchange goes on as an initial one."""
    offered = values(reply)
    assert offered["nonce"] != script.nonce
    assert not server.done
    fresh = changed(script, nonce=b"", nc=b"00000001", cnonce=b"another cnonce", changes={}, extra=())
    assert server.step(fresh.answer(reply)) == b"rspauth=" + fresh.rspauth()
    assert server.done
    assert not server.security.reauthenticated


@pytest.mark.requirement("RFC2831-2.2.2-01", "RFC2831-2.2.2-15", "MSDPSP-3.1.5.3-01")
def test_a_server_without_a_store_answers_with_a_challenge_and_goes_on() -> None:
    server = new_server("auth")
    script = first_logon(server)
    server = server.again()
    is_challenge(again(server, script, 2), server, script)


@pytest.mark.requirement("RFC2831-2.2.2-02", "RFC2831-2.2.2-15")
def test_an_unknown_nonce_is_answered_with_a_challenge() -> None:
    server, _ = remembering()
    script = ScriptedClient(nonce=b"never issued")
    is_challenge(again(server, script, 2), server, script)


@pytest.mark.requirement("RFC2831-2.2.2-08", "RFC2831-2.2.1-03", "RFC2831-2.1.3-12")
def test_a_right_response_with_the_next_count_is_success_at_once() -> None:
    server, _ = remembering()
    script = first_logon(server)
    before = server.security
    server = server.again()
    assert again(server, script, 2) == b"rspauth=" + changed(script, nc=b"00000002").rspauth()
    assert server.done
    assert server.security == changed(before, reauthenticated=True)


@pytest.mark.requirement("RFC2831-2.2.2-03", "RFC2831-2.2.2-04", "RFC2831-2.1.2-23")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 0xFFFFFFFF])
def test_any_count_but_the_next_is_answered_with_a_challenge(count: int) -> None:
    server, _ = remembering()
    script = first_logon(server)
    for good in (2, 3):
        server = server.again()
        again(server, script, good)
        assert server.done
    server = server.again()
    is_challenge(again(server, script, count), server, script)
    server = server.again()
    again(server, script, 4)  # and the count has not moved
    assert server.done


@pytest.mark.requirement("RFC2831-2.2.2-05", "RFC2831-2.2.2-07", "RFC2831-2.2.2-15")
@pytest.mark.parametrize(
    "wrong",
    [
        {"password": b"guess"},
        {"username": b"other"},
        {"cnonce": b"other"},
        {"qop": b"auth-int"},
        {"digest_uri": b"ldap/" + HOST.encode()},
        {"realm": b"other.example"},
        {"authzid": b"admin"},
        {"changes": {"response": b"0" * 32}},
        {"changes": {"nonce": None}},
        {"extra": (b"nc=00000002",)},
    ],
)
def test_a_wrong_response_gets_a_challenge_and_does_not_use_up_the_count(wrong: dict[str, object]) -> None:
    server, _ = remembering(None)
    script = first_logon(server)
    server = server.again()
    reply = again(server, script, 2, **wrong)
    is_challenge(reply, server, script)
    server = server.again()
    again(server, script, 2)
    assert server.done
    assert server.security.reauthenticated


@pytest.mark.requirement("RFC2831-2.2.2-05")
@pytest.mark.parametrize("octets", [b"x", b"\xff" * 100, b"," * 5000, b"rspauth=" + b"0" * 32])
def test_octets_in_place_of_an_initial_response_get_a_challenge(octets: bytes) -> None:
    server, _ = remembering()
    reply = server.step(octets)
    assert values(reply or b"")["nonce"]


@pytest.mark.requirement("RFC2831-2.2.2-06")
def test_a_refusal_can_be_logged_for_an_audit(caplog: pytest.LogCaptureFixture) -> None:
    server, _ = remembering()
    script = first_logon(server)
    with caplog.at_level(logging.INFO, logger="saslsspi.audit"):
        caplog.clear()
        again(server.again(), script, 2)
        assert [record.levelno for record in caplog.records] == [logging.INFO]
        caplog.clear()
        again(server.again(), script, 3, password=b"guess")
        again(server.again(), script, 7)
    assert [record.name for record in caplog.records] == ["saslsspi.audit"] * 2
    assert "chris" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.requirement("RFC2831-2.2.2-09", "RFC2831-2.2.2-10")
def test_a_right_response_to_an_old_nonce_gets_a_stale_challenge() -> None:
    clock = Clock()
    server, _ = remembering(environment=Environment(clock=clock), policy=Policy(nonce_lifetime=60))
    script = first_logon(server)
    clock.now += 60
    server = server.again()
    again(server, script, 2)
    assert server.done
    clock.now += 1
    server = server.again()
    reply = again(server, script, 3)
    assert values(reply)["stale"] == b"true"
    is_challenge(reply, server, script)


@pytest.mark.requirement("RFC2831-2.2.2-11")
def test_a_wrong_response_to_an_old_nonce_does_not_look_stale() -> None:
    clock = Clock()
    server, _ = remembering(environment=Environment(clock=clock), policy=Policy(nonce_lifetime=60))
    script = first_logon(server)
    clock.now += 61
    for wrong in ({"password": b"guess"}, {"username": b"other"}, {"changes": {"response": b"0" * 32}}):
        assert "stale" not in values(again(server.again(), script, 2, **wrong))
    assert values(again(server.again(), script, 2))["stale"] == b"true"
    assert "stale" not in values(again(server.again(), script, 2))  # and the nonce is gone for good


@pytest.mark.requirement("RFC2831-2.2.2-09")
def test_after_a_new_store_nothing_old_is_accepted() -> None:
    server, _ = remembering()
    script = first_logon(server)
    restarted, _ = remembering()
    is_challenge(again(restarted, script, 2), restarted, script)


@pytest.mark.requirement("RFC2831-2.2.2-03", "RFC2831-2.2.2-04")
def test_one_count_sent_by_many_threads_at_once_wins_exactly_once() -> None:
    server, _ = remembering()
    script = first_logon(server)
    for count in range(2, 12):
        response = changed(script, nc=b"%08x" % count).message()
        servers = [server.again() for _ in range(8)]
        barrier = threading.Barrier(len(servers))
        replies: list[bytes | None] = []

        def log_on(
            mine: Server,
            response: bytes = response,
            barrier: threading.Barrier = barrier,
            replies: list[bytes | None] = replies,
        ) -> None:
            barrier.wait()
            replies.append(mine.step(response))

        threads = [threading.Thread(target=log_on, args=(mine,)) for mine in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(mine.done for mine in servers) == 1
        assert sum((reply or b"").startswith(b"rspauth=") for reply in replies) == 1


def test_two_servers_race_for_one_count_between_check_and_use() -> None:
    """Both have verified the response before either has used the count: the store decides."""

    class Racing(MemoryNonceStore):
        def __init__(self) -> None:
            super().__init__()
            self.meet = threading.Barrier(1)

        def find(self, nonce: bytes) -> NonceRecord | None:
            record = super().find(nonce)
            self.meet.wait()
            return record

    store = Racing()
    server = new_server("auth", nonce_store=store)
    script = first_logon(server)
    store.meet = threading.Barrier(2)
    servers = [server.again(), server.again()]
    threads = [threading.Thread(target=again, args=(mine, script, 2)) for mine in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mine.done for mine in servers) == [False, True]


@pytest.mark.requirement("RFC2831-2.2.2-09", "RFC2831-2.2.2-15")
@pytest.mark.parametrize("layer", ["auth-int", "rc4", "3des"])
def test_a_session_with_a_layer_gets_a_new_challenge_and_new_keys(layer: str) -> None:
    server, store = remembering(layer)
    qop = b"auth-int" if layer == "auth-int" else b"auth-conf"
    script = first_logon(server, qop=qop, changes={"cipher": None if layer == "auth-int" else layer.encode()})
    assert len(store) == 0
    assert server.layer is not None
    first = server.layer.wrap(b"text")
    server = server.again()
    reply = again(server, script, 2)
    assert values(reply)["nonce"] != script.nonce
    assert b"stale" not in reply
    fresh = changed(script, nonce=b"", nc=b"00000001", cnonce=b"another cnonce", extra=())
    assert server.step(fresh.answer(reply))
    assert server.layer is not None
    assert not server.security.reauthenticated
    assert server.layer.wrap(b"text") != first


@pytest.mark.requirement("RFC2831-2.2.2-09")
@pytest.mark.parametrize("qop", [b"auth-int", b"auth-conf", b"AUTH-INT"])
def test_no_response_that_asks_for_a_layer_takes_up_a_session(qop: bytes) -> None:
    """Nor where a store of another making remembers one."""
    server, store = remembering(None)
    script = first_logon(server)
    record = store.find(script.nonce)
    assert record is not None
    for session in (record.session, record.session._replace(qop=qop)):  # type: ignore[attr-defined]
        store._records[script.nonce] = (record._replace(session=session), 1)
        layered = server.again()
        assert values(again(layered, script, 2, qop=qop))["nonce"] != script.nonce
        assert not layered.done


@pytest.mark.requirement("RFC2831-2.1.2-29", "RFC2831-2.1.2-58")
def test_a_session_is_not_taken_up_where_its_layer_is_not_offered() -> None:
    store = MemoryNonceStore()
    sealing = first_logon(new_server("rc4", nonce_store=store), qop=b"auth-conf", changes={"cipher": b"rc4"})
    for layer in ("auth", "auth-int", "3des"):
        other = new_server(layer, nonce_store=store)
        assert values(again(other, sealing, 2))["nonce"] != sealing.nonce
        assert not other.done
    plain = first_logon(new_server("auth", nonce_store=store))
    strict = new_server("auth-int", nonce_store=store)
    again(strict, plain, 2)
    assert not strict.done


@pytest.mark.requirement("RFC2831-2.1.2-10")
def test_a_session_is_not_taken_up_where_its_realm_is_not_served() -> None:
    store = MemoryNonceStore()
    script = first_logon(new_server("auth", nonce_store=store))
    elsewhere = new_server("auth", nonce_store=store, realm="other.example")
    again(elsewhere, script, 2)
    assert not elsewhere.done


def test_the_store_is_bounded_and_forgets_the_oldest() -> None:
    store = MemoryNonceStore(size=3)
    scripts = [first_logon(new_server("auth", nonce_store=store)) for _ in range(5)]
    assert len(store) == 3
    done = []
    for script in scripts:
        server = new_server("auth", nonce_store=store)
        again(server, script, 2)
        done.append(server.done)
    assert done == [False, False, True, True, True]


def test_a_password_that_changed_at_home_does_not_matter_until_the_nonce_is_old() -> None:
    """What is remembered is H(A1); the account is asked for again with the next challenge."""
    accounts = {"chris": "secret"}
    clock = Clock()
    server = Server(
        "DIGEST-MD5",
        service="imap",
        host=HOST,
        realm=REALM,
        authority=None,
        policy=Policy(nonce_lifetime=60),
        environment=Environment(clock=clock, authority=_Live(accounts)),
        nonce_store=MemoryNonceStore(),
    )
    script = first_logon(server)
    accounts["chris"] = "changed"
    resumed = server.again()
    again(resumed, script, 2)
    assert resumed.done
    clock.now += 61
    late = server.again()
    reply = again(late, script, 3)
    with pytest.raises(SaslError):
        late.step(changed(script, nonce=b"", nc=b"00000001").answer(reply))


class _Live:
    def __init__(self, accounts: dict[str, str]) -> None:
        self._accounts = accounts

    def lookup(self, question: sspi.Question) -> sspi.Account | None:
        password = self._accounts.get(question.username)
        return None if password is None else sspi.Account(username=question.username, password=password)
