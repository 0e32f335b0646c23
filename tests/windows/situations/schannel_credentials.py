"""Schannel: what AcquireCredentialsHandle takes, and what a credential says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from saslsspi import sspi
from saslsspi.sspi import CredentialUse, SchCredentials, SecPkgCredNames
from windows.observed import Answer, situation, status_of
from windows.tls_world import TLS12_CLIENT, TLS12_SERVER, UNISP_NAME, certificates, outbound

INBOUND, OUTBOUND = CredentialUse.SECPKG_CRED_INBOUND, CredentialUse.SECPKG_CRED_OUTBOUND
DTLS_CLIENT = 0xA0000
TLS10_CLIENT, SSL3_SERVER = 0x80, 0x10


def acquired(use: int, identity: SchCredentials | None) -> str:
    return status_of(lambda: sspi.acquire_credentials_handle(None, UNISP_NAME, use, auth_data=identity))


def both(identity: SchCredentials, what: str) -> dict[str, Answer]:
    return {f"{what}, outbound": acquired(OUTBOUND, identity), f"{what}, inbound": acquired(INBOUND, identity)}


def permitting(protocols: int) -> SchCredentials:
    return SchCredentials(protocols=protocols)  # type: ignore[arg-type]  # bits of one side, which IntFlag has no name for


@situation("Schannel: credentials")
def credentials(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    folder: Path = request.getfixturevalue("tmp_path")
    pem = certificates().server.read_text()
    certificate = pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    bogus, keyless = folder / "bogus.pem", folder / "keyless.pem"
    lines = certificate.splitlines()
    bogus.write_text("\n".join([lines[0], "MHoCAQEwAgYAMBUxEzARBgNVBAMT", lines[-1]]) + "\n")
    keyless.write_text(certificate)
    names: Callable[[], object] = lambda: sspi.query_credentials_attributes(outbound(), SecPkgCredNames)  # noqa: E731
    return {
        "listed": UNISP_NAME in {info.name for info in sspi.enumerate_security_packages()},
        "no use": acquired(0, None),
        "none, both uses": acquired(CredentialUse.SECPKG_CRED_BOTH, None),
        "none, outbound": acquired(OUTBOUND, None),
        "none, inbound": acquired(INBOUND, None),
        "names": status_of(names),
        **both(SchCredentials(), "without a certificate"),
        **both(SchCredentials(certificate=str(bogus)), "a bogus certificate"),
        **both(SchCredentials(certificate=str(keyless)), "a certificate without its key"),
        **both(SchCredentials(certificate=str(certificates().server)), "a certificate with its key"),
        **both(permitting(TLS12_SERVER), "the server's protocols"),
        **both(permitting(TLS12_CLIENT), "the client's protocols"),
        **both(permitting(0), "no protocols"),
        "DTLS and TLS": acquired(OUTBOUND, permitting(DTLS_CLIENT | TLS10_CLIENT)),
        "DTLS and TLS of a server": acquired(OUTBOUND, permitting(DTLS_CLIENT | 0x40)),
        "DTLS and SSL 3 of a server": acquired(OUTBOUND, permitting(DTLS_CLIENT | SSL3_SERVER)),
    }
