"""`saslsspi gateway` in front of a domain controller of ten thousand entries that demands sealing.

What cannot seal reads them all: ldapsearch -x, PHP's ldap_bind and stock ldap3. Five hundred of them at once, and what
is left of those that die: nothing.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import ldap3
import pytest

from gateway.world import open_files
from interop.gateway import GatewayProcess
from interop.people import ALICE, JOERG
from interop.require import program, require_peer
from interop.samba import Samba
from testbed.raw_ldap import RawLdap, request, search, simple_bind

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_gateway"
COUNT: Final = 10_000
AT_ONCE: Final = 500
MANY: Final = f"OU=many,{Samba.base}"
USER: Final = f"{ALICE.name}@{Samba.realm}"
SUCCESS, STRONGER_AUTH, INVALID_CREDENTIALS = 0, 8, 49


@pytest.fixture(scope="module")
def samba() -> Iterator[Samba]:
    with Samba() as server:
        database, configuration = server.folder / "private" / "sam.ldb", server.folder / "etc" / "smb.conf"
        command = ["/usr/bin/python3", str(HERE / "fill.py"), str(configuration), str(database), Samba.base, str(COUNT)]
        filled = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
        assert filled.returncode == 0, filled.stderr
        yield server


@pytest.fixture(scope="module")
def gateway(samba: Samba, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    with contextlib.ExitStack() as stack:
        # One process of Samba answers all of them, in turn.
        limits = "connect_seconds = 120\nlogon_seconds = 120"
        made = GatewayProcess(folder, 'servers = ["localhost"]', limits=limits)
        yield samba.within(lambda: stack.enter_context(made))


@pytest.fixture(autouse=True)
def nothing_stays(gateway: GatewayProcess) -> Iterator[None]:
    """Behind each test the worker has as many file descriptors as before."""
    (worker,) = gateway.workers
    wait_until(lambda: open_files(worker) == IDLE.setdefault(worker, open_files(worker)))
    yield
    if gateway.workers == [worker]:
        wait_until(lambda: open_files(worker) <= IDLE[worker])
    assert "Traceback" not in gateway.log


IDLE: Final[dict[int, int]] = {}


def wait_until(holds: object) -> None:
    deadline = time.monotonic() + 60
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def url(gateway: GatewayProcess) -> str:
    return f"ldap://127.0.0.1:{gateway.port}"


def ldapsearch(there: str, password: str, *more: str) -> tuple[int, int]:
    command = [program("ldapsearch"), "-x", "-LLL", "-N", "-H", there, "-D", USER, "-w", password, "-b", MANY]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, done.stdout.count("dn: ")


def test_ldapsearch(samba: Samba, gateway: GatewayProcess) -> None:
    require_peer("ldap-utils")
    pages = ("-E", "pr=500/noprompt", "(objectClass=contact)", "cn")
    assert samba.within(lambda: ldapsearch("ldap://127.0.0.1", ALICE.password, *pages)) == (STRONGER_AUTH, 0)
    assert samba.within(lambda: ldapsearch(url(gateway), ALICE.password, *pages)) == (SUCCESS, COUNT)
    assert samba.within(lambda: ldapsearch(url(gateway), "looking-glass", *pages)) == (INVALID_CREDENTIALS, 0)


def test_php(samba: Samba, gateway: GatewayProcess) -> None:
    require_peer("php")

    def run(there: str, password: str) -> dict[str, object]:
        command = [program("php"), str(HERE / "read_all.php"), there, USER, password, MANY, "500"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
        told: dict[str, object] = json.loads(done.stdout)
        return told

    refused = samba.within(lambda: run("ldap://127.0.0.1", ALICE.password))
    assert refused == {"bound": False, "code": STRONGER_AUTH}
    assert samba.within(lambda: run(url(gateway), ALICE.password)) == {"bound": True, "count": COUNT}
    wrong = samba.within(lambda: run(url(gateway), "looking-glass"))
    assert wrong == {"bound": False, "code": INVALID_CREDENTIALS}


def test_stock_ldap3(samba: Samba, gateway: GatewayProcess) -> None:
    def run(port: int, password: str) -> tuple[int, int]:
        server = ldap3.Server("127.0.0.1", port=port, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, USER, password)
        if not connection.bind():
            code = int(connection.result["result"])
            connection.unbind()
            return code, 0
        found = connection.extend.standard.paged_search(MANY, "(objectClass=contact)", paged_size=500)
        count = sum(1 for each in found if each["type"] == "searchResEntry")
        connection.unbind()
        return SUCCESS, count

    assert samba.within(lambda: run(389, ALICE.password)) == (STRONGER_AUTH, 0)
    assert samba.within(lambda: run(gateway.port, ALICE.password)) == (SUCCESS, COUNT)
    assert samba.within(lambda: run(gateway.port, "looking-glass")) == (INVALID_CREDENTIALS, 0)


def connections(samba: Samba, gateway: GatewayProcess, count: int) -> list[RawLdap]:
    # A socket lives where it was made; what is done with it later can be done by any thread.
    made = samba.within(lambda: [RawLdap(gateway.port) for _ in range(count)])
    for client in made:
        client._socket.settimeout(120)
    return made


def test_five_hundred_at_once(samba: Samba, gateway: GatewayProcess) -> None:
    clients = connections(samba, gateway, AT_ONCE)
    try:

        def read(numbered: tuple[int, RawLdap]) -> tuple[int | None, int]:
            number, client = numbered
            wrong = number % 10 == 9
            person = ALICE if number % 2 else JOERG
            answer = client.ask(simple_bind(f"{person.name}@{Samba.realm}", "wrong" if wrong else person.password))
            if answer.code != SUCCESS:
                return answer.code, 0
            entries, done = client.find(search(f"CN=entry{number:05},{MANY}", scope=0, attributes=("cn",)))
            return done.code, len(entries)

        with ThreadPoolExecutor(100) as pool:
            results = list(pool.map(read, enumerate(clients)))
        assert Counter(results) == {
            (SUCCESS, 1): AT_ONCE * 9 // 10,
            (INVALID_CREDENTIALS, 0): AT_ONCE // 10,
        }, gateway.log[-3000:]
    finally:
        for client in clients:
            client._socket.close()


def test_clients_that_are_killed_in_the_middle_of_a_search(samba: Samba, gateway: GatewayProcess) -> None:
    command = [program("ldapsearch"), "-x", "-LLL", "-N", "-H", url(gateway), "-D", USER, "-w", ALICE.password]
    command += ["-b", MANY, "-E", "pr=1000/noprompt"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    for _ in range(10):
        process = samba.within(start)
        assert process.stdout is not None
        assert process.stdout.read(100)
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        process.wait()


def test_a_server_that_dies_in_the_middle_of_a_search(samba: Samba, gateway: GatewayProcess) -> None:
    """The last test here: it ends the server."""
    (worker,) = gateway.workers
    before = open_files(worker)
    clients = connections(samba, gateway, 20)
    for client in clients:
        assert client.ask(simple_bind(USER, ALICE.password)).code == SUCCESS
        client.send_raw(request(2, search(MANY)))
    assert open_files(worker) >= before + 40
    samba.__exit__(None, None, None)
    for client in clients:
        client.read_to_end()
        client._socket.close()
