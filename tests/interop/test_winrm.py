"""Message encryption of WinRM beside pypsrp's, the Python client of WinRM, on contexts of pyspnego."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import saslsspi
from interop.kdc import Kdc
from interop.people import ALICE
from interop.require import require_peer
from interop.test_credssp_pyspnego import Ours, ours_accepting, theirs_initiating, write_rsa_certificate
from interop.test_credssp_pyspnego import run as run_credssp
from interop.test_pyspnego import our_client, our_server, their_client, their_server
from packages.credssp.ours import client_side, logged_on
from saslsspi import Policy, SaslError, sspi
from saslsspi.adapters.winrm import WinRmProtocol, open_body, seal_body
from saslsspi.engine.exchange import Request
from saslsspi.errors import InvalidToken
from saslsspi.sspi import IscReq, SchannelProtocol
from sspi_context import DOMAIN, PASSWORD, USER, Context, run

pytestmark = pytest.mark.interop

BODIES = [b"", b"<s:Envelope/>", b"--Encrypted Boundary\r\n" * 3, b"x" * 16384, b"0123456789" * 10_000]
SPNEGO, CREDSSP = WinRmProtocol.SPNEGO, WinRmProtocol.CREDSSP


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyspnego's acceptor knows its users from a file."""
    require_peer("pypsrp", "pyspnego")
    file = tmp_path / "users"
    file.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))


def face(handle: sspi.CtxtHandle) -> saslsspi.Context:
    """Return what WinRM's bodies are sealed with."""
    opened = handle._context
    assert opened is not None
    return saslsspi.Context(opened, Request(), Policy())


def cross(handle: sspi.CtxtHandle, theirs: Any, protocol: WinRmProtocol) -> None:
    from pypsrp.encryption import WinRMEncryption

    ours, peer = face(handle), WinRMEncryption(theirs, protocol.value)
    for body in BODIES:
        content_type, sealed = seal_body(ours, body, protocol)
        boundary = re.search(r'boundary="([^"]+)"', content_type)
        assert boundary is not None
        if protocol is SPNEGO:
            assert not body or body not in sealed
        assert b"".join([peer.unwrap_message(sealed, boundary[1])]) == body
        kind, wire = peer.wrap_message(body)
        assert content_type.startswith(kind)
        assert open_body(ours, wire, protocol) == body


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_our_client_speaks_with_pypsrp(package: str) -> None:
    ours, theirs = our_client(package), their_server(package)
    run(ours, theirs)
    cross(ours, theirs, SPNEGO)


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_pypsrp_speaks_with_our_server(package: str) -> None:
    theirs, ours = their_client(package), our_server(package)
    run(theirs, ours)
    cross(ours, theirs, SPNEGO)


@pytest.mark.parametrize("version", [SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3])
def test_pypsrp_speaks_with_our_credssp(version: SchannelProtocol, tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    write_rsa_certificate(certificate)
    theirs, ours = theirs_initiating(), ours_accepting(str(certificate), version)
    run_credssp(theirs, Ours(ours))
    cross(ours.handle, theirs, CREDSSP)


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_both_ends_are_ours_with_credssp(body: bytes) -> None:
    client, server = (face(side.handle) for side in logged_on(client_side()))
    assert open_body(server, seal_body(client, body, CREDSSP)[1], CREDSSP) == body
    assert open_body(client, seal_body(server, body, CREDSSP)[1], CREDSSP) == body


def test_both_ends_are_ours_with_kerberos(kdc: Kdc) -> None:
    seal = int(IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_MUTUAL_AUTH)
    uses = sspi.CredentialUse
    with kdc.as_user(ALICE):
        outbound = sspi.acquire_credentials_handle(None, "Kerberos", uses.SECPKG_CRED_OUTBOUND).credential
        inbound = sspi.acquire_credentials_handle("HTTP/localhost", "Kerberos", uses.SECPKG_CRED_INBOUND).credential
        client, server = Context(outbound, seal, "HTTP/localhost"), Context(inbound, 0)
        run(client, server)
        ours, theirs = face(client), face(server)
        for body in BODIES:
            assert open_body(theirs, seal_body(ours, body, WinRmProtocol.KERBEROS)[1], WinRmProtocol.KERBEROS) == body
            assert open_body(ours, seal_body(theirs, body, WinRmProtocol.KERBEROS)[1], WinRmProtocol.KERBEROS) == body


def test_a_body_that_was_changed_is_refused() -> None:
    client, server = our_client(), our_server()
    run(client, server)
    wire = bytearray(seal_body(face(client), b"<s:Envelope/>", SPNEGO)[1])
    wire[-30] ^= 1
    with pytest.raises(SaslError):
        open_body(face(server), bytes(wire), SPNEGO)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: body[:-3],
        lambda body: body + b"x",
        lambda body: body.replace(b"Length=13", b"Length=12"),
        lambda body: body.replace(b"Length=13", b"Length=999999999"),
        lambda body: body.replace(b"Length=13", b""),
        lambda body: body.replace(b"\x10\0\0\0", b"\xff\xff\xff\x7f"),
        lambda body: body.replace(b"octet-stream", b"xml"),
        lambda body: b"--Encrypted Boundary--\r\n",
    ],
)  # fmt: skip
def test_what_has_not_the_form_of_a_sealed_body_is_refused(change: Any) -> None:
    client, server = our_client(), our_server()
    run(client, server)
    with pytest.raises(SaslError):
        open_body(face(server), change(seal_body(face(client), b"<s:Envelope/>", SPNEGO)[1]), SPNEGO)


def test_a_body_of_any_size_is_not_taken() -> None:
    client, server = our_client(), our_server()
    run(client, server)
    with pytest.raises(InvalidToken, match="at most"):
        open_body(face(server), bytes((1 << 26) + 1), SPNEGO)
