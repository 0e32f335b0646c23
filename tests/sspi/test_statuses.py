"""The statuses that no other test names: alerts of TLS, and what a platform lacks; and those that are names only."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from packages.schannel import stream
from saslsspi import errors, sspi
from saslsspi.packages.digest.http.algorithms import ALGORITHMS
from saslsspi.packages.schannel.failures import translated
from saslsspi.sspi import AscReq, Environment, ImpersonationLevel, IscReq, SecurityStatus
from sspi_context import PEOPLE, SEAL, TARGET, Context, client_credential, run, server_credential


@pytest.mark.parametrize(
    ("description", "status"),
    [
        (10, SecurityStatus.SEC_E_ILLEGAL_MESSAGE),  # unexpected_message
        (40, SecurityStatus.SEC_E_ALGORITHM_MISMATCH),  # handshake_failure
        (42, SecurityStatus.SEC_E_CERT_UNKNOWN),  # bad_certificate
        (45, SecurityStatus.SEC_E_CERT_EXPIRED),  # certificate_expired
        (46, SecurityStatus.SEC_E_CERT_UNKNOWN),  # certificate_unknown
        (48, SecurityStatus.SEC_E_UNTRUSTED_ROOT),  # unknown_ca
    ],
)
def test_an_alert_of_the_peer_is_told_by_its_status(description: int, status: SecurityStatus) -> None:
    client = stream.Side(stream.outbound(), int(stream.MANUAL), stream.TARGET)
    client.step()
    with pytest.raises(errors.SaslError) as caught:
        client.step(bytes([21, 3, 3, 0, 2, 2, description]))
    assert caught.value.status is status


def test_a_protocol_that_the_peer_does_not_speak_is_told() -> None:
    error = ssl.SSLError(1, "no application protocol")
    error.reason = "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"  # not every Python has a name for the alert
    assert translated(error).status is SecurityStatus.SEC_E_APPLICATION_PROTOCOL_MISMATCH


def test_a_hash_that_the_platform_lacks_is_an_invalid_crypto_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str, data: bytes = b"") -> object:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", lacking)
    with pytest.raises(errors.CryptoSystemInvalid) as caught:
        ALGORITHMS[b"sha-512-256"].digest(b"x")
    assert caught.value.status is SecurityStatus.SEC_E_CRYPTO_SYSTEM_INVALID


def test_who_asks_to_be_identified_only_is_told_and_not_impersonated() -> None:
    client = Context(client_credential(), SEAL | int(IscReq.ISC_REQ_IDENTIFY), TARGET)
    accept = int(AscReq.ASC_REQ_CONFIDENTIALITY | AscReq.ASC_REQ_IDENTIFY)
    server = Context(server_credential(environment=Environment(authority=PEOPLE)), accept)
    run(client, server)
    assert client.attributes & IscReq.ISC_REQ_IDENTIFY
    assert server.attributes & AscReq.ASC_REQ_IDENTIFY
    assert sspi.query_security_context_token(server).level is ImpersonationLevel.SECURITY_IDENTIFICATION
    with pytest.raises(errors.NoImpersonation):
        sspi.impersonate_security_context(server)
    assert sspi.current_token() is None
