"""FreeRDP 2 or 3 across our CredSSP, both directions: network level authentication, NTLM with and without SPNEGO."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from interop.freerdp import Display, Shadow, display, major_version, xfreerdp
from interop.people import ALICE
from interop.rdp import answer_negotiation, negotiate
from saslsspi import (
    Context,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    Password,
    Policy,
    PublicKeyLeg,
    SaslError,
    sspi,
)
from saslsspi.errors import RemoteError
from saslsspi.packages.credssp.credentials import EMPTY, PasswordCredentials
from saslsspi.sspi import AscReq

__all__ = ["display"]
pytestmark = pytest.mark.interop

MCS = b"\x03\0"  # TPKT again: MCS Connect Initial, the first message of RDP after the logon


class Acceptor:
    """One connection to our acceptor, behind the negotiation of RDP."""

    def __init__(self) -> None:
        people = MemoryAuthority({ALICE.name: ALICE.password})
        flags = int(AscReq.ASC_REQ_EXTENDED_ERROR)
        ntlm = Policy(negotiate=NegotiatePolicy(packages="NTLM"))
        self.context = Context.accept("CREDSSP", authority=people, policy=ntlm, flags=flags)
        self.error: SaslError | None = None
        self.after = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Acceptor:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(30)
        self._listener.close()

    def _serve(self) -> None:
        self._listener.settimeout(20)
        peer, _ = self._listener.accept()
        with peer:
            peer.settimeout(20)
            answer_negotiation(peer)
            try:
                while not self.context.done:
                    peer.sendall(self.context.step(peer.recv(65536)) or b"")
                self.after = self.context.unwrap(peer.recv(65536))
            except SaslError as failure:
                self.error = failure
                peer.sendall(failure.token or b"")


@pytest.fixture(scope="module")
def shadow(display: Display) -> Iterator[Shadow]:
    with Shadow(display) as started:
        yield started


def test_their_client_logs_on_to_us_and_begins_rdp(display: Display) -> None:
    with Acceptor() as acceptor:
        xfreerdp(display, acceptor.port, ALICE.password)
    assert acceptor.error is None
    security = acceptor.context.security
    assert (security.authcid, security.negotiated) == (ALICE.name, "NTLM")
    assert security.delegated == PasswordCredentials("DOM", ALICE.name, ALICE.password)
    assert acceptor.after.startswith(MCS)


def test_their_client_is_told_of_a_wrong_password(display: Display) -> None:
    with Acceptor() as acceptor:
        told = xfreerdp(display, acceptor.port, "looking-glass")
    assert acceptor.error is not None
    assert acceptor.error.status is sspi.SecurityStatus.SEC_E_LOGON_DENIED
    assert b"LOGON_FAILURE" in told.stdout + told.stderr


def test_their_client_in_restricted_admin_mode_hands_nothing_over(display: Display) -> None:
    with Acceptor() as acceptor:
        xfreerdp(display, acceptor.port, ALICE.password, "/restricted-admin")
    assert acceptor.error is None
    whole = PasswordCredentials("DOM", ALICE.name, ALICE.password)  # of 3.15, which says "restricted" to X.224 alone
    assert acceptor.context.security.delegated == (whole if major_version(display) >= 3 else EMPTY)


def logged_on(shadow: Shadow, password: str = ALICE.password, **credssp: object) -> Context:
    policy = Policy(
        negotiate=NegotiatePolicy(packages="NTLM"),
        credssp=CredSspPolicy(delegate=True, allow_fresh_ntlm_only=("TERMSRV/*",), **credssp),  # type: ignore[arg-type]
    )
    alice = Password(ALICE.name, password)
    context = Context.initiate("CREDSSP", target="TERMSRV/localhost", credentials=alice, policy=policy)
    with shadow.connect() as peer:
        negotiate(peer)
        token = context.step()
        while True:
            if token:
                peer.sendall(token)
            if context.done:
                return context
            received = peer.recv(65536)
            if not received:
                raise ConnectionError("the server has closed the connection")
            token = context.step(received)


def test_our_client_logs_on_to_their_server_with_ntlm_alone(shadow: Shadow) -> None:
    context = logged_on(shadow, bare_ntlm=True)
    assert context.security.negotiated == "NTLM"
    assert context.security.authcid == ALICE.name


def test_their_server_refuses_a_wrong_password(shadow: Shadow) -> None:
    with pytest.raises((RemoteError, ConnectionError)):
        logged_on(shadow, "looking-glass", bare_ntlm=True)


@pytest.mark.parametrize("leg", PublicKeyLeg)
def test_their_server_and_spnego(display: Display, shadow: Shadow, leg: PublicKeyLeg) -> None:
    """2 knows none, and says so with an error code of Windows that is no status, and a token of zeros beside it.

    3 wants the key in a leg of its own, as Windows sends it behind the MIC of SPNEGO: to one that came with the last
    token it sends that key back. It repeats its last token beside its proof.
    """
    if major_version(display) >= 3 and leg is PublicKeyLeg.AFTER_NEGOTIATE:
        assert logged_on(shadow, public_key_leg=leg).security.negotiated == "NTLM"
        return
    with pytest.raises(RemoteError):
        logged_on(shadow, public_key_leg=leg)
