"""pyspnego's own tests, out of its source distribution, with the face in pyspnego's place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from world.programs import python_with
from world.test_spnego_programs import SPNEGO

pytestmark = pytest.mark.interop

HERE: Final = Path(__file__).parent / "programs_for_spnego"
TESTS: Final = ("test_auth.py", "test_auth_dce.py", "test_channel_bindings.py", "test_exceptions.py")
PAGE: Final = Path(__file__).parents[2] / "docs" / "compat.md"


def listed() -> set[str]:
    """Return the tests that docs/compat.md says ask for private names."""
    return set(re.findall(r"^\| `(test_\w+\.py::\S+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


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
    command = [python_with(*SPNEGO, this=("kerberos",)), "-m", "pytest", "-p", "face_in_place", "-q", "-rfE",
               "--tb=short", "-p", "no:cacheprovider", *(f"tests/{name}" for name in TESTS)]  # fmt: skip
    done = subprocess.run(
        command, cwd=distribution, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE))
    assert failed == listed(), done.stdout[-8000:] + done.stderr[-2000:]
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped)", done.stdout)}
    assert counts["passed"] >= 70, counts
    # SSPI's own, and nothing else, is passed over.
    assert counts.get("skipped", 0) <= 20, counts
