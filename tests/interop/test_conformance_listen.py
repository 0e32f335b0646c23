"""`saslsspi conformance listen` judges clients of others: each connection is one case.

What is known of each client stands in tests/conformance/expect; docs/conformance.md argues it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interop.cyrus_imap import mail_test_program
from interop.people import ALICE, REALM
from interop.require import program, require_peer

pytestmark = pytest.mark.interop

EXPECT = Path(__file__).parents[1] / "conformance" / "expect"


def judged(protocol: str, command: str, known: list[str], folder: Path, *options: str) -> dict[str, Any]:
    """Run every case with a client that the runner starts; nothing but what is known may be found."""
    report_file = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "saslsspi", "conformance", "listen", protocol, "--user", ALICE.name, "--realm", REALM,
         "--timeout", "8", "--quiet", "--client", command, "--json", report_file,
         *(f"--expect={EXPECT / name}" for name in known), *options],
        env=os.environ | {"SASLSSPI_PASSWORD": ALICE.password}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(report_file.read_text(encoding="utf-8"))
    surprises = {
        result["case"]: f"{result['verdict']}: {result['detail']}"
        for result in report["results"]
        if result["verdict"] not in {"pass", "known failure", "not applicable"}
    }
    assert not surprises
    assert done.returncode == 0
    return report


def test_ldapwhoami(tmp_path: Path) -> None:
    require_peer("ldap-utils")
    command = f"{program('ldapwhoami')} -N -Y DIGEST-MD5 -U alice -w {ALICE.password} -H ldap://localhost:{{port}}"
    report = judged("ldap", command, ["ldapwhoami.txt"], tmp_path)
    assert report["counts"]["pass"] > 50


def test_imtest(tmp_path: Path) -> None:
    imtest = mail_test_program("imtest")
    command = f"{imtest} -m DIGEST-MD5 -a alice -u alice -r {REALM} -w {ALICE.password} -p {{port}} localhost"
    report = judged("imap", command, ["imtest.txt"], tmp_path)
    assert report["counts"]["pass"] > 50


@pytest.mark.parametrize("protocol", ["imap", "smtp", "pop3"])
def test_curl(protocol: str, tmp_path: Path) -> None:
    require_peer("curl")
    options = f"-u alice:{ALICE.password} --login-options AUTH=DIGEST-MD5 -X NOOP"
    command = f"{program('curl')} -sS {protocol}://localhost:{{port}}/ {options}"
    version = subprocess.run([program("curl"), "--version"], capture_output=True, text=True, check=True).stdout
    known = ["curl.txt", "curl_7.txt"] if version.startswith("curl 7.") else ["curl.txt"]
    report = judged(protocol, command, known, tmp_path)
    assert report["counts"]["pass"] > 30


def test_gsasl(tmp_path: Path) -> None:
    require_peer("gsasl-tool")
    options = f"--imap --no-starttls -m DIGEST-MD5 -a alice -p {ALICE.password} -r {REALM}"
    command = f"{program('gsasl')} {options} --quality-of-protection=qop-auth localhost {{port}}"
    report = judged("imap", command, ["gsasl.txt"], tmp_path)
    assert report["counts"]["pass"] > 40


def test_gsasl_with_scram(tmp_path: Path) -> None:
    require_peer("gsasl-tool")
    options = f"--imap --no-starttls -m SCRAM-SHA-256 -a alice -p {ALICE.password}"
    command = f"{program('gsasl')} {options} localhost {{port}}"
    mechanism = ("--mechanism", "SCRAM-SHA-256", "-k", "scram and not high_count")
    report = judged("imap", command, ["gsasl.txt"], tmp_path, *mechanism)
    assert report["counts"]["pass"] > 10


def test_a_client_of_a_person_may_connect_by_itself(tmp_path: Path) -> None:
    """Without --client the runner waits for whoever connects."""
    require_peer("ldap-utils")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "saslsspi", "conformance", "listen", "ldap", "--port", str(port), "--user",
               ALICE.name, "--realm", REALM, "-k", "right_response or right_proof", "--timeout", "20"]  # fmt: skip
    runner = subprocess.Popen(
        command, env=os.environ | {"SASLSSPI_PASSWORD": ALICE.password}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert runner.stderr is not None
    assert f"localhost:{port}" in runner.stderr.readline()
    client = [program("ldapwhoami"), "-N", "-Y", "DIGEST-MD5", "-U", ALICE.name, "-w", ALICE.password]
    for _ in range(2):
        subprocess.run([*client, "-H", f"ldap://localhost:{port}"], capture_output=True, check=False, timeout=20)
    printed, _ = runner.communicate(timeout=30)
    assert "2 pass" in printed
    assert runner.returncode == 0
