"""The package without the `gssapi` library: listed, with what to install, and in nobody's way."""

import sys
from collections.abc import Iterator

import pytest

from saslsspi import Client, Policy, SaslError, SecurityStatus, Server, choose, sspi
from saslsspi.packages.kerberos import PACKAGE, gss
from saslsspi.sasl.acceptance import offer


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    caches = (gss.library, gss.krb5, gss.no_ci_flags, gss.principal_name_type)
    for cache in caches:
        cache.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "gssapi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gssapi", None)
    yield
    for cache in caches:
        cache.cache_clear()


def test_the_package_is_listed_with_what_to_install() -> None:
    assert "Kerberos" in [info.name for info in sspi.enumerate_security_packages()]
    assert sspi.query_security_package_info("kerberos").rpcid == 16
    assert "pip install 'saslsspi[kerberos]'" in (PACKAGE.problem() or "")


@pytest.mark.parametrize("use", [sspi.CredentialUse.SECPKG_CRED_INBOUND, sspi.CredentialUse.SECPKG_CRED_OUTBOUND])
def test_acquiring_says_what_to_install(use: sspi.CredentialUse) -> None:
    with pytest.raises(SaslError, match="pip install") as caught:
        sspi.acquire_credentials_handle(None, "Kerberos", use)
    assert caught.value.status is SecurityStatus.SEC_E_SECPKG_NOT_FOUND
    for kind in (Client, Server):
        with pytest.raises(SaslError, match="pip install"):
            kind("GSSAPI", service="ldap", host="localhost")


def test_others_are_chosen_and_offered_with_the_reason_for_gssapi() -> None:
    choice = choose(["GSSAPI", "DIGEST-MD5"], Policy())
    assert choice.mechanism.name == "DIGEST-MD5"
    assert "pip install" in choice.reasons["GSSAPI"]
    names, reasons = offer(Policy())
    assert "DIGEST-MD5" in names
    assert "pip install" in reasons["GSSAPI"]


@pytest.mark.parametrize(("command", "name"), [("packages", "Kerberos"), ("mechanisms", "GSSAPI")])
def test_the_command_line_lists_it_with_the_reason(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from saslsspi.__main__ import main

    assert main([command]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{name} of ")]
    assert "pip install 'saslsspi[kerberos]'" in line
