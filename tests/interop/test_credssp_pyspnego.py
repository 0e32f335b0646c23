"""Our CredSSP beside pyspnego's, both directions, TLS 1.2 and 1.3."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from interop.require import require_peer
from packages.credssp.ours import DELEGATE, FREELY, TARGET, TELLS, TOLD, client_side, server_side
from packages.schannel.stream import Side
from saslsspi import CredSspPolicy, SaslError, sspi
from saslsspi.packages.credssp.binding import subject_public_key
from saslsspi.packages.credssp.credentials import PasswordCredentials
from saslsspi.packages.schannel.certificate import self_signed, temporary_file
from saslsspi.sspi import CredsspCred, SchannelProtocol, SchCredentials, WinNTAuthIdentity

pytestmark = pytest.mark.interop
USER, DOMAIN, PASSWORD = "alice", "DOM", "wonderland"
PROTOCOLS = [
    pytest.param(SchannelProtocol.SP_PROT_TLS1_2, id="TLS 1.2"),
    pytest.param(SchannelProtocol.SP_PROT_TLS1_3, id="TLS 1.3"),
]


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyspnego's acceptor knows its users from a file."""
    require_peer("pyspnego")
    file = tmp_path / "users"
    file.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))


@pytest.fixture(scope="module")
def rsa_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server's certificate with an RSA key: pyspnego's clients bind to no other."""
    file = tmp_path_factory.mktemp("rsa") / "server.pem"
    write_rsa_certificate(file)
    return str(file)


def write_rsa_certificate(file: Path) -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "host.example")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = builder.public_key(key.public_key()).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        made.public_bytes(encoding)
        + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def ours_accepting(certificate: str, protocol: SchannelProtocol, policy: CredSspPolicy = FREELY) -> Side:
    identity = CredsspCred(schannel=SchCredentials(certificate=certificate, protocols=protocol))
    return server_side(TELLS, policy, identity=identity)


def theirs_initiating(password: str = PASSWORD, **options: Any) -> Any:
    import spnego

    return spnego.client(
        f"{DOMAIN}\\{USER}", password, hostname="host.example", service="http", protocol="credssp",
        options=spnego.NegotiateOptions.use_negotiate, **options,
    )  # fmt: skip


def run(initiator: Any, acceptor: Any) -> None:
    """Carry tokens; both have step and complete."""
    token = initiator.step()
    for _ in range(20):
        reply = acceptor.step(token)
        if initiator.complete and acceptor.complete:
            return
        token = initiator.step(reply)
        if initiator.complete and acceptor.complete:
            return
    raise AssertionError("the exchange starved")


class Ours:
    """A Side with the names of pyspnego."""

    def __init__(self, side: Side) -> None:
        self.side = side

    @property
    def complete(self) -> bool:
        return self.side.done

    def step(self, token: bytes | None = None) -> bytes:
        return self.side.step(token or b"")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pyspnego_logs_on_to_us_and_delegates(rsa_certificate: str, protocol: SchannelProtocol) -> None:
    theirs, ours = theirs_initiating(), ours_accepting(rsa_certificate, protocol)
    run(theirs, Ours(ours))
    held = ours.query(sspi.SecPkgContextClientCreds).credentials
    assert held == PasswordCredentials(DOMAIN, USER, PASSWORD)
    assert ours.query(sspi.SecPkgContextConnectionInfo).protocol == protocol
    for text in (b"hello", bytes(50_000)):
        assert theirs.unwrap(ours.encrypt(text)).data == text
        assert ours.read(theirs.wrap(text).data) == text


def test_pyspnego_with_a_wrong_password_is_told(rsa_certificate: str) -> None:
    theirs = theirs_initiating("wrong")
    ours = ours_accepting(rsa_certificate, SchannelProtocol.SP_PROT_TLS1_3)
    with pytest.raises(SaslError) as caught:
        run(theirs, Ours(ours))
    assert caught.value.token
    with pytest.raises(Exception, match="NTStatus in TSRequest"):
        theirs.step(caught.value.token)


def holding_an_ec_key() -> Any:
    """What pyspnego's acceptor needs to serve a certificate with another key than RSA: the bits that are bound."""
    import spnego.tls

    made = self_signed("host.example", now=time.time())
    context = spnego.tls.default_tls_context(usage="accept")
    context.public_key = subject_public_key(made.der)
    with temporary_file(made.pem) as file:
        context.context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", ["RSA", "EC"])
@pytest.mark.parametrize("delegates", [True, False])
def test_we_log_on_to_pyspnego(protocol: SchannelProtocol, key: str, delegates: bool) -> None:
    import spnego

    identity = CredsspCred(
        schannel=SchCredentials(protocols=protocol), spnego=WinNTAuthIdentity(USER, DOMAIN, PASSWORD)
    )
    ours = client_side(TOLD | (DELEGATE if delegates else 0), FREELY, identity=identity, target=TARGET)
    more = {"credssp_tls_context": holding_an_ec_key()} if key == "EC" else {}
    theirs = spnego.server(protocol="credssp", options=spnego.NegotiateOptions.use_negotiate, **more)
    run(Ours(ours), theirs)
    held = theirs.get_extra_info("client_credential")
    expected = (DOMAIN, USER, PASSWORD) if delegates else ("", "", "")
    assert (held.domain_name, held.username, held.password) == expected
    for text in (b"hello", bytes(50_000)):
        assert theirs.unwrap(ours.encrypt(text)).data == text
        assert ours.read(theirs.wrap(text).data) == text


def test_a_certificate_of_ours_with_an_ec_key_is_more_than_pyspnego_can_bind_to() -> None:
    """It asks the key for PKCS#1, so an acceptor that is to serve it needs an RSA certificate."""
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever it raises
        run(theirs_initiating(), Ours(server_side()))
