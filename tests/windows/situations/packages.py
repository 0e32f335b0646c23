"""Security packages: which there are, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saslsspi import sspi
from saslsspi.sspi import CredentialUse, SecBuffer, SecBufferType
from windows.observed import Answer, situation, status_of

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
