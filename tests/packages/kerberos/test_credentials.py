"""Where a Kerberos credential comes from, and what is said when there is none."""

import socket
import time
from pathlib import Path

import pytest

from interop.kdc import REALM, Kdc
from interop.people import ALICE, BOB
from pair import establish
from saslsspi import Policy, SaslError, SecurityStatus, sspi
from saslsspi.packages.kerberos.names import split_principal
from saslsspi.sspi import (
    AuthIdentity,
    CredentialUse,
    Environment,
    SecPkgContextNames,
    WinNTAuthCredentialType,
    WinNTAuthIdentity,
    WinNTAuthIdentityPackedCredential,
)

pytestmark = pytest.mark.interop

OUTBOUND, INBOUND = CredentialUse.SECPKG_CRED_OUTBOUND, CredentialUse.SECPKG_CRED_INBOUND
KEYTAB = WinNTAuthCredentialType.SEC_WINNT_AUTH_DATA_TYPE_KEYTAB


def outbound(auth_data: AuthIdentity | None = None, principal: str | None = None) -> sspi.CredHandle:
    return sspi.acquire_credentials_handle(principal, "Kerberos", OUTBOUND, auth_data=auth_data).credential


def inbound(principal: str | None = None, auth_data: AuthIdentity | None = None) -> sspi.CredHandle:
    return sspi.acquire_credentials_handle(principal, "Kerberos", INBOUND, auth_data=auth_data).credential


def who_gets_in(handle: sspi.CredHandle) -> str:
    """Log on with a credential, and return whom the server sees."""
    contexts = establish(handle, inbound(), "ldap/localhost", sspi.IscReq.ISC_REQ_MUTUAL_AUTH)
    assert sspi.query_context_attributes(contexts.client, SecPkgContextNames) == sspi.query_context_attributes(
        contexts.server, SecPkgContextNames
    )
    return sspi.query_context_attributes(contexts.server, SecPkgContextNames).username


def status(action: object) -> SecurityStatus:
    with pytest.raises(SaslError) as caught:
        action()  # type: ignore[operator]
    assert "wonderland" not in str(caught.value)
    assert isinstance(caught.value.status, SecurityStatus)
    return caught.value.status


def test_the_tickets_that_the_user_has_serve_without_auth_data(kdc: Kdc) -> None:
    with kdc.as_user(BOB):
        assert who_gets_in(outbound()) == f"bob@{REALM}"
        assert who_gets_in(outbound(WinNTAuthIdentity("bob"))) == f"bob@{REALM}"
        assert who_gets_in(outbound(principal="bob")) == f"bob@{REALM}"
        assert status(lambda: outbound(principal="alice")) is SecurityStatus.SEC_E_NO_CREDENTIALS


@pytest.mark.parametrize(
    ("username", "domain"),
    [("alice", None), ("alice", REALM), (f"alice@{REALM}", None), (rf"{REALM}\alice", None), ("alice", "")],
)
def test_a_password_gets_a_ticket_under_every_form_of_the_name(kdc: Kdc, username: str, domain: str | None) -> None:
    with kdc.inside():
        handle = outbound(WinNTAuthIdentity(username, domain, ALICE.password))
        assert who_gets_in(handle) == f"alice@{REALM}"
        names = sspi.query_credentials_attributes(handle, sspi.SecPkgCredNames)
        assert names.username == f"alice@{REALM}"


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (WinNTAuthIdentity("alice", None, "not hers"), SecurityStatus.SEC_E_LOGON_DENIED),
        (WinNTAuthIdentity("bob", None, "not his"), SecurityStatus.SEC_E_LOGON_DENIED),  # with preauthentication
        (WinNTAuthIdentity("nobody", None, ALICE.password), SecurityStatus.SEC_E_LOGON_DENIED),
        (WinNTAuthIdentity("alice", "NOWHERE.TEST", ALICE.password), SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY),
        (WinNTAuthIdentity(None, None, ALICE.password), SecurityStatus.SEC_E_NO_CREDENTIALS),
        (WinNTAuthIdentity("alice"), SecurityStatus.SEC_E_NO_CREDENTIALS),
        (None, SecurityStatus.SEC_E_NO_CREDENTIALS),
        (WinNTAuthIdentity("al\0ice", None, ALICE.password), SecurityStatus.SEC_E_INVALID_PARAMETER),
        (AuthIdentity(), SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS),
    ],
)
def test_what_cannot_log_on_is_told_apart(kdc: Kdc, identity: AuthIdentity | None, expected: SecurityStatus) -> None:
    with kdc.inside():
        assert status(lambda: outbound(identity)) is expected


@pytest.mark.parametrize("form", ["contents", "name"])
def test_a_packed_keytab_serves_both_sides(kdc: Kdc, form: str) -> None:
    keytab = kdc.keytab.read_bytes() if form == "contents" else f"FILE:{kdc.keytab}".encode()
    # No keytab in the environment, so that it is this one that serves.
    with kdc.inside(KRB5_KTNAME=f"FILE:{kdc.folder}/no-keytab"):
        packed = WinNTAuthIdentityPackedCredential(KEYTAB, keytab, username="imap/localhost", domain=REALM)
        if form == "contents":
            contexts = establish(outbound(packed), inbound(None, packed), "ldap/localhost")
            names = sspi.query_context_attributes(contexts.server, SecPkgContextNames)
            assert names.username == f"imap/localhost@{REALM}"
        else:
            inbound("ldap/localhost", packed)


def test_a_keytab_of_ours_is_gone_with_its_credential(
    kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with kdc.inside():
        packed = WinNTAuthIdentityPackedCredential(KEYTAB, kdc.keytab.read_bytes(), username="imap/localhost")
        handle = outbound(packed)
        (folder,) = tmp_path.iterdir()
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert who_gets_in(handle) == f"imap/localhost@{REALM}"
        del handle
        assert not list(tmp_path.iterdir())
        with pytest.raises(SaslError):
            outbound(WinNTAuthIdentityPackedCredential(KEYTAB, kdc.keytab.read_bytes(), username="alice"))
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "credential", "expected"),
    [
        (WinNTAuthCredentialType.SEC_WINNT_AUTH_DATA_TYPE_CERT, b"\x05\x02", SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS),
        (KEYTAB, b"", SecurityStatus.SEC_E_NO_CREDENTIALS),
        (KEYTAB, b"\x05\x02", SecurityStatus.SEC_E_NO_CREDENTIALS),
        (KEYTAB, b"\x05\x02" + bytes(range(256)), SecurityStatus.SEC_E_NO_CREDENTIALS),
        (KEYTAB, b"\xff\xfe", SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS),
        (KEYTAB, b"FILE:/nowhere/at/all", SecurityStatus.SEC_E_NO_CREDENTIALS),
    ],
)
def test_packed_credentials_that_are_no_keytab_are_refused(
    kdc: Kdc, kind: object, credential: bytes, expected: SecurityStatus
) -> None:
    packed = WinNTAuthIdentityPackedCredential(kind, credential, username="alice")  # type: ignore[arg-type]
    with kdc.inside():
        assert status(lambda: inbound(None, packed)) is expected


@pytest.mark.requirement("RFC4752-3.2-01")
def test_without_a_keytab_nobody_is_accepted_and_gssapi_is_not_listed(kdc: Kdc) -> None:
    from saslsspi import Server
    from saslsspi.sasl.acceptance import offer

    with kdc.inside():
        assert "GSSAPI" in offer(Policy()).names
    with kdc.inside(KRB5_KTNAME=f"FILE:{kdc.folder}/no-keytab"):
        assert status(inbound) is SecurityStatus.SEC_E_NO_CREDENTIALS
        names, reasons = offer(Policy())
        assert "GSSAPI" not in names
        assert "keytab" in reasons["GSSAPI"]
        with pytest.raises(SaslError, match="keytab"):
            Server("GSSAPI", service="ldap", host="localhost")


@pytest.mark.requirement("RFC4752-3.2-02")
def test_a_server_without_principals_serves_every_key_of_its_keytab(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        for service in ("ldap", "imap", "HTTP"):
            contexts = establish(outbound(), inbound(), f"{service}/localhost")
            target = sspi.query_context_attributes(contexts.server, sspi.SecPkgContextTarget)
            assert target.target_name == f"{service}/localhost"


def test_an_inbound_handle_takes_no_password(kdc: Kdc) -> None:
    with kdc.inside():
        expected = SecurityStatus.SEC_E_UNKNOWN_CREDENTIALS
        assert status(lambda: inbound(None, WinNTAuthIdentity("alice", None, "wonderland"))) is expected


def test_a_handle_for_both_sides_has_both(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        both = sspi.acquire_credentials_handle("ldap/localhost", "Kerberos", CredentialUse.SECPKG_CRED_BOTH).credential
        contexts = establish(both, both, "ldap/localhost", sspi.IscReq.ISC_REQ_MUTUAL_AUTH)
        assert sspi.query_context_attributes(contexts.server, SecPkgContextNames).username == f"alice@{REALM}"


def test_a_kdc_that_says_nothing_holds_a_step_no_longer_than_the_policy_says(kdc: Kdc, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, kdc.as_user(ALICE):
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        configuration = Path(kdc.environment["KRB5_CONFIG"]).read_text().replace(f":{kdc.port}", f":{port}")
        (tmp_path / "krb5.conf").write_text(configuration.replace("udp_preference_limit = 1", ""))
        environment = Environment(policy=Policy(kdc_timeout=0.3))
        tickets = sspi.acquire_credentials_handle(None, "Kerberos", OUTBOUND, environment=environment).credential
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
            begun = time.monotonic()
            with pytest.raises(SaslError, match="kdc_timeout") as caught:
                sspi.acquire_credentials_handle(
                    None,
                    "Kerberos",
                    OUTBOUND,
                    auth_data=WinNTAuthIdentity("alice", None, ALICE.password),
                    environment=environment,
                )
            assert caught.value.status is SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY
            with pytest.raises(SaslError, match="kdc_timeout"):
                establish(tickets, inbound(), "ldap/localhost")
            assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("principal", "parts"),
    [
        ("alice@R", ("alice", "R")),
        (r"a\@b@R", ("a@b", "R")),
        (r"a\\b@R", (r"a\b", "R")),
        ("ldap/host@R", ("ldap/host", "R")),
        ("alice", ("alice", "")),
        ("alice@", ("alice", "")),
    ],
)
def test_principals_come_apart_at_the_last_plain_at(principal: str, parts: tuple[str, str]) -> None:
    assert split_principal(principal) == parts


def test_a_kdc_proxy_can_be_set_and_one_that_is_forced_begins_nothing(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        handle = outbound()
        sspi.set_credentials_attributes(handle, sspi.SecPkgCredKdcProxySettings(proxy_server="proxy.example.test"))
        assert who_gets_in(handle).startswith("alice@")
        forced = sspi.KdcProxySettingsFlags.KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY
        sspi.set_credentials_attributes(handle, sspi.SecPkgCredKdcProxySettings(flags=forced, proxy_server="a.test"))
        with pytest.raises(SaslError, match=r"krb5\.conf"):
            who_gets_in(handle)
        sspi.set_credentials_attributes(handle, sspi.SecPkgCredKdcProxySettings())
        assert who_gets_in(handle).startswith("alice@")
        with pytest.raises(SaslError, match="let no SecPkgCredNames be set"):
            sspi.set_credentials_attributes(handle, sspi.SecPkgCredNames("x"))
