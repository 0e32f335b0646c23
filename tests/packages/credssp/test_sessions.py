"""The session cache of Schannel as the CredSSP page describes it.

MS-CSSP section 3.1.5 has no resumption, and CREDSSP asks for none (test_exchange.py). Here it is given a credential for
TLS that permits it, so that what the page says of the cache is tried with CREDSSP's own target names and handles.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from packages.credssp.ours import NTLM_ONLY, PEOPLE, TARGET, USER, logged_on, server_side
from packages.schannel.stream import Side, outbound
from saslsspi import errors, sspi
from saslsspi.packages.credssp import credential
from saslsspi.sspi import (
    CredsspCred,
    CredSspPolicy,
    Environment,
    IscReq,
    IscRet,
    Policy,
    SchannelProtocol,
    SchCredentials,
    WinNTAuthIdentity,
)
from saslsspi.testbed.certificates import make_certificates

ALICE = WinNTAuthIdentity(USER, "DOM", "wonderland")
TRUSTING = IscReq.ISC_REQ_MUTUAL_AUTH


class Sessions:
    """Connects several times, and tells whether a session was taken up again."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.client, self.server = self.handle(), server_side().credential

    def handle(self) -> sspi.CredHandle:
        environment = Environment(policy=Policy(negotiate=NTLM_ONLY), authority=PEOPLE, clock=lambda: self.now)
        tls = SchCredentials(protocols=SchannelProtocol.SP_PROT_TLS1_2, session_lifetime=100.0)
        return outbound("CREDSSP", CredsspCred(schannel=tls, spnego=ALICE), environment=environment)

    def again(self, target: str = TARGET) -> bool:
        client, _ = logged_on(Side(self.client, 0, target), Side(self.server, 0))
        return bool(client.query(sspi.SecPkgContextSessionInfo).reconnected)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    original = credential._tls_identity
    monkeypatch.setattr(credential, "_tls_identity", lambda *given: replace(original(*given), resumption=True))
    return Sessions()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-17", "SSPI-ISC-CREDSSP-18")
def test_a_session_is_taken_up_again(sessions: Sessions) -> None:
    assert not sessions.again()
    assert sessions.again()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-18", "SSPI-ISC-CREDSSP-19")
def test_a_session_is_for_the_same_target(sessions: Sessions) -> None:
    sessions.again()
    assert not sessions.again("HTTP/other")


@pytest.mark.requirement("SSPI-ISC-CREDSSP-18", "SSPI-ISC-CREDSSP-20")
def test_a_session_expires(sessions: Sessions) -> None:
    sessions.again()
    sessions.now += 101
    assert not sessions.again()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-18", "SSPI-ISC-CREDSSP-21")
def test_a_session_is_for_the_same_process(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions.again()
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    assert not sessions.again()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-18", "SSPI-ISC-CREDSSP-22")
def test_a_session_is_for_the_same_logon_session(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions.again()
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert not sessions.again()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-18", "SSPI-ISC-CREDSSP-23")
def test_a_session_is_for_the_same_credential_handle(sessions: Sessions) -> None:
    sessions.again()
    sessions.client = sessions.handle()
    assert not sessions.again()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-16")
def test_the_target_name_is_compared_with_the_certificate(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = make_certificates(tmp_path_factory.mktemp("certificates"), USER)
    serving = CredsspCred(schannel=SchCredentials(certificate=str(files.server)))
    trusting = CredsspCred(schannel=SchCredentials(authorities=str(files.authority)), spnego=ALICE)

    def client(target: str) -> Side:
        environment = Environment(policy=Policy(credssp=CredSspPolicy(), negotiate=NTLM_ONLY))
        return Side(outbound("CREDSSP", trusting, environment=environment), TRUSTING, target)

    meant, _ = logged_on(client("HTTP/localhost"), server_side(identity=serving))
    assert meant.attributes & IscRet.ISC_RET_MUTUAL_AUTH
    assert meant.query(sspi.SecPkgContextCertTrustStatus).trusted
    with pytest.raises(errors.MutualAuthFailed):
        logged_on(client("HTTP/other"), server_side(identity=serving))


@pytest.mark.requirement("SSPI-ISC-CREDSSP-34")
def test_a_record_out_of_order_ends_the_stream() -> None:
    client, server = logged_on()
    client.encrypt(b"lost")
    with pytest.raises(errors.MessageAltered):
        server.decrypt(client.encrypt(b"second"))
