"""Message encryption of WinRM beside pypsrp's, the Python client of WinRM, on contexts of pyspnego."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from interop.require import require_peer
from interop.test_credssp_pyspnego import theirs_initiating, write_rsa_certificate
from interop.test_pyspnego import their_client, their_server
from saslsspi import Context, CredSspPolicy, NegotiatePolicy, Password, Policy, SaslError
from saslsspi.adapters.winrm import WinRmProtocol, open_body, seal_body
from saslsspi.errors import InvalidToken
from saslsspi.sspi import AuthIdentity, CredsspCred, SchannelProtocol, SchCredentials
from sspi_context import DOMAIN, PASSWORD, PEOPLE, TARGET, USER, run

pytestmark = pytest.mark.interop

BODIES = [b"", b"<s:Envelope/>", b"--Encrypted Boundary\r\n" * 3, b"x" * 16384, b"0123456789" * 10_000]
HERE = Policy(credssp=CredSspPolicy(allow_fresh_ntlm_only=("http/*",)), negotiate=NegotiatePolicy(packages="NTLM"))
SPNEGO, CREDSSP = WinRmProtocol.SPNEGO, WinRmProtocol.CREDSSP


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyspnego's acceptor knows its users from a file."""
    require_peer("pypsrp", "pyspnego")
    file = tmp_path / "users"
    file.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))


def our_client(package: str = "NTLM") -> Context:
    return Context.initiate(package, target=TARGET, credentials=Password(USER, PASSWORD, realm=DOMAIN), policy=HERE)


def our_server(package: str = "NTLM", credentials: AuthIdentity | None = None) -> Context:
    return Context.accept(package, authority=PEOPLE, credentials=credentials, policy=HERE)


def cross(ours: Context, theirs: Any, protocol: WinRmProtocol) -> None:
    from pypsrp.encryption import WinRMEncryption

    peer = WinRMEncryption(theirs, protocol.value)
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
    theirs, tls = theirs_initiating(), SchCredentials(certificate=str(certificate), protocols=version)
    ours = our_server("CREDSSP", CredsspCred(schannel=tls))
    token = theirs.step()
    while not ours.done:
        reply = ours.step(token)
        token = (
            b"" if theirs.complete else theirs.step(reply or b"")
        )  # the turn goes over, whether or not there is more
    cross(ours, theirs, CREDSSP)


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_both_ends_are_ours_with_credssp(body: bytes) -> None:
    client, server = our_client("CREDSSP"), our_server("CREDSSP")
    run(client, server)
    assert open_body(server, seal_body(client, body, CREDSSP)[1], CREDSSP) == body
    assert open_body(client, seal_body(server, body, CREDSSP)[1], CREDSSP) == body


def test_both_ends_are_ours_with_kerberos(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        ours = Context.initiate("Kerberos", target="HTTP/localhost", policy=Policy(min_ssf=2))
        theirs = Context.accept("Kerberos", principal="HTTP/localhost")
        run(ours, theirs)
        for body in BODIES:
            assert open_body(theirs, seal_body(ours, body, WinRmProtocol.KERBEROS)[1], WinRmProtocol.KERBEROS) == body
            assert open_body(ours, seal_body(theirs, body, WinRmProtocol.KERBEROS)[1], WinRmProtocol.KERBEROS) == body


def test_a_body_that_was_changed_is_refused() -> None:
    client, server = our_client(), our_server()
    run(client, server)
    wire = bytearray(seal_body(client, b"<s:Envelope/>", SPNEGO)[1])
    wire[-30] ^= 1
    with pytest.raises(SaslError):
        open_body(server, bytes(wire), SPNEGO)


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
        open_body(server, change(seal_body(client, b"<s:Envelope/>", SPNEGO)[1]), SPNEGO)


def test_a_body_of_any_size_is_not_taken() -> None:
    client, server = our_client(), our_server()
    run(client, server)
    with pytest.raises(InvalidToken, match="at most"):
        open_body(server, bytes((1 << 26) + 1), SPNEGO)
