import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from saslsspi import MemoryAuthority
from saslsspi.__main__ import main
from saslsspi.cli.certificate import bindings_of
from saslsspi.testbed.certificates import Certificates, make_certificates
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running

# ldap3 2.9.1 calls it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

ALICE = ("--user", "alice")
DIGEST = ("--mechanism", "DIGEST-MD5")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


@pytest.fixture(scope="module")
def server(certificates: Certificates) -> Iterator[LdapServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server)
    made = LdapServer(
        authority=MemoryAuthority({"alice": "wonderland"}),
        realm="example.test",
        certificate=context,
        bindings=[bindings_of(certificates.server)],
    )
    with running(made):
        yield made


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SASLSSPI_PASSWORD", "wonderland")


def test_auth_tells_what_was_negotiated_and_who_we_are(server: LdapServer, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"ldap://localhost:{server.port}"
    assert main(["auth", url, *ALICE, *DIGEST, "--min-ssf", "56", "--cipher", "3des", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["authenticated"] is True
    assert (document["mechanism"], document["cipher"], document["ssf"]) == ("DIGEST-MD5", "3des", 112)
    assert (document["identity"], document["realm"], document["tls"]) == ("u:alice", "example.test", "")
    assert "account" not in document

    assert main(["auth", url, *ALICE, *DIGEST, "--max-ssf", "0"]) == 0
    printed = capsys.readouterr().out
    assert "identity" in printed
    assert "wonderland" not in printed


def test_auth_chooses_the_strongest_and_binds_to_the_tls_channel(
    server: LdapServer, certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = ("--ca", str(certificates.authority), "--channel-binding", "tls-server-end-point", "--json")
    for url, more in (
        (f"ldap://localhost:{server.port}", ["--starttls"]),
        (f"ldaps://localhost:{server.ldaps_port}", []),
    ):
        assert main(["auth", url, *ALICE, *trust, *more]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["channel_binding"] == "tls-server-end-point"
        assert document["tls"].startswith("TLSv1.")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--password", "looking-glass", *DIGEST), 1, "SEC_E_LOGON_DENIED"),
        ((*DIGEST, "--channel-binding", "require"), 1, "the policy requires them"),
        ((*DIGEST, "--min-ssf", "129"), 1, "129"),
        (("--starttls",), 3, "CERTIFICATE_VERIFY_FAILED"),
        (("--mechanism", "NO-SUCH"), 2, "NO-SUCH"),
        (("--ca", "/no/such/file"), 2, "TLS"),
        (("--starttls", "--ca", "/no/such/file"), 2, "/no/such/file"),
    ],
)
def test_auth_that_fails_says_why(
    server: LdapServer,
    options: tuple[str, ...],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["auth", f"ldap://localhost:{server.port}", *ALICE, *options]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "looking-glass" not in printed.err
    if status != 2:
        assert main(["auth", f"ldap://localhost:{server.port}", *ALICE, *options, "--json"]) == status
        printed = capsys.readouterr()
        document = json.loads(printed.out)
        assert document["authenticated"] is False
        assert said in document["text"]
        assert printed.err == ""


def test_credssp_takes_its_authorities_without_tls_around_it(
    server: LdapServer, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["auth", f"ldap://localhost:{server.port}", *ALICE, "--mechanism", "credssp", "--json"]
    assert main([*words, "--ca", str(certificates.authority)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["mechanism"], document["tls"], document["identity"]) == ("CREDSSP", "", "u:alice")

    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    assert main([*words, "--ca", str(nothing)]) == 1
    assert "nothing.pem" in json.loads(capsys.readouterr().out)["text"]

    assert main([*words, "--cert", str(certificates.client)]) == 2
    assert "--cert is about TLS" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_a_broken_connection(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["auth", "ldap://127.0.0.1:1", *ALICE]) == 3
    assert "127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["ldap.example.test", "http://h", "ldap://", "ldap://h:x", "ldap://h:99999"])
def test_what_is_no_url_is_wrong_usage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["auth", url, *ALICE]) == 2
    assert url in capsys.readouterr().err


def test_files_of_certificates_are_readable_by_their_owner_alone(certificates: Certificates) -> None:
    for file in (certificates.server, certificates.client):
        assert Path(file).stat().st_mode & 0o077 == 0
