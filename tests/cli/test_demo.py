import json

import pytest

from saslsspi import Password
from saslsspi.__main__ import main
from saslsspi.cli.demo import ldap as demo_ldap
from saslsspi.cli.demo import mail as demo_mail
from saslsspi.sasl.registry import MECHANISMS

# ldap3 2.9.1 calls it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")

ONLY_DIGEST = ("demo", "--mechanism", "DIGEST-MD5")


CLIENTS = ["LDAP with ldap3", "SMTP with smtplib", "IMAP with imaplib", "POP3 with poplib",
           "ManageSieve with our own client"]  # fmt: skip


def test_the_demo_logs_on_with_digest_at_every_layer_and_looks_at_the_wire(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ONLY_DIGEST, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["succeeded"] is True
    assert list(dict.fromkeys(row["client"] for row in document["rows"])) == CLIENTS
    for client in CLIENTS:
        rows = [row for row in document["rows"] if row["client"] == client]
        assert [(row["qop"], row["cipher"], row["ssf"], row["clear"]) for row in rows] == [
            ("auth", "", 0, True),
            ("auth-int", "", 1, True),
            ("auth-conf", "rc4", 128, False),
            ("auth-conf", "3des", 112, False),
        ]
    for row in document["rows"]:
        assert (row["mechanism"], row["package"], row["authcid"]) == ("DIGEST-MD5", "WDigest", "alice")
        assert (row["problem"], row["identity"].removeprefix("u:")) == ("", "alice")
        assert row["milliseconds"] < 1000
    assert {row["found"] for row in document["rows"] if row["client"] != CLIENTS[0]} == {1}
    for row in document["rows"][:4]:
        assert (row["mechanism"], row["package"], row["problem"]) == ("DIGEST-MD5", "WDigest", "")
        assert (row["authcid"], row["identity"], row["round_trips"], row["found"]) == ("alice", "u:alice", 2, 300)


def test_the_demo_prints_a_table_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ONLY_DIGEST) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "whoever logs on to LDAP or mail servers" in printed[0]
    row = next(line for line in printed if "3des" in line)
    assert row.split()[:6] == ["DIGEST-MD5", "WDigest", "auth-conf", "3des", "112", "alice"]
    assert row.split()[-2:] == ["sealed", "ok"]
    assert printed[-1].startswith("All 20 succeeded.")
    for word in ("package", "qop", "SSF", "identities", "trips, ms", "wire"):
        assert any(line.startswith(f"{word} ") for line in printed), word
    assert [line for line in printed if line in CLIENTS] == CLIENTS
    assert max(map(len, printed)) <= 100


def test_a_mechanism_that_needs_tls_gets_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--mechanism", "PLAIN", "--mechanism", "EXTERNAL", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["tls"], row["clear"], row["identity"].removeprefix("u:")) for row in rows] == [
        (True, False, "alice")
    ] * 10


def test_one_failure_fails_the_demo_and_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful(demo_ldap.Connection):
        def __init__(self, server: object, **options: object) -> None:
            super().__init__(server, **(options | {"credentials": Password("alice", "forgotten")}))

    monkeypatch.setattr(demo_ldap, "Connection", Forgetful)
    assert main(ONLY_DIGEST) == 1
    printed = capsys.readouterr().out
    assert printed.count("failed") >= 4
    assert "SEC_E_LOGON_DENIED" in printed
    assert "forgotten" not in printed


def test_a_layer_that_does_not_hide_the_text_fails_the_demo() -> None:
    found = {f"entry{number:05}" for number in range(300)}
    assert demo_ldap._problem(found, encrypted=True, clear=False) == ""
    assert "readable" in demo_ldap._problem(found, encrypted=True, clear=True)
    assert "found 299" in demo_ldap._problem(found - {"entry00007"}, encrypted=False, clear=True)


def test_a_message_that_can_be_read_or_does_not_arrive_fails_the_demo() -> None:
    message = demo_mail._MESSAGE
    assert demo_mail._problem(message, encrypted=True, clear=False) == ""
    assert "readable" in demo_mail._problem(message, encrypted=True, clear=True)
    assert "arrived" in demo_mail._problem(message[:-2], encrypted=False, clear=True)


def test_without_aiosmtpd_the_demo_says_why_smtp_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'aiosmtpd'", name="aiosmtpd")

    monkeypatch.setattr("saslsspi.cli.demo.STAGES", {**demo_mail.STAGES, "smtp": missing})
    assert main([*ONLY_DIGEST, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["left_out"]["SMTP"] == "it needs aiosmtpd: pip install 'saslsspi[smtp]'"
    assert {row["client"] for row in document["rows"]} == {*CLIENTS} - {"SMTP with smtplib"}


def test_a_mechanism_behind_which_mail_goes_on_in_clear_is_shown_without_a_layer_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--mechanism", "NTLM", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    layered = ("LDAP", "ManageSieve")
    assert {row["ssf"] for row in rows if row["client"].startswith(layered)} == {0, 1, 128}
    assert {row["ssf"] for row in rows if not row["client"].startswith(layered)} == {0}


def test_the_demo_says_why_ntlm_is_sealed_in_ldap_and_clear_in_mail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--mechanism", "NTLM"]) == 0
    assert "NTLM is sealed in LDAP and clear in IMAP, POP3 and SMTP." in capsys.readouterr().out
    assert main(["demo", "--mechanism", "NTLM", "--protocol", "imap"]) == 0
    assert "NTLM is sealed in LDAP" not in capsys.readouterr().out


def sections(printed: str) -> list[str]:
    """Return what --show-wire says of each level."""
    return [part for part in printed.split("\n\n") if ", DIGEST-MD5: " in part]


def test_the_wire_of_imap_is_shown_decoded_at_each_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--protocol", "imap", "--show-wire"]) == 0
    none, integrity, sealed = sections(capsys.readouterr().out)
    for part in (none, integrity, sealed):
        assert "DIGEST-MD5 digest challenge" in part
        assert "response: (32 octets, masked); qop: auth" in part
        assert "wonderland" not in part
        assert max(map(len, part.splitlines())) <= 100
    assert "under the layer" not in none
    assert "From: alice@localhost" in none
    assert 'readable: "From: alice@localhost' in integrity
    assert "message number 0 in this direction" in integrity
    assert "APPEND" not in sealed
    assert "readable: " not in sealed
    assert sealed.count("nothing to read: ") > 3


def test_the_wire_of_ldap_is_shown_as_operations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--protocol", "ldap", "--show-wire"]) == 0
    none, integrity, sealed = sections(capsys.readouterr().out)
    assert "C BindRequest, SASL DIGEST-MD5, " in none
    assert "DIGEST-MD5 digest response" in none
    assert "SearchResultEntry" in none
    assert "SearchResultEntry" not in sealed
    assert "dc=example,dc=test" in integrity


def test_the_wire_is_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--show-wire", "--json"]) == 2
    assert "without --json" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_demo_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    """Every mechanism that is installed is shown, or it is said why not: one that is added breaks nothing."""
    assert main(["demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    shown = {row["mechanism"] for row in told["rows"]}
    installed = {plugin.name for plugin in MECHANISMS.plugins()}
    assert shown | set(told["left_out"]) == installed
    assert {"LOGIN", "CRAM-MD5"} <= set(told["left_out"])
    assert "OAUTHBEARER" in shown
    assert {row["client"] for row in told["rows"]} == set(CLIENTS)
