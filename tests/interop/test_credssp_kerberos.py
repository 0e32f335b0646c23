"""CredSSP with Kerberos inside: it proves the server, so the stricter lists of the policy let credentials go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from interop.require import require_peer
from packages.credssp.ours import DELEGATE, TELLS, TOLD, client_sends, logged_on, server_sends
from packages.schannel.stream import Side, outbound
from pair import authenticate, carry
from saslsspi import Client, CredSspPolicy, MemoryAuthority, NegotiatePolicy, Policy, Server, errors, sspi
from saslsspi.engine.policy import PublicKeyLeg
from saslsspi.packages.credssp.credentials import PasswordCredentials
from saslsspi.sspi import CredsspCred, Environment, IscReq, IscRet, WinNTAuthIdentity

pytestmark = pytest.mark.interop
TARGET = "ldap/localhost"
KERBEROS = NegotiatePolicy(packages="kerberos")
PEOPLE = MemoryAuthority({ALICE.name: ALICE.password})
HANDED_OVER = PasswordCredentials("", ALICE.name, ALICE.password)


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        yield


def client_side(flags: int = TOLD, policy: CredSspPolicy | None = None) -> Side:
    environment = Environment(policy=Policy(credssp=policy or CredSspPolicy(), negotiate=KERBEROS))
    identity = CredsspCred(delegated=HANDED_OVER.to_bytes())
    return Side(outbound("CREDSSP", identity, environment=environment), flags, TARGET)


def server_side(packages: str = "kerberos") -> Side:
    policy = Policy(negotiate=NegotiatePolicy(packages=packages))
    environment = Environment(policy=policy, authority=PEOPLE)
    credential = sspi.acquire_credentials_handle(
        TARGET, "CREDSSP", sspi.CredentialUse.SECPKG_CRED_INBOUND, environment=environment
    ).credential
    return Side(credential, TELLS)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-40", "SSPI-ISC-CREDSSP-92")
@pytest.mark.parametrize("step", list(PublicKeyLeg))
@pytest.mark.parametrize("packages", ["kerberos", "ntlm,kerberos"])
def test_kerberos_proves_the_server_and_credentials_go(step: PublicKeyLeg, packages: str) -> None:
    policy = CredSspPolicy(allow_default=(TARGET,), public_key_leg=step)
    client, server = logged_on(client_side(TOLD | DELEGATE | IscReq.ISC_REQ_MUTUAL_AUTH, policy), server_side(packages))
    assert client.attributes & IscRet.ISC_RET_MUTUAL_AUTH
    assert server.query(sspi.SecPkgContextNegotiationPackage).package_info.name == "Kerberos"
    assert server.query(sspi.SecPkgContextNames).username.partition("@")[0] == ALICE.name
    assert server.query(sspi.SecPkgContextClientCreds).credentials == HANDED_OVER
    assert server.read(client.encrypt(b"hello")) == b"hello"


def test_the_key_goes_alone_where_the_last_token_is_the_server_s(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = client_sends(monkeypatch, lambda message: [message])
    theirs = server_sends(monkeypatch, lambda message: [message])
    logged_on(client_side(), server_side())
    fields = [
        [name for name, value in message._asdict().items() if value is not None and name != "version"]
        for message in (*ours.seen, *theirs.seen)
    ]
    assert fields == [
        ["nego_token"], ["pub_key_auth", "client_nonce"], ["auth_info"],
        ["nego_token"], ["pub_key_auth"],
    ]  # fmt: skip


def test_the_policy_for_default_credentials_is_asked_all_the_same() -> None:
    with pytest.raises(errors.DelegationPolicy):
        client_side(TOLD | DELEGATE, CredSspPolicy(allow_fresh=("*",))).step()


@pytest.mark.parametrize(
    ("policy", "qop"),
    [(Policy(max_ssf=0), "auth"), (Policy(min_ssf=1, max_ssf=1), "auth-int"), (Policy(min_ssf=2), "auth-conf")],
)
def test_every_layer_over_sasl(policy: Policy, qop: str) -> None:
    client = Client(
        "CREDSSP", service="ldap", host="localhost", credentials=None,
        policy=Policy(min_ssf=policy.min_ssf, max_ssf=policy.max_ssf, negotiate=KERBEROS),
    )  # fmt: skip
    server = Server("CREDSSP", service="ldap", host="localhost", authority=PEOPLE, policy=Policy(negotiate=KERBEROS))
    authenticate(client, server)
    assert client.security.qop == server.security.qop == qop
    assert server.security.authcid.partition("@")[0] == ALICE.name
    if client.layer is not None and server.layer is not None:
        texts = [b"hello", b"", bytes(200_000)]
        assert b"".join(carry(client.layer, server.layer, texts)) == b"".join(texts)
        assert b"".join(carry(server.layer, client.layer, texts)) == b"".join(texts)


def test_a_name_and_password_log_on_with_kerberos() -> None:
    environment = Environment(policy=Policy(negotiate=KERBEROS))
    identity = WinNTAuthIdentity(ALICE.name, None, ALICE.password)
    client = Side(outbound("CREDSSP", identity, environment=environment), TOLD, TARGET)
    _, server = logged_on(client, server_side())
    assert server.query(sspi.SecPkgContextNames).username.partition("@")[0] == ALICE.name
