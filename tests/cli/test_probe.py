import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import saslsspi
from adapters.mail_world import IMAP, POP3, REALM, SMTP, MailProtocol, certificate, serving
from saslsspi.__main__ import main
from saslsspi.testbed import loopback
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi_conformance.probe.policy import ProbePolicy

WEAK: dict[str, Any] = {
    "mechanisms": ("DIGEST-MD5", "PLAIN"),
    "policy": saslsspi.Policy(allow_plaintext=True, ciphers=("rc4-40", "des")),
}
STRONG: dict[str, Any] = {"mechanisms": ("DIGEST-MD5", "SCRAM-SHA-256"), "policy": saslsspi.Policy(min_ssf=1)}


@contextlib.contextmanager
def ldap(**options: Any) -> Iterator[str]:
    accounts = saslsspi.MemoryAuthority({"alice": "wonderland"})
    with loopback.running(LdapServer(authority=accounts, realm=REALM, **options)) as server:
        yield f"ldap://localhost:{server.port}"


def probe(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = main(["probe", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def levels(report: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["level"] for finding in report["findings"]}


def test_a_weak_ldap_server_fails_with_what_is_weak(capsys: pytest.CaptureFixture[str]) -> None:
    with ldap(**WEAK) as url:
        status, report = probe(capsys, url)
    assert (status, report["level"]) == (1, "fail")
    assert report["mechanisms"] == {"without_tls": ["DIGEST-MD5", "PLAIN"], "with_tls": None}
    found = levels(report)
    assert found["plain-text"] == found["weak-cipher"] == found["no-tls"] == "fail"
    assert found["layer-optional"] == "info"
    assert found["nonce-fresh"] == "good"
    assert set(report["digest_md5"]["ciphers"]) == {"rc4-40", "des"}


def test_a_server_that_wants_a_layer_is_seen_to(capsys: pytest.CaptureFixture[str]) -> None:
    with ldap(certificate=certificate().server, **STRONG) as url:
        _, report = probe(capsys, url)
    found = levels(report)
    assert found["layer-required"] == "good"
    assert found["certificate"] == "fail", "its authority is not the system's"
    assert "weak-cipher" not in found
    assert "plain-text" not in found


@pytest.mark.parametrize("protocol", [IMAP, SMTP, POP3], ids=str)
def test_mail_servers_are_probed_before_and_after_tls(
    protocol: MailProtocol, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"certificate": certificate().server, "bindings": certificate().bindings}
    mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "DIGEST-MD5")
    with serving(protocol, mechanisms=mechanisms, **options) as (server, reports):
        status, report = probe(capsys, f"{protocol.name}://localhost:{server.port}")
        _, secure = probe(capsys, f"{protocol.name}s://localhost:{server.tls_port}")
    assert status == 1
    assert "PLAIN" not in report["mechanisms"]["without_tls"]
    assert "PLAIN" in report["mechanisms"]["with_tls"]
    assert secure["mechanisms"] == {"without_tls": None, "with_tls": report["mechanisms"]["with_tls"]}
    assert levels(report)["binding-offered"] == levels(secure)["binding-offered"] == "good"
    assert levels(report)["certificate"] == "fail"
    assert not reports, "nobody has logged on"


def test_a_policy_file_forbids_requires_and_changes_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        '[mechanisms]\nrequired = ["GSSAPI"]\nforbidden_without_tls = ["PLAIN"]\n'
        '[tls]\nrequired = true\n[levels]\nweak-cipher = "info"\n'
    )
    with ldap(**WEAK) as url:
        _, report = probe(capsys, url, "--policy", str(file))
    texts = [finding["text"] for finding in report["findings"] if finding["id"] == "policy"]
    assert len(texts) == 3
    assert any("GSSAPI is required" in text for text in texts)
    assert levels(report)["weak-cipher"] == "info"


@pytest.mark.parametrize(
    "text",
    ["[other]\n", "[mechanisms]\nallowed = []\n", '[levels]\nx = "bad"\n', '[tls]\nrequired = "yes"\n', "tls = 1\n"],
)
def test_a_policy_with_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ProbePolicy.from_toml(text)


def test_the_exit_status_tells_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "http://localhost"]) == 2
    assert main(["probe", "ldap://127.0.0.1:1", "--timeout", "1"]) == 3
    with ldap(**WEAK) as url:
        assert main(["probe", url]) == 1
    assert "DIGEST-MD5 ciphers" in capsys.readouterr().out
