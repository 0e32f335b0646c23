"""Programs for Cyrus SASL's wrapper and for pure-sasl, unchanged, with the faces in their places."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from interop.kdc import Kdc
from interop.people import ALICE, BOB, HANAKO, Person
from interop.require import require_peer
from interop.zookeeper import zookeeper
from world.programs import python_with

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_sasl"
PROGRAMS: Final = ("PyHive==0.7.0", "thrift==0.23.0", "thrift_sasl==0.4.3", "impyla==0.24.0", "kazoo==2.11.0")
PURE: Final = "saslsspi.compat.puresasl"
LOGIN: Final = """\
com.sun.security.jgss.accept {{
  com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true doNotPrompt=true
    isInitiator=false keyTab="{keytab}" principal="hive/localhost";
}};
"""


def python() -> Path:
    return python_with(*PROGRAMS, this=("kerberos",))


def run(program: str, *arguments: object, face: str = "sasl,puresasl", **environment: str) -> str:
    """Run a program of the folder with the faces in place; return what it says."""
    command = [python(), "-m", "saslsspi.compat", "run", "--as", face, HERE / program,
               *map(str, arguments)]  # fmt: skip
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=known | environment)
    return done.stdout.strip() or done.stderr


@contextlib.contextmanager
def hive(mechanism: str, qop: str, person: Person = ALICE, *options: str) -> Iterator[str]:
    """Run HiveServer2 in small; its port."""
    require_peer("java")
    command = [python(), HERE / "hive_peer.py", mechanism, qop, person.name, person.password, *options]
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=known) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize(("qop", "ssf"), [("auth", "0"), ("auth-int", "1"), ("auth-conf", "128")])
def test_pyhive_with_digest_md5(qop: str, ssf: str) -> None:
    with hive("DIGEST-MD5", qop) as port:
        told = run("hive_client.py", "pyhive", "DIGEST-MD5", port, ALICE.name, ALICE.password)
        assert told == f"in True {ssf} saslsspi.compat.sasl"


def test_pyhive_with_a_name_beyond_ascii() -> None:
    with hive("DIGEST-MD5", "auth-conf", HANAKO) as port:
        told = run("hive_client.py", "pyhive", "DIGEST-MD5", port, HANAKO.name, HANAKO.password)
        assert told == "in True 128 saslsspi.compat.sasl"


@contextlib.contextmanager
def hive_in(kdc: Kdc, qop: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run HiveServer2 in small with a key of the realm; its port, and what a client's environment needs."""
    keytab, login = kdc.folder / "hive.keytab", kdc.folder / "hive.login"
    if not keytab.exists():
        kdc.kadmin("addprinc -randkey hive/localhost", f"ktadd -norandkey -k {keytab} hive/localhost")
        login.write_text(LOGIN.format(keytab=keytab), encoding="utf-8")
    options = (f"-Djava.security.krb5.conf={kdc.environment['KRB5_CONFIG']}",
               f"-Djava.security.auth.login.config={login}",
               "-Djavax.security.auth.useSubjectCredsOnly=false", "-Dsun.security.krb5.rcache=none")  # fmt: skip
    with hive("GSSAPI", qop, ALICE, *options) as port:
        yield port, kdc.environment | {"KRB5CCNAME": kdc.tickets(ALICE)}


@pytest.mark.parametrize(("qop", "ssf"), [("auth", "0"), ("auth-int", "1"), ("auth-conf", "256")])
@pytest.mark.parametrize("who", ["pyhive", "impyla", "thrift"])
def test_kerberos(who: str, qop: str, ssf: str, kdc: Kdc) -> None:
    with hive_in(kdc, qop) as (port, environment):
        told = run("hive_client.py", who, "GSSAPI", port, "-", "-", **environment)
        assert told == (f"in True {ssf} saslsspi.compat.sasl" if who == "pyhive" else f"in True {qop} {PURE}")


@pytest.mark.parametrize("who", ["impyla", "thrift"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-conf"])
def test_digest_md5_on_puresasl(qop: str, who: str) -> None:
    with hive("DIGEST-MD5", qop, HANAKO) as port:
        told = run("hive_client.py", who, "DIGEST-MD5", port, HANAKO.name, HANAKO.password, qop)
        assert told == f"in True {qop} {PURE}"
        told = run("hive_client.py", who, "DIGEST-MD5", port, HANAKO.name, "wrong", qop)
        assert told.startswith("refused: TTransportException ")


@pytest.mark.parametrize("qop", ["auth", "auth-conf"])
def test_the_server_s_proof_with_complete(qop: str) -> None:
    """As Hive sends it: Thrift's own transport reads it, and thrift_sasl, which drops it, gets no further."""
    with hive("DIGEST-MD5", qop, ALICE, "with-complete") as port:
        told = run("hive_client.py", "thrift", "DIGEST-MD5", port, ALICE.name, ALICE.password, qop)
        assert told == f"in True {qop} {PURE}"
        for who in ("pyhive", "impyla"):
            told = run("hive_client.py", who, "DIGEST-MD5", port, ALICE.name, ALICE.password)
            assert told.startswith("refused: TTransportException ")
            assert "the server has proved nothing" in told


def test_pyhive_on_puresasl_alone(kdc: Kdc) -> None:
    with hive_in(kdc, "auth-conf") as (port, environment):
        told = run("hive_client.py", "pyhive", "GSSAPI", port, "-", "-", face="puresasl", **environment)
        assert told == f"in True auth-conf {PURE}"


@pytest.mark.parametrize("who", ["pyhive", "impyla"])
def test_plain(who: str) -> None:
    with hive("PLAIN", "auth") as port:
        told = run("hive_client.py", who, "PLAIN", port, ALICE.name, ALICE.password)
        assert told == ("in True 0 saslsspi.compat.sasl" if who == "pyhive" else f"in True auth {PURE}")
        assert run("hive_client.py", who, "PLAIN", port, ALICE.name, "wrong").startswith("refused: ")


def test_a_wrong_password() -> None:
    with hive("DIGEST-MD5", "auth-conf") as port:
        told = run("hive_client.py", "pyhive", "DIGEST-MD5", port, ALICE.name, "wrong")
        assert told.startswith("refused: TTransportException ")


def test_kazoo() -> None:
    with zookeeper() as port:
        told = run("kazoo_client.py", port, ALICE.name, ALICE.password, BOB.name, BOB.password)
        mine, others, wrong, module = told.splitlines()
        assert (mine, others, module) == ("mine", "NoAuthError", "saslsspi.compat.puresasl")
        assert not wrong.startswith("in ")


def test_kazoo_with_kerberos(kdc: Kdc) -> None:
    with zookeeper(kdc) as port:
        environment = kdc.environment | {"KRB5CCNAME": kdc.tickets(ALICE)}
        assert run("kazoo_tickets.py", port, **environment).split() == ["True", "mine", PURE]
