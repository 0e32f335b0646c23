"""Programs for ldap3, unchanged, against a domain controller that takes no bind which neither signs nor stands in TLS.

Each is also shown to be refused without us: same program, same arguments, same controller.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from interop.people import ALICE, BOB, JOERG, Person
from interop.require import require_peer
from interop.samba import Samba
from world.programs import python_with

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_ldap3"
DUMP: Final = ("ldapdomaindump==0.10.0",)
DJANGO: Final = ("django-python3-ldap==0.16.0", "Django==5.2.8")
FLASK: Final = ("flask-ldap3-login==1.1.0", "Flask==3.1.2")
LATER: Final = "2.10.2rc4"  # the development line
STRATEGIES: Final = (
    "SYNC", "SAFE_SYNC", "ASYNC", "ASYNC_STREAM", "RESTARTABLE", "SAFE_RESTARTABLE", "REUSABLE",
)  # fmt: skip


@pytest.fixture(scope="module")
def samba() -> Iterator[Samba]:
    require_peer("gssapi")
    with Samba() as server:
        yield server


@dataclass(frozen=True)
class Ended:
    """What a program has left behind."""

    status: int
    output: str
    errors: str

    @property
    def told(self) -> dict[str, object]:
        """The one line of JSON that our own scripts print."""
        line = next((line for line in self.output.splitlines() if line.startswith("{")), "{}")
        told: dict[str, object] = json.loads(line)
        return told


def run(
    samba: Samba, python: Path, program: Sequence[str], *, sealed: bool, options: Sequence[str] = (), **environment: str
) -> Ended:
    """Run a program where the controller can be reached; sealed: with ldap3's face, and options of it, in place."""
    face = ["-m", "saslsspi.compat", "run", "--as", "ldap3", *options] if sealed else []
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def start() -> Ended:
        done = subprocess.run(
            [str(python), *face, *program],
            capture_output=True, text=True, check=False, timeout=300, env={**known, **environment},
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    return samba.within(start)


@pytest.mark.parametrize("person", [ALICE, JOERG], ids=lambda person: person.name)
def test_ldapdomaindump(samba: Samba, tmp_path: Path, person: Person) -> None:
    python = python_with(*DUMP)
    command = str(python.parent / "ldapdomaindump")
    program = [command, "-u", f"{Samba.domain}\\{person.name}", "-p", person.password, "-o", str(tmp_path), "127.0.0.1"]
    refused = run(samba, python, program, sealed=False)
    assert not list(tmp_path.glob("domain_users*")), refused.output
    done = run(samba, python, program, sealed=True)
    assert done.status == 0, done.output + done.errors
    users = json.loads((tmp_path / "domain_users.json").read_text(encoding="utf-8"))
    names = {user["attributes"]["sAMAccountName"][0] for user in users}
    assert {ALICE.name, JOERG.name, "Administrator"} <= names
    wrong = [*program[:4], "not the password", *program[5:-2], str(tmp_path / "wrong"), "127.0.0.1"]
    done = run(samba, python, wrong, sealed=True)
    assert not list(tmp_path.glob("wrong/*"))
    assert "invalidCredentials" in done.output + done.errors


@pytest.mark.parametrize("script", ["flask_login.py", "django_login.py"])
def test_logins_of_web_frameworks(samba: Samba, script: str) -> None:
    python = python_with(*(FLASK if script.startswith("flask") else DJANGO))
    program = [str(HERE / script), Samba.realm, Samba.base]
    refused = run(samba, python, program, sealed=False)
    assert refused.told == {"alice": None, "jörg": None, "wrong": None}, refused.errors
    done = run(samba, python, program, sealed=True)
    # django-python3-ldap binds as jörg and then looks for j\f6rg, which is no UTF-8 (its clean_ldap_name).
    joerg = None if script.startswith("django") else "jörg"
    assert done.told == {"alice": "alice", "jörg": joerg, "wrong": None}, done.errors


def test_bloodhound(samba: Samba, tmp_path: Path) -> None:
    python = python_with("bloodhound==1.9.0")

    def files(password: str, *, sealed: bool) -> set[str]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        program = [str(HERE / "bloodhound_run.py"), str(folder), "example.test", Samba.host, JOERG.name, password]
        done = run(samba, python, program, sealed=sealed)
        assert (done.status == 0) == bool(list(folder.iterdir())), done.errors
        return {path.stem.partition("_")[2] for path in folder.iterdir()}

    assert files(JOERG.password, sealed=False) == set()
    assert {"users", "groups", "computers", "domains"} <= files(JOERG.password, sealed=True)
    assert files("not his", sealed=True) == set()


def test_ms_active_directory(samba: Samba) -> None:
    python = python_with("ms-active-directory==1.14.1", this=("kerberos",))
    program = [str(HERE / "active_directory.py"), "example.test", f"{JOERG.name}@example.test"]
    assert run(samba, python, [*program, JOERG.password], sealed=False).output.startswith("refused: ")
    assert run(samba, python, [*program, JOERG.password], sealed=True).output == "jörg True\n"
    assert "invalidCredentials" in run(samba, python, [*program, "not his"], sealed=True).output


@pytest.mark.parametrize("tls", [False, True], ids=["sealed", "StartTLS"])
def test_a_login_whose_connection_is_rebound_by_another_account(samba: Samba, tls: bool) -> None:
    """As django-python3-ldap looks users up with an account of the settings: Samba takes no second layer."""
    ways = ["account", str(samba.ca_file)] if tls else ["account"]
    program = [str(HERE / "django_login.py"), Samba.realm, Samba.base, *ways]
    done = run(samba, python_with(*DJANGO), program, sealed=True)
    assert done.told == {"alice": "alice", "jörg": None, "wrong": None}, done.errors


def test_a_login_with_a_dn_that_was_searched(samba: Samba, tmp_path: Path) -> None:
    program = [str(HERE / "flask_login.py"), Samba.realm, Samba.base, "search"]
    done = run(samba, python_with(*FLASK), program, sealed=True)
    assert set(done.told.values()) == {None}, "nobody says whose a DN is"
    lookup = tmp_path / "lookup"
    lookup.write_text(f"{BOB.name}@{Samba.realm}\n{BOB.password}\n", encoding="utf-8")
    options = ("--with", f"lookup={lookup}")
    done = run(samba, python_with(*FLASK), program, sealed=True, options=options)
    assert done.told == {"alice": "alice", "jörg": "jörg", "wrong": None}, done.errors


def with_tickets(samba: Samba, version: str) -> tuple[Path, dict[str, str]]:
    """Return a Python with some version of ldap3, and an environment in which alice has a ticket."""
    cache = f"FILE:{samba.folder}/tickets"

    def kinit() -> None:
        subprocess.run(["kinit", "-c", cache, f"{ALICE.name}@{Samba.realm}"], input=ALICE.password, text=True,
                       check=True, capture_output=True)  # fmt: skip

    samba.within(kinit)
    python = python_with(f"ldap3=={version}", "gssapi==1.11.1")
    return python, {"KRB5CCNAME": cache, "KRB5_CONFIG": str(samba.folder / "krb5.conf")}


@pytest.mark.parametrize(("strategy", "version"), [*((strategy, "2.9.1") for strategy in STRATEGIES), ("SYNC", LATER)])
def test_ldap3_s_own_calls_in_every_strategy(samba: Samba, strategy: str, version: str) -> None:
    python, environment = with_tickets(samba, version)
    program = [str(HERE / "own_calls.py"), strategy, Samba.base, str(samba.ca_file)]
    refused = run(samba, python, program, sealed=False, **environment).told
    assert refused, "the script itself must run"
    clear = ("NTLM", "NTLM beyond ASCII", "user@domain", "DOMAIN\\user", "Kerberos")
    assert [refused[name] for name in clear] == ["refused"] * len(clear)
    done = run(samba, python, program, sealed=True, **environment)
    assert set(done.told) == set(refused)
    wrong = {name: result for name, result in done.told.items() if name.startswith("wrong")}
    assert set(wrong.values()) == {"refused"}
    assert {name: found for name, found in done.told.items() if name not in wrong and found != "found"} == {}, (
        done.errors
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_ldap3_s_development_line_asks_for(samba: Samba, strategy: str) -> None:
    python, environment = with_tickets(samba, LATER)
    program = [str(HERE / "later_calls.py"), strategy, Samba.base, str(samba.ca_file)]
    if strategy == "SYNC":  # the threads of others end with "Confidentiality layers are only available for synchronous"
        told = run(samba, python, program, sealed=False, **environment).told
        assert {name: told[name] for name in ("NTLM, sealed", "NTLM, bound")} == {
            "NTLM, sealed": "refused", "NTLM, bound": "refused",
        }  # fmt: skip
    done = run(samba, python, program, sealed=True, **environment)
    assert done.told == {
        "NTLM, sealed": "found",
        "NTLM beyond ASCII, sealed": "found",
        "Kerberos, sealed": "found",
        "NTLM, bound": "found",
        "NTLM, bound, StartTLS": "found",
        "NTLM, bound and sealed": "found",
        "Kerberos, sealed, LDAPS": "found",
        "wrong password, sealed": "refused",
        "wrong password, bound": "refused",
        "wrong password, bound, StartTLS": "refused",
        "no TLS to bind to": "refused",
        "simple cannot be sealed": "invalid value",
        "simple cannot be bound": "invalid value",
        "Kerberos cannot be bound by name": "invalid value",
    }, done.errors


def test_what_programs_do_on_a_bound_connection_and_binds_on_other_paths(samba: Samba) -> None:
    program = [str(HERE / "more_calls.py"), Samba.base, str(samba.ca_file)]
    done = run(samba, python_with("ldap3==2.9.1"), program, sealed=True)
    assert done.told, done.errors
    assert {name: came for name, came in done.told.items() if came != "good"} == {}, done.errors
