"""SSPI's SASL profiles: which there are, and which package is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_distribution import installed
from saslsspi import errors, sspi
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.sspi import CredentialUse, SecBuffer, SecBufferDesc, SecBufferType

TARGET = "ldap/dc.example.test"


class TestProfiles:
    def test_profiles_are_the_mechanisms_that_are_a_package_underneath(self) -> None:
        packages = {name: sspi.sasl_get_profile_package(name).name for name in sspi.sasl_enumerate_profiles()}
        assert packages == {
            "DIGEST-MD5": "WDigest",
            "GSSAPI": "Kerberos",
            "GSS-SPNEGO": "Negotiate",
            "NTLM": "NTLM",
            "CREDSSP": "CREDSSP",
        }

    def test_profile_names_have_no_case_and_unknown_ones_say_which_there_are(self) -> None:
        assert sspi.sasl_get_profile_package("digest-md5").max_token == 4096
        with pytest.raises(errors.PackageNotFound, match="GSS-SPNEGO"):
            sspi.sasl_get_profile_package("SCRAM-SHA-256")

    @pytest.mark.parametrize(
        ("names", "package"),
        [
            (b"SCRAM-SHA-1 GSS-SPNEGO DIGEST-MD5", "Negotiate"),
            (b"digest-md5\0\xff\xfe", "WDigest"),
            (b"PLAIN,NTLM", "NTLM"),
        ],
    )
    def test_a_negotiation_is_identified_by_the_first_profile_it_names(self, names: bytes, package: str) -> None:
        buffer = SecBufferDesc([SecBuffer(names, SecBufferType.SECBUFFER_TOKEN)])
        assert sspi.sasl_identify_package(buffer).name == package

    @pytest.mark.parametrize("names", [b"", b"PLAIN", b"\xff" * 100, b"x " * 5000 + b"NTLM", b"NTLMSSP\0"])
    def test_a_negotiation_without_a_profile_is_no_package(self, names: bytes) -> None:
        with pytest.raises(errors.PackageNotFound):
            sspi.sasl_identify_package(SecBufferDesc([SecBuffer(names, SecBufferType.SECBUFFER_TOKEN)]))

    def test_identifying_needs_a_token(self) -> None:
        with pytest.raises(errors.InvalidToken):
            sspi.sasl_identify_package(SecBufferDesc([]))

    def test_a_package_without_a_profile_has_no_sasl(self) -> None:
        credential = sspi.acquire_credentials_handle(None, "Schannel", CredentialUse.SECPKG_CRED_OUTBOUND).credential
        with pytest.raises(errors.UnsupportedFunction):
            sspi.sasl_initialize_security_context(credential, None, TARGET, 0, 0, None, None)


@pytest.fixture
def foreign_profile(tmp_path: Path) -> Iterator[None]:
    source = (
        "from saslsspi_mechanisms.digest_md5 import DIGEST_MD5\nfrom dataclasses import replace\n"
        "TEA = replace(DIGEST_MD5, name='X-TEA')\nNONE = replace(DIGEST_MD5, name='X-NONE', package='Nobodys')\n"
    )
    plugins = {"X-TEA": "TEA", "X-NONE": "NONE"}
    with installed(tmp_path, "tea", "saslsspi.mechanisms", plugins, source, MECHANISMS):  # type: ignore[arg-type]
        yield


@pytest.mark.usefixtures("foreign_profile")
def test_a_profile_of_another_distribution_counts_where_its_package_is_installed() -> None:
    assert sspi.sasl_get_profile_package("X-TEA").name == "WDigest"
    assert "X-NONE" not in sspi.sasl_enumerate_profiles()
