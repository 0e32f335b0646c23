"""`saslsspi authd` as a process: what its clients see, whatever they do, and what becomes of its workers."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.authd import Authd, Talk
from saslsspi import Client, Password
from saslsspi.accounts.account import Secret
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived

KINDS = (Secret.SCRAM_SHA_256, Secret.HA1, Secret.NT_HASH)
REALM = "example.test"


@pytest.fixture
def store(tmp_path: Path) -> str:
    place = f"toml:{tmp_path / 'accounts'}"
    keys = derived("alice", "wonderland", kinds=KINDS, realms=[REALM], iterations=4096)
    store_at(place).write({"alice": keys})
    return place


@pytest.fixture
def authd(store: str, tmp_path: Path) -> Iterator[Authd]:
    with Authd(tmp_path, [store]) as service:
        yield service


def test_it_offers_what_the_accounts_can_verify_and_says_what_each_is(authd: Authd) -> None:
    with Talk(authd.dovecot) as talk:
        described = {words[1]: set(words[2:]) for words in talk.greeting if words[0] == "MECH"}
        assert talk.greeting[0] == ["VERSION", "1", "2"]
        assert {"CUID", "SPID", "COOKIE"} <= {words[0] for words in talk.greeting}
    assert "plaintext" in described["PLAIN"]
    assert "mutual-auth" in described["SCRAM-SHA-256"]
    assert "plaintext" not in described["SCRAM-SHA-256"]
    assert {"PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM"} <= set(described)
    assert not [name for name in described if name.endswith("-PLUS") or name in ("SCRAM-SHA-1", "ANONYMOUS")]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "NTLM", "GSS-SPNEGO"])
@pytest.mark.parametrize(("password", "answer"), [("wonderland", "OK"), ("looking-glass", "FAIL")])
@pytest.mark.parametrize("initial", [True, False])
def test_every_mechanism(mechanism: str, password: str, answer: str, initial: bool, authd: Authd) -> None:
    client = Client(
        mechanism, service="smtp", host="localhost", credentials=Password("alice", password), external_ssf=256
    )
    with Talk(authd.dovecot) as talk:
        said = client.start()
        words = ["AUTH", "9", mechanism, "service=smtp", "secured"]
        if said is not None and initial:
            words.append(f"resp={b64encode(said).decode()}")
            said = None
        talk.send("\t".join(words))
        while (reply := talk.line())[0] == "CONT":
            challenge = b64decode(reply[2])
            if said is None and not client.done:
                said = client.step(challenge)
            elif said is None:
                client.succeed(challenge or None)
            talk.send(f"CONT\t9\t{b64encode(said or b'').decode()}")
            said = None
    assert reply[:2] == [answer, "9"]
    if answer == "OK":
        assert "user=alice" in reply


def test_passwords_are_taken_from_secured_clients_alone(authd: Authd) -> None:
    response = b64encode(b"\0alice\0wonderland").decode()
    with Talk(authd.dovecot) as talk:
        talk.send(f"AUTH\t1\tPLAIN\tservice=smtp\tresp={response}")
        assert talk.line() == ["FAIL", "1"]
        assert talk.plain("alice", "wonderland", 2)[0] == "OK"


def test_a_refusal_leaves_a_record_with_the_address(authd: Authd) -> None:
    with Talk(authd.dovecot) as talk:
        assert talk.plain("alice", "wrong", 1, "rip=192.0.2.9", "rport=1025") == ["FAIL", "1"]
    assert "'alice@example.test' was refused with PLAIN from '192.0.2.9:1025'" in authd.log


def test_a_refusal_is_held_back_and_nothing_else_waits_for_it(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store], delay=2.0) as service, Talk(service.dovecot) as talk:
        began = time.monotonic()
        wrong, right = (b64encode(f"\0alice\0{word}".encode()).decode() for word in ("wrong", "wonderland"))
        talk.send(f"AUTH\t1\tPLAIN\tsecured\tresp={wrong}", f"AUTH\t2\tPLAIN\tsecured\tresp={right}")
        assert [talk.line()[:2], talk.line()[:2]] == [["OK", "2"], ["FAIL", "1"]]
        assert time.monotonic() - began >= 2.0


def test_a_thousand_logons_at_once(store: str, tmp_path: Path) -> None:
    def many(start: int) -> int:
        with Talk(service.dovecot) as talk:
            response = b64encode(b"\0alice\0wonderland").decode()
            talk.send(*(f"AUTH\t{start + at}\tPLAIN\tsecured\tresp={response}" for at in range(100)))
            return sum(talk.line()[0] == "OK" for _ in range(100))

    with Authd(tmp_path, [store], workers=2) as service, ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(many, range(0, 10_000, 1000))) == 1000


HOSTILE = [
    b"\n" * 10, b"VERSION\t9\t9\n", b"AUTH\n", b"AUTH\tx\ty\n", b"A" * 40_000, b"\0\xff\xfe\n", b"CONT\t5\tAA==\n",
    b"AUTH\t1\tSCRAM-SHA-256\tsecured\nAUTH\t1\tPLAIN\n", b"CONT\t1\t%%%\n", b"CANCEL\nCANCEL\t7\n", b"NONSENSE\tx\n",
    b"AUTH\t1\t\xff\xff\n", b"AUTH\t1\tPLAIN\tresp=" + b"A" * 20_000 + b"\n",
    b"AUTH\t2\tSCRAM-SHA-256\tsecured\nCONT\t2\t\nCONT\t2\t\n",
]  # fmt: skip


@pytest.mark.parametrize("octets", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_clients_harm_nobody_else(octets: bytes, authd: Authd) -> None:
    with Talk(authd.dovecot) as good:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as bad:
                bad.connect(str(authd.dovecot))
                bad.sendall(octets)
        assert good.plain("alice", "wonderland")[0] == "OK"
    assert "Traceback" not in authd.log


def test_rubbish_for_a_while(authd: Authd) -> None:
    choice = random.Random(7)
    for path in (authd.dovecot, authd.saslauthd):
        for _ in range(60):
            with socket.socket(socket.AF_UNIX) as bad:
                bad.connect(str(path))
                bad.sendall(choice.randbytes(choice.randint(0, 600)))
    with Talk(authd.dovecot) as good:
        assert good.plain("alice", "wonderland")[0] == "OK"
    assert "Traceback" not in authd.log


def test_a_client_that_goes_away_leaves_a_record_and_nothing_else(authd: Authd) -> None:
    with Talk(authd.dovecot) as talk:
        talk.send("AUTH\t1\tSCRAM-SHA-256\tsecured\trip=192.0.2.77")
        assert talk.line() == ["CONT", "1", ""]
    with Talk(authd.dovecot) as talk:
        talk.send("AUTH\t1\tSCRAM-SHA-256\tsecured", "CANCEL\t1", "AUTH\t1\tSCRAM-SHA-256\tsecured")
        assert talk.line()[:2] == ["CONT", "1"]
    with Talk(authd.dovecot) as talk:
        assert talk.plain("alice", "wonderland")[0] == "OK"


def saslauthd(path: Path, *strings: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(path))
        peer.sendall(b"".join(len(one).to_bytes(2) + one for one in strings))
        answer = peer.makefile("rb").read()
    return answer[2:]


def test_plain_passwords_for_programs_of_cyrus(authd: Authd) -> None:
    assert saslauthd(authd.saslauthd, b"alice", b"wonderland", b"imap", b"") == b"OK"
    for wrong in ([b"alice", b"x", b"imap", b""], [b"nobody", b"x", b"imap", b""], [b"alice", b"", b"", b""]):
        assert saslauthd(authd.saslauthd, *wrong).startswith(b"NO")
    assert saslauthd(authd.saslauthd, b"alice", b"a\0b", b"imap", b"") == b""


def test_a_worker_that_is_killed_takes_its_own_connections_alone(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store], workers=3) as service:
        talks = [Talk(service.dovecot) for _ in range(30)]
        victim = talks[0].worker
        os.kill(victim, signal.SIGKILL)
        for talk in talks:
            if talk.worker == victim:
                with pytest.raises((EOFError, OSError)):
                    talk.plain("alice", "wonderland")
            else:
                assert talk.plain("alice", "wonderland")[0] == "OK"
        for talk in talks:
            talk.__exit__()
        deadline = time.monotonic() + 30
        while "another one is started" not in service.log and time.monotonic() < deadline:
            time.sleep(0.1)
        with Talk(service.dovecot) as talk:
            assert talk.plain("alice", "wonderland")[0] == "OK"


def wait_for(service: Authd, user: str, answer: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        with Talk(service.dovecot) as talk:
            if talk.plain(user, "wonderland")[0] == answer:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_new_configuration_is_read_on_sighup_and_a_broken_one_is_not_taken(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store]) as service:
        store_at(store).write({"bob": derived("bob", "wonderland", kinds=KINDS, realms=[REALM], iterations=4096)})
        wait_for(service, "bob", "FAIL")
        service.signal(signal.SIGHUP)
        wait_for(service, "bob", "OK")
        service.configuration.write_text("nonsense = ")
        service.signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while "the configuration stays as it was" not in service.log:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        wait_for(service, "bob", "OK")


def test_it_ends_on_sigterm_and_leaves_no_socket(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store], workers=2) as service:
        service.signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
        assert not service.dovecot.exists()
        assert not service.saslauthd.exists()


@pytest.mark.parametrize("configured", [True, False])
def test_unknown_users_are_shown_the_same_by_every_worker(configured: bool, store: str, tmp_path: Path) -> None:
    """Else two questions tell who has an account: a known user's salt is the same at each."""

    def shown(user: str) -> set[bytes]:
        said, workers = set(), set()
        response = b64encode(f"n,,n={user},r=abc".encode()).decode()
        while len(workers) < 3:
            with Talk(service.dovecot) as talk:
                workers.add(talk.worker)
                talk.send(f"AUTH\t1\tSCRAM-SHA-256\tsecured\tresp={response}")
                said.add(b64decode(talk.line()[2]).partition(b",")[2])
        return said

    before: set[bytes] = set()
    for _ in range(2):
        with Authd(tmp_path, [store], workers=3, decoy_key="0a" * 32 if configured else "") as service:
            assert len(shown("alice")) == 1
            assert len(shown("nobody")) == 1
            before |= shown("nobody")
    assert len(before) == (1 if configured else 2), "over a restart a key of the configuration is needed"
