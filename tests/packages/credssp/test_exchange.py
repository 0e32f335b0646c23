"""CredSSP between our two sides: versions, both orders of the last steps, what goes over, statuses and flags."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from packages.credssp.ours import (
    DELEGATE,
    DOMAIN,
    PASSWORD,
    TARGET,
    TOLD,
    USER,
    client_sends,
    client_side,
    logged_on,
    server_side,
    watch,
)  # fmt: skip
from packages.schannel.stream import Side, connect
from saslsspi import errors, sspi
from saslsspi.engine.policy import PublicKeyLeg
from saslsspi.packages.credssp.credentials import (
    PackageCredential,
    PasswordCredentials,
    RemoteGuardCredentials,
    SmartCardCredentials,
)
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.sspi import (
    AscRet,
    CredentialKind,
    CredsspCred,
    CredSspPolicy,
    IscRet,
    SchannelProtocol,
    SchCredentials,
    SecurityStatus,
    WinNTAuthIdentity,
)
from saslsspi.testbed.certificates import make_certificates

AFTER = PublicKeyLeg.AFTER_NEGOTIATE
VERSIONS = range(2, 7)
PROTOCOLS = [SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3]


@pytest.mark.requirement("MSCSSP-1.5-02", "MSCSSP-1.5-03", "MSCSSP-2.2-03", "MSCSSP-3.1.5-04", "MSCSSP-3.1.5-29",
    "SSPI-ISC-CREDSSP-01", "SSPI-ISC-CREDSSP-02", "SSPI-ISC-CREDSSP-03", "SSPI-ISC-CREDSSP-04", "SSPI-ISC-CREDSSP-05",
    "SSPI-ISC-CREDSSP-09", "SSPI-ISC-CREDSSP-11", "SSPI-ISC-CREDSSP-12", "SSPI-ISC-CREDSSP-14", "SSPI-ISC-CREDSSP-15",
    "SSPI-ISC-CREDSSP-73", "SSPI-ISC-CREDSSP-97", "SSPI-ISC-CREDSSP-98", "SSPI-ISC-CREDSSP-99", "SSPI-ISC-CREDSSP-100",
    "SSPI-ISC-CREDSSP-101", "SSPI-ISC-CREDSSP-102", "SSPI-ISC-CREDSSP-104", "SSPI-ISC-CREDSSP-37",
    "SSPI-ISC-CREDSSP-53", "SSPI-ISC-CREDSSP-54", "SSPI-ISC-CREDSSP-113", "SSPI-ISC-CREDSSP-114",
    "SSPI-ISC-CREDSSP-115")  # fmt: skip
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["TLS 1.2", "TLS 1.3"])
def test_credentials_are_delegated_and_data_flow_under_tls(protocol: SchannelProtocol) -> None:
    identity = CredsspCred(
        schannel=SchCredentials(protocols=protocol), spnego=WinNTAuthIdentity(USER, DOMAIN, PASSWORD)
    )
    client, server = logged_on(client_side(TOLD | DELEGATE, identity=identity))
    held = server.query(sspi.SecPkgContextClientCreds).credentials
    assert held == PasswordCredentials(DOMAIN, USER, PASSWORD)
    assert PASSWORD not in repr(server.query(sspi.SecPkgContextClientCreds))
    assert server.query(sspi.SecPkgContextNames).username == USER
    assert server.query(sspi.SecPkgContextNegotiationPackage).package_info.name == "NTLM"
    assert client.query(sspi.SecPkgContextNegotiationPackage).package_info.name == "NTLM"
    assert client.query(sspi.SecPkgContextConnectionInfo).protocol == protocol
    assert client.query(sspi.SecPkgContextPackageInfo).name == "CREDSSP"
    assert client.query(sspi.SecPkgContextServerAuthFlags).flags & IscRet.ISC_RET_CONFIDENTIALITY
    assert client.attributes & IscRet.ISC_RET_DELEGATE
    assert server.attributes & AscRet.ASC_RET_DELEGATE
    for text in (b"", b"hello", bytes(100_000)):
        assert server.read(client.encrypt(text)) == text
        assert client.read(server.encrypt(text)) == text


@pytest.mark.requirement("MSCSSP-2.2.1-10", "MSCSSP-2.2.1-04", "MSCSSP-3.1.5-21", "MSCSSP-3.1.5-16", "MSCSSP-3.1.5-17",
    "MSCSSP-CVE20180886-CVE-2018-0886-01")  # fmt: skip
@pytest.mark.parametrize(("ours", "theirs", "step"), list(itertools.product(VERSIONS, VERSIONS, PublicKeyLeg)))
def test_every_two_versions_work_together_in_both_orders(
    monkeypatch: pytest.MonkeyPatch, ours: int, theirs: int, step: PublicKeyLeg
) -> None:
    sent, received = watch(monkeypatch)
    _, server = logged_on(
        client_side(policy=CredSspPolicy(minimum_version=2, version=ours, public_key_leg=step)),
        server_side(policy=CredSspPolicy(minimum_version=2, version=theirs)),
    )
    assert server.query(sspi.SecPkgContextNames).username == USER
    assert {message.version for message in sent} == {ours}
    assert {message.version for message in received} == {theirs}
    proof = next(message for message in sent if message.pub_key_auth)
    hashed = min(ours, theirs) >= 5
    assert (proof.client_nonce is not None) == hashed
    assert (len(proof.pub_key_auth or b"") == 16 + 32) == hashed


@pytest.mark.requirement("MSCSSP-3.1.5-05", "MSCSSP-3.1.5-06", "MSCSSP-3.1.5-07", "MSCSSP-3.1.5-08", "MSCSSP-3.1.5-28",
    "MSCSSP-2.2.1-07", "MSCSSP-2.2.1-08", "MSCSSP-2.2.1-14", "MSCSSP-2.2.1.2.1-02", "SSPI-ISC-CREDSSP-38",
    "SSPI-ISC-CREDSSP-105")  # fmt: skip
def test_the_messages_are_those_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, received = watch(monkeypatch)
    _, server = logged_on()
    assert [_fields(message) for message in sent] == [
        ["nego_token"],
        ["nego_token", "pub_key_auth", "client_nonce"],
        ["auth_info"],
    ]
    # A named departure of step 4: the negoToken that SPNEGO owes goes with the server's proof.
    assert [_fields(message) for message in received] == [["nego_token"], ["nego_token", "pub_key_auth"]]
    empty = PasswordCredentials("", "", "")
    assert server.query(sspi.SecPkgContextClientCreds).credentials == empty
    assert sent[2].auth_info is not None
    assert len(sent[2].auth_info) == 16 + len(empty.to_bytes())
    assert empty.to_bytes() not in sent[2].auth_info


def test_the_messages_are_those_of_the_steps_with_the_key_in_a_leg_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, received = watch(monkeypatch)
    logged_on(client_side(policy=CredSspPolicy(public_key_leg=AFTER)))
    assert [_fields(message) for message in sent] == [
        ["nego_token"],
        ["nego_token"],
        ["pub_key_auth", "client_nonce"],
        ["auth_info"],
    ]
    assert [_fields(message) for message in received] == [["nego_token"], ["nego_token"], ["pub_key_auth"]]


def _fields(message: TSRequest) -> list[str]:
    return [name for name, value in message._asdict().items() if value is not None and name != "version"]


@pytest.mark.requirement("MSCSSP-2.2.1-09")
@pytest.mark.parametrize("step", list(PublicKeyLeg))
def test_sequence_numbers_go_on_through_the_exchange(monkeypatch: pytest.MonkeyPatch, step: PublicKeyLeg) -> None:
    sent, received = watch(monkeypatch)
    logged_on(client_side(policy=CredSspPolicy(public_key_leg=step)))

    def number(octets: bytes | None) -> int:
        assert octets is not None
        return int.from_bytes(octets[12:16], "little")  # of NTLM's signature

    # With NTLM's MIC the list of mechanisms is signed with number 0 on both sides.
    assert number(next(m.pub_key_auth for m in sent if m.pub_key_auth)) == 1
    assert number(sent[-1].auth_info) == 2
    assert number(received[-1].pub_key_auth) == 1


@pytest.mark.requirement("MSCSSP-3.1.5-12")
def test_every_exchange_has_a_nonce_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    logged_on()
    logged_on()
    nonces = [message.client_nonce for message in sent if message.client_nonce]
    assert len(set(nonces)) == 2
    assert {len(nonce) for nonce in nonces} == {32}


@pytest.mark.requirement("MSCSSP-1.5-01")
def test_the_nonce_comes_from_the_source_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    logged_on(client_side(random=lambda size: b"\x07" * size))
    assert bytes(32 * [7]) in [message.client_nonce for message in sent]


@pytest.mark.requirement("MSCSSP-2.2.1-03")
@pytest.mark.parametrize("version", [7, 100, 255])
def test_a_higher_version_is_our_highest(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    client_sends(monkeypatch, lambda message: [message._replace(version=version)])
    _, server = logged_on()
    assert server.done


def _certificate(folder: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    made = make_certificates(folder, "x")
    old = x509.load_pem_x509_certificate(made.server.read_bytes())
    name = old.subject
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(5)
    builder = builder.not_valid_before(old.not_valid_before_utc).not_valid_after(old.not_valid_after_utc)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = builder.public_key(key.public_key()).sign(key, algorithm)
    file = folder / "own.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        certificate.public_bytes(encoding)
        + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(file)


@pytest.mark.requirement("MSCSSP-3.1.5-15")
@pytest.mark.parametrize("kind", ["RSA", "P-384", "Ed25519"])
def test_any_kind_of_key_can_be_bound(tmp_path: Path, kind: str) -> None:
    from saslsspi.packages.credssp.binding import subject_public_key

    key = {
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    file = _certificate(tmp_path, key)
    client, _ = logged_on(server=server_side(identity=CredsspCred(schannel=SchCredentials(certificate=file))))
    bits = subject_public_key(client.query(sspi.SecPkgContextRemoteCert).certificate)
    encoding, form = serialization.Encoding, serialization.PublicFormat
    expected = {
        "RSA": (encoding.DER, form.PKCS1),
        "P-384": (encoding.X962, form.UncompressedPoint),
        "Ed25519": (encoding.Raw, form.Raw),
    }[kind]
    assert bits == key.public_key().public_bytes(*expected)


@pytest.mark.requirement("MSCSSP-2.2.1-15", "SSPI-ISC-CREDSSP-35", "SSPI-ISC-CREDSSP-78")
@pytest.mark.parametrize("size", [1, 7, 100])
def test_tokens_may_be_split_anywhere(size: int) -> None:
    def pieces(token: bytes) -> list[bytes]:
        return [token[at : at + size] for at in range(0, len(token), size)] or [b""]

    client, server = client_side(), server_side()
    connect(client, server, pieces, pieces)
    assert server.done


@pytest.mark.requirement("MSCSSP-2.2.1-15")
def test_a_message_is_one_record_and_may_come_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_pieces(message: TSRequest) -> list[bytes]:
        octets = message.to_bytes()
        return [octets[:1], octets[1:3], octets[3:40], octets[40:]]

    client_sends(monkeypatch, in_pieces)
    _, server = logged_on()
    assert server.done


@pytest.mark.requirement("MSCSSP-3.1.5-02", "MSCSSP-3.1.5-03")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["TLS 1.2", "TLS 1.3"])
def test_tls_takes_up_no_session_sends_no_ticket_and_asks_for_no_certificate(protocol: SchannelProtocol) -> None:
    identity = CredsspCred(
        schannel=SchCredentials(protocols=protocol), spnego=WinNTAuthIdentity(USER, DOMAIN, PASSWORD)
    )
    first, server = client_side(identity=identity), server_side()
    for _ in range(2):
        client = Side(first.credential, first.flags, TARGET)
        acceptor = Side(server.credential, server.flags)
        hello = client.step()
        flight = acceptor.step(hello)
        reply = client.step(flight)
        if protocol is SchannelProtocol.SP_PROT_TLS1_2:
            kinds = {flight[at + 5] for at in _records(flight) if flight[at] == 22}
            assert kinds == {2, 11, 12, 14}  # ServerHello, Certificate, ServerKeyExchange, ServerHelloDone
            flight = acceptor.step(reply)
            # NewSessionTicket would stand in clear before change_cipher_spec.
            assert flight[0] == 20
        else:
            answer = acceptor.step(reply)
            assert len(list(_records(answer))) == 1  # the TSRequest alone


def _records(octets: bytes) -> list[int]:
    starts, at = [], 0
    while at < len(octets):
        starts.append(at)
        at += 5 + int.from_bytes(octets[at + 3 : at + 5])
    return starts


@pytest.mark.parametrize(
    "credentials",
    [SmartCardCredentials("1", 1), RemoteGuardCredentials(PackageCredential("Kerberos", b"x"))],
    ids=["smart card", "remote guard"],
)
def test_other_credentials_than_the_password_are_taken_where_the_policy_says_so(
    credentials: SmartCardCredentials | RemoteGuardCredentials,
) -> None:
    identity = CredsspCred(
        spnego=WinNTAuthIdentity(USER, DOMAIN, PASSWORD),
        delegated=credentials.to_bytes(),
        kind=CredentialKind.SAVED,
    )
    policy = CredSspPolicy(allow_saved_ntlm_only=(TARGET,))
    takes = CredSspPolicy(takes=credentials.kind)
    _, server = logged_on(client_side(TOLD | DELEGATE, policy, identity=identity), server_side(policy=takes))
    assert server.query(sspi.SecPkgContextClientCreds).credentials == credentials
    client, server = client_side(TOLD | DELEGATE, policy, identity=identity), server_side()
    with pytest.raises(errors.RemoteError, match=f"hands over {credentials.words}") as caught:
        logged_on(client, server)
    assert caught.value.status is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION
    assert caught.value.token
    assert not server.done
