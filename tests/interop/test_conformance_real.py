"""The conformance runner against real servers: it ends, finds what is known to be there and no more, and harms nothing.

What is known of each server stands, with its section, in tests/conformance/expect; docs/conformance.md argues it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.mail_world import SMTP, serving
from interop.cyrus_imap import CyrusImap, has_its_layer_in_time
from interop.dovecot import Dovecot
from interop.kdc import Kdc
from interop.people import ALICE
from interop.postfix import Postfix
from interop.require import require_peer
from interop.slapd import Slapd

pytestmark = pytest.mark.interop

EXPECT = Path(__file__).parents[1] / "conformance" / "expect"


def conformance(url: str, *options: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run the command as a person would, with an account that may suffer any number of failed logons."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "saslsspi", "conformance", url, "--user", ALICE.name, "--destructive"]
    done = subprocess.run(
        [*command, "--pause", "0", "--quiet", "--json", report, *options],
        env=os.environ | {"SASLSSPI_PASSWORD": ALICE.password},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not done.stderr
    assert ALICE.password not in done.stdout + report.read_text(encoding="utf-8")
    return done.returncode, json.loads(report.read_text(encoding="utf-8"))


def found_nothing_new(url: str, known: str | list[str], *options: str, folder: Path) -> dict[str, Any]:
    files = [known] if isinstance(known, str) else known
    status, report = conformance(url, *(f"--expect={EXPECT / name}" for name in files), *options, folder=folder)
    surprises = {
        result["case"]: result["verdict"]
        for result in report["results"]
        if result["verdict"] not in {"pass", "known failure", "not applicable"}
    }
    assert not surprises
    assert status == 0
    assert all(result["detail"] for result in report["results"] if result["verdict"] == "not applicable")
    return report


def is_alive(url: str, folder: Path) -> bool:
    return conformance(url, "-k", "right_response and not with", folder=folder)[0] == 0


def test_openldap_misses_what_is_known_and_lives_on(tmp_path: Path) -> None:
    with Slapd() as slapd:
        report = found_nothing_new(slapd.url, "slapd.txt", "--ca", str(slapd.ca_file), folder=tmp_path)
        assert report["counts"]["pass"] > 140
        assert is_alive(slapd.url, tmp_path)


def test_cyrus_imap_misses_what_is_known_and_lives_on(tmp_path: Path) -> None:
    with CyrusImap() as cyrus:
        url = f"imap://localhost:{cyrus.port}"
        known = ["cyrus_imap.txt"] if has_its_layer_in_time() else ["cyrus_imap.txt", "cyrus_imap_3_10.txt"]
        report = found_nothing_new(url, known, "--ca", str(cyrus.ca_file), folder=tmp_path)
        assert report["counts"]["pass"] > 100
        assert is_alive(url, tmp_path)


def test_postfix_misses_what_is_known_and_lives_on(tmp_path: Path) -> None:
    with Postfix() as postfix:
        url = f"smtp://localhost:{postfix.port}"
        report = found_nothing_new(url, "postfix.txt", "--ca", str(postfix.ca_file), folder=tmp_path)
        assert report["counts"]["pass"] > 90
        assert is_alive(url, tmp_path)


def test_openldap_with_kerberos_misses_what_is_known(kdc: Kdc, tmp_path: Path) -> None:
    """The tester's own tickets take the place of the stand-in."""
    require_peer("cyrus-gssapi")
    with Slapd(environment=kdc.environment) as slapd, kdc.as_user(ALICE):
        report = found_nothing_new(slapd.url, "slapd_gssapi.txt", "-k", "gssapi", folder=tmp_path)
    assert report["counts"]["pass"] > 15


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with serving(SMTP, auth_required=False) as (relay, _), Dovecot(relay_port=relay.port) as server:
        yield server


def test_dovecot_misses_what_is_known_and_lives_on(dovecot: Dovecot, tmp_path: Path) -> None:
    url = f"imap://localhost:{dovecot.imap_port}"
    report = found_nothing_new(url, "dovecot_imap.txt", "--spec", "rfc2831", folder=tmp_path)
    assert report["counts"]["pass"] > 40
    assert is_alive(url, tmp_path)


@pytest.mark.parametrize("protocol", ["imap", "pop3", "submission", "sieve"])
def test_dovecot_s_protocols_miss_what_is_known(dovecot: Dovecot, protocol: str, tmp_path: Path) -> None:
    port = getattr(dovecot, f"{protocol}_port")
    url = f"{'smtp' if protocol == 'submission' else protocol}://localhost:{port}"
    found_nothing_new(
        url, f"dovecot_{protocol}.txt", "-k", "mail or tls", "--ca", str(dovecot.ca_file), folder=tmp_path
    )


def test_few_failed_logons_are_spent_on_an_account_that_others_need(dovecot: Dovecot, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    url = f"imap://localhost:{dovecot.imap_port}"
    subprocess.run(
        [sys.executable, "-m", "saslsspi", "conformance", url, "--user", ALICE.name, "--failed-logons", "2",
         "--pause", "0.01", "--quiet", "--json", report_file, "--section", "2.1.2"],
        env=os.environ | {"SASLSSPI_PASSWORD": ALICE.password}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    results = json.loads(report_file.read_text(encoding="utf-8"))["results"]
    spared = [result for result in results if result["verdict"] == "not run"]
    assert len(spared) > 10
    assert all("--destructive" in result["detail"] for result in spared)
