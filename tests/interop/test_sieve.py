"""ManageSieve against Pigeonhole, Dovecot's: DIGEST-MD5 and SCRAM, TLS, scripts; blocking and asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

import pytest

from interop.dovecot import Dovecot
from interop.people import ALICE
from saslsspi import PackageNotFound, Policy
from saslsspi.adapters.sieve import SIEVE, LineClient, SaslSieve, SieveLogonDenied, SieveRefused, SieveScript

pytestmark = pytest.mark.interop
SCRIPT = b'require "fileinto";\r\nif header :contains "Subject" "sale" { fileinto "Junk"; }\r\n'
TIMEOUT = 15


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


def connect(dovecot: Dovecot) -> SaslSieve:
    return SaslSieve(dovecot.host, dovecot.sieve_port, timeout=TIMEOUT)


def tls(dovecot: Dovecot) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(dovecot.ca_file))


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scripts_are_kept(dovecot: Dovecot, mechanism: str) -> None:
    with connect(dovecot) as client:
        security = client.authenticate_sasl(mechanism, credentials=(ALICE.name, ALICE.password))
        assert (security.authcid, security.ssf) == (ALICE.name, 0)
        client.putscript("main", SCRIPT)
        client.setactive("main")
        assert SieveScript("main", True) in client.listscripts()
        assert client.getscript("main") == SCRIPT
        with pytest.raises(SieveRefused):
            client.checkscript(b"this is no Sieve;")
        client.setactive("")
        client.deletescript("main")
        assert client.listscripts() == []


def test_a_wrong_password_is_refused_and_the_right_one_follows(dovecot: Dovecot) -> None:
    with connect(dovecot) as client:
        with pytest.raises(SieveLogonDenied):
            client.authenticate_sasl("SCRAM-SHA-256", credentials=(ALICE.name, "not hers"))
        assert client.authenticate_sasl("SCRAM-SHA-256", credentials=(ALICE.name, ALICE.password)).authcid == ALICE.name


def test_plain_waits_for_tls(dovecot: Dovecot) -> None:
    with connect(dovecot) as client:
        # Dovecot lists it on loopback, which it takes for secured; we do not.
        with pytest.raises(PackageNotFound, match="in clear"):
            client.authenticate_sasl("PLAIN", credentials=(ALICE.name, ALICE.password))
        client.starttls(tls(dovecot))
        assert "PLAIN" in (client.capabilities.mechanisms or ())
        assert client.authenticate_sasl("PLAIN", credentials=(ALICE.name, ALICE.password)).authcid == ALICE.name


def test_asyncio_logs_on_too(dovecot: Dovecot) -> None:
    async def run() -> str:
        async with await LineClient.connect(SIEVE, dovecot.host, dovecot.sieve_port, starttls=tls(dovecot)) as client:
            await client.authenticate_sasl(credentials=(ALICE.name, ALICE.password), policy=Policy(max_ssf=0))
            return (await client.command(b"NOOP")).word

    assert asyncio.run(run()) == "OK"
