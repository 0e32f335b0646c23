"""`saslsspi probe` at real servers: it finds what they offer, with their authority trusted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.mail_world import SMTP, serving
from interop.cyrus_imap import CyrusImap
from interop.dovecot import Dovecot
from interop.postfix import Postfix
from interop.slapd import Slapd
from saslsspi.__main__ import main

pytestmark = pytest.mark.interop


def probe(capsys: pytest.CaptureFixture[str], url: str, ca: Path, *more: str) -> dict[str, Any]:
    capsys.readouterr()
    status = main(["probe", url, "--ca", str(ca), "--json", *more])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status == {"fail": 1, "warn": 4, "info": 0, "good": 0}[report["level"]]
    levels = {finding["id"]: finding["level"] for finding in report["findings"]}
    assert levels["tls"] == "good"
    assert levels["nonce-fresh"] == "good"
    assert report["digest_md5"]["qop"]
    assert "DIGEST-MD5" in report["mechanisms"]["with_tls"]
    return report


def test_openldap_is_probed(capsys: pytest.CaptureFixture[str]) -> None:
    with Slapd() as slapd:
        report = probe(capsys, slapd.url, slapd.ca_file)
    assert "auth-conf" in report["digest_md5"]["qop"]


def test_cyrus_imap_is_probed(capsys: pytest.CaptureFixture[str]) -> None:
    with CyrusImap() as cyrus:
        report = probe(capsys, f"imap://localhost:{cyrus.port}", cyrus.ca_file)
    assert "sasl-ir" in {finding["id"] for finding in report["findings"]}


def test_postfix_is_probed(capsys: pytest.CaptureFixture[str]) -> None:
    with Postfix() as postfix:
        probe(capsys, f"smtp://localhost:{postfix.port}", postfix.ca_file)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with serving(SMTP, auth_required=False) as (relay, _), Dovecot(relay_port=relay.port) as server:
        yield server


@pytest.mark.parametrize("scheme", ["imap", "imaps", "pop3", "pop3s"])
def test_dovecot_is_probed(dovecot: Dovecot, scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = getattr(dovecot, f"{scheme}_port")
    report = probe(capsys, f"{scheme}://localhost:{port}", dovecot.ca_file, "--name-a-user")
    assert report["digest_md5"]["qop"] == ["auth"]
    assert any(finding["id"].startswith("initial-response") for finding in report["findings"])
    assert (report["mechanisms"]["without_tls"] is None) is scheme.endswith("s")
