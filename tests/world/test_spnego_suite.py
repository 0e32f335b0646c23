"""pyspnego's own tests, out of its source distribution, with the face in pyspnego's place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from world.programs import python_with
from world.test_spnego_programs import SPNEGO

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_spnego"
TESTS: Final = ("test_auth.py", "test_auth_dce.py", "test_channel_bindings.py", "test_exceptions.py")
PAGE: Final = Path(__file__).parents[2] / "docs" / "compat.md"


PASSED: Final = 89


def listed(header: str) -> Counter[tuple[str, str]]:
    """Return a table of docs/compat.md: how often a test ends so, and why, by its name without its parameters."""
    text = PAGE.read_text(encoding="utf-8")
    table = re.search(rf"^\| test \| times \| {header} \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    assert table is not None
    rows = (re.fullmatch(r"\| `(\S+)` \| (\d+) \| (.+) \|", row) for row in table[1].splitlines())
    return Counter({(row[1], row[3].replace("`", "")): int(row[2]) for row in rows if row is not None})


def ended(report: Path, tag: str) -> Counter[tuple[str, str]]:
    """Return the same of a report of pytest's: of the tests that have this tag."""
    found = [
        (f"{case.attrib['classname'].rpartition('.')[2]}.py::{case.attrib['name'].partition('[')[0]}", result)
        for case in ElementTree.parse(report).iter("testcase")
        if (result := case.find(tag)) is not None
    ]
    return Counter((name, result.attrib["message"]) for name, result in found)


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pyspnego")
    command = [python_with(*SPNEGO, this=("kerberos",)), "-m", "pip", "download", "--quiet", "--no-deps",
               "--no-binary", "pyspnego", "--dest", folder, "pyspnego==0.12.4"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def test_all_but_those_about_private_names_pass(distribution: Path, kdc: Kdc, tmp_path: Path) -> None:
    keytab = tmp_path / "alice.keytab"
    kdc.kadmin(f"ktadd -norandkey -k {keytab} {ALICE.name}")
    cache = kdc.tickets(ALICE)
    realm = {
        "realm": kdc.realm, "hostname": "localhost", "service": "HTTP", "username": f"{ALICE.name}@{kdc.realm}",
        "password": ALICE.password, "client_keytab": str(keytab), "acceptor_username": f"HTTP/localhost@{kdc.realm}",
        "acceptor_keytab": str(kdc.keytab), "ccache": cache,
    }  # fmt: skip
    environment = {
        **os.environ, **kdc.environment, "KRB5CCNAME": cache, "PYSPNEGO_TEST_KERBEROS": json.dumps(realm),
        "PYTHONPATH": str(HERE),
    }  # fmt: skip
    report = tmp_path / "report.xml"
    command = [python_with(*SPNEGO, this=("kerberos",)), "-m", "pytest", "-p", "face_in_place", "-q",
               "--tb=short", "--junit-xml", str(report), "-p", "no:cacheprovider",
               *(f"tests/{name}" for name in TESTS)]  # fmt: skip
    done = subprocess.run(
        command, cwd=distribution, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert ended(report, "error") == Counter(), done.stdout[-8000:] + done.stderr[-2000:]
    assert ended(report, "failure") == listed("asks for"), done.stdout[-8000:]
    assert ended(report, "skipped") == listed("pyspnego's reason"), done.stdout[-8000:]
    tests = sum(1 for _ in ElementTree.parse(report).iter("testcase"))
    assert tests == PASSED + listed("asks for").total() + listed("pyspnego's reason").total()
