"""Security packages: which there are, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saslsspi import sspi
from saslsspi.sspi import CredentialUse, SecBuffer, SecBufferType
from windows.observed import Answer, flag_names, situation, status_of

_ALL = CredentialUse.SECPKG_CRED_OUTBOUND


@situation("packages: listing and asking")
def listing(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    packages = sspi.enumerate_security_packages()
    buffer = SecBuffer(bytearray(8), SecBufferType.SECBUFFER_TOKEN)
    return {
        "there are some": len(packages) > 0,
        "NTLM": status_of(lambda: sspi.query_security_package_info("NTLM")),
        "NTLM's version": sspi.query_security_package_info("NTLM").version,
        "one that is not there": status_of(lambda: sspi.query_security_package_info("Winetest")),
        "memory given back": status_of(lambda: sspi.free_context_buffer(buffer)),
        "no name": status_of(lambda: sspi.acquire_credentials_handle(None, "", _ALL)),
    }


@situation("packages: what Windows 10 lists")
def windows_10(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    """The bits that say what containers may use aside: there is nothing here that they are about."""
    answers: dict[str, Answer] = {}
    for name in ("Negotiate", "Kerberos", "NTLM", "WDigest", "Schannel", "CREDSSP"):
        info = sspi.query_security_package_info(name)
        answers[f"{name}: name"] = info.name
        answers[f"{name}: capabilities"] = flag_names(info.capabilities, "SECPKG_FLAG_")
        answers[f"{name}: version"] = info.version
        answers[f"{name}: RPC number"] = info.rpcid
        answers[f"{name}: largest token"] = info.max_token
    return answers
