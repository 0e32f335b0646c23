"""sspilib's own tests pass on our lower floor, but for those that want the logon session of a Windows machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from interop.kdc import Kdc
from interop.people import Person
from interop.require import require_peer
from interop.sspilib_suite import prepare

pytestmark = pytest.mark.interop

USER = Person("user", "pass")  # as whom they log on
# They log on as whoever is logged on, or take a keytab of three octets before there is a KDC to show it to.
WANT_A_SESSION = {
    "tests/raw/test_credential.py::test_get_inbound_with_default_context",
    "tests/raw/test_credential.py::test_get_outbound_with_default_context",
    "tests/raw/test_security_context.py::test_fail_with_negotiate_and_no_available_packages",
    "tests/raw/test_security_context.py::test_sec_exchange_allowed_package_list",
    "tests/raw/test_security_context.py::test_sec_exchange_with_negotiate_restricted_package",
    "tests/test_credential.py::test_cred_no_user",
    "tests/test_credential.py::test_keytab_username_domain",
    "tests/test_credential.py::test_keytab_username_no_domain",
    "tests/test_credential.py::test_keytab_username_upn",
}


def test_the_suite_of_sspilib(tmp_path: Path, kdc: Kdc) -> None:
    require_peer("sspilib", "gssapi")
    prepare(tmp_path)
    paths = os.pathsep.join((str(tmp_path / "src"), str(tmp_path), str(Path(__file__).parents[2])))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "shim", "-p", "no:cacheprovider", "--rootdir=.", "-rA"]
    kdc.kadmin(f"addprinc -pw {USER.password} {USER.name}")
    with kdc.as_user(USER):
        done = subprocess.run(
            [*command, "tests"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    failed = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE))
    passed = set(re.findall(r"^PASSED (\S+)", done.stdout, re.MULTILINE))
    assert failed <= WANT_A_SESSION, done.stdout[-6000:]
    assert not re.search(r"\bskipped\b", done.stdout.splitlines()[-1])
    assert len(passed) >= 50, done.stdout[-3000:]
