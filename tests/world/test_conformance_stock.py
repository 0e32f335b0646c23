"""The conformance runner with its usual options against servers with theirs: no false alarm, and no account locked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from interop.cyrus_imap import CyrusImap
from interop.dovecot import Dovecot
from interop.people import ALICE
from interop.postfix import Postfix
from interop.slapd import Slapd

EXPECT = Path(__file__).parents[1] / "conformance" / "expect"


def judged(url: str, known: str, folder: Path, *options: str) -> dict[str, Any]:
    """Run the command as a newcomer would; everything but what is argued in a file must pass."""
    file = folder / "report.json"
    command = [sys.executable, "-m", "saslsspi", "conformance", url, "--user", ALICE.name, "--quiet", "--json", file]
    done = subprocess.run(
        [*command, f"--expect={EXPECT / known}", *options],
        env=os.environ | {"SASLSSPI_PASSWORD": ALICE.password},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    usual = {"pass", "known failure", "not applicable", "not run"}
    assert {entry["case"]: entry["detail"] for entry in report["results"] if entry["verdict"] not in usual} == {}
    assert done.returncode == 0
    assert report["failed_logons"]["spent"] <= report["failed_logons"]["bound"] == 3
    assert report["seconds"] < 180
    return report


def test_dovecot_with_its_delay_and_its_penalty(tmp_path: Path) -> None:
    with Dovecot(stock=True) as dovecot:
        url = f"imap://localhost:{dovecot.imap_port}"
        report = judged(url, "dovecot_imap.txt", tmp_path, "--ca", str(dovecot.ca_file))
        log = dovecot.log()
    assert any("is slow" in note or "delays refusals" in note for note in report["notes"])
    refused = re.findall(r"Disconnected.*auth failed.*user=<alice>", log)
    assert len(refused) <= 3


def test_openldap(tmp_path: Path) -> None:
    with Slapd() as slapd:
        judged(slapd.url, "slapd.txt", tmp_path, "--ca", str(slapd.ca_file))


def test_cyrus_imap(tmp_path: Path) -> None:
    with CyrusImap() as cyrus:
        judged(f"imap://localhost:{cyrus.port}", "cyrus_imap.txt", tmp_path, "--ca", str(cyrus.ca_file))


def test_postfix(tmp_path: Path) -> None:
    with Postfix() as postfix:
        judged(f"smtp://localhost:{postfix.port}", "postfix.txt", tmp_path, "--ca", str(postfix.ca_file))
