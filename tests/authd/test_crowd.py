"""Many connections at a worker, those that do nothing, and what becomes of all of them when it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from authd.test_service import KINDS, REALM, saslauthd
from interop.authd import Authd, Talk
from saslsspi.accounts.stores.places import store_at
from saslsspi.accounts.stores.stored import derived


@pytest.fixture
def store(tmp_path: Path) -> str:
    place = f"toml:{tmp_path / 'accounts'}"
    store_at(place).write({"alice": derived("alice", "wonderland", kinds=KINDS, realms=[REALM], iterations=4096)})
    return place


def heard_out(talk: Talk) -> None:
    while talk.line():
        pass


@pytest.mark.parametrize("begins", [False, True], ids=["silent", "in the middle of an exchange"])
def test_whoever_holds_all_connections_keeps_nobody_out(begins: bool, store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store], limits="connections = 8") as service:
        hogs = []
        for _ in range(20):
            hogs.append(Talk(service.dovecot))
            if begins:
                hogs[-1].send("AUTH\t1\tSCRAM-SHA-256\tsecured")
                assert hogs[-1].line()[0] == "CONT"
        for _ in range(3):
            with Talk(service.dovecot) as talk:
                for number in range(3):
                    assert talk.plain("alice", "wonderland", number + 1)[0] == "OK"
            assert saslauthd(service.saslauthd, b"alice", b"wonderland", b"imap", b"") == b"OK"
        with pytest.raises((EOFError, ConnectionError)):
            heard_out(hogs[0])  # FAIL for what it has begun, and then the end
        for hog in hogs:
            hog.__exit__()


def test_who_works_stays_and_who_is_silent_goes(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store], limits="connections = 4") as service, Talk(service.dovecot) as working:
        for number in range(20):
            with Talk(service.dovecot) as silent:
                assert silent.mechanisms
                assert working.plain("alice", "wonderland", number + 1)[0] == "OK"


def test_nobody_notices_a_new_configuration(store: str, tmp_path: Path) -> None:
    """Logons run at all times while it is read three times; each of them ends as it would have without."""
    answers: Counter[str] = Counter()
    over = threading.Event()

    def visit() -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                with Talk(service.dovecot) as talk:
                    word, _, *more = talk.plain("alice", "wonderland" if number % 8 else "wrong", 1)
                    answers[" ".join([word, *more])] += 1
                if number % 4 == 0:
                    answers[saslauthd(service.saslauthd, b"alice", b"wonderland", b"imap", b"").decode()] += 1
            except (EOFError, OSError) as error:
                answers[type(error).__name__] += 1

    with Authd(tmp_path, [store], workers=2, delay=1.0) as service:
        threads = [threading.Thread(target=visit) for _ in range(4)]
        for thread in threads:
            thread.start()
        seen: set[int] = set()
        for _ in range(3):
            with Talk(service.dovecot) as talk:
                before = talk.worker
            seen.add(before)
            service.signal(signal.SIGHUP)
            deadline = time.monotonic() + 30
            while Path(f"/proc/{before}").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        over.set()
        for thread in threads:
            thread.join()
        assert len(seen) == 3
    assert set(answers) == {"OK user=alice", "FAIL", "OK"}, answers


def test_a_carrier_that_keeps_its_connection_comes_again(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store]) as service, Talk(service.dovecot) as kept:
        assert kept.plain("alice", "wonderland", 1)[0] == "OK"
        service.signal(signal.SIGHUP)
        with pytest.raises((EOFError, OSError)):
            kept.line()  # it is told so by the end
        with Talk(service.dovecot) as talk:
            assert talk.worker != kept.worker
            assert talk.plain("alice", "wonderland", 1)[0] == "OK"


def test_an_exchange_that_hangs_is_given_up_and_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hanging.py").write_text(
        "import time\ndef check(username, password):\n    time.sleep(4 if username == 'slow' else 0)\n    return True\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    more = '[[verifier]]\nfunction = "hanging:check"\ntimeout = 60\n'
    with Authd(tmp_path, [], more=more, limits="exchange_seconds = 0.5") as service, Talk(service.dovecot) as talk:
        began = time.monotonic()
        assert talk.plain("slow", "x", 1) == ["FAIL", "1", "temp"]
        assert time.monotonic() - began < 4
        assert talk.plain("alice", "x", 1)[0] == "OK", "the number is free again"


def test_a_module_that_breaks_is_no_new_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_check.py").write_text("def check(username, password):\n    return True\n")
    (tmp_path / "broken_check.py").write_text("raise ZeroDivisionError('here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Authd(tmp_path, [], more='[[verifier]]\nfunction = "own_check:check"\n') as service:
        service.write(more='[[verifier]]\nfunction = "broken_check:check"\n')
        service.signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while "the configuration stays as it was" not in service.log:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with Talk(service.dovecot) as talk:
            assert talk.plain("alice", "x", 1)[0] == "OK"


HANGING = """
import time
from saslsspi.services.supervisor import Supervisor
Supervisor(lambda: (2, lambda ready: time.sleep(3600))).run()
"""


def test_a_service_whose_workers_do_not_come_up_ends_when_it_is_told_to() -> None:
    process = subprocess.Popen([sys.executable, "-c", HANGING])
    try:
        time.sleep(1)
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


def test_what_hostile_clients_begin_is_recorded_with_the_address(store: str, tmp_path: Path) -> None:
    with Authd(tmp_path, [store]) as service:
        with Talk(service.dovecot) as talk:
            talk.send("AUTH\t1\tSCRAM-SHA-256\tsecured\trip=192.0.2.77\trport=5")
            assert talk.line()[0] == "CONT"
        deadline = time.monotonic() + 30
        while "from '192.0.2.77:5'" not in service.log:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(service.saslauthd))
