"""Negotiate with Kerberos in it, beside MIT's own SPNEGO and curl; pyspnego wants one library more for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import saslsspi
from interop.http_server import AuthenticatingServer
from interop.kdc import REALM, Kdc
from interop.people import ALICE
from interop.require import program, require_peer
from saslsspi import Client, NegotiatePolicy, Password, Policy, Server, sspi
from saslsspi.sspi import Environment, SecPkgContextNegotiationInfo
from sspi_context import ACCEPT_SEAL, PEOPLE, SEAL, Context, run

pytestmark = pytest.mark.interop
TARGET = "ldap/localhost"
ONLY_KERBEROS = Policy(negotiate=NegotiatePolicy(packages="kerberos"))


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        yield


def our_client(flags: int = SEAL, policy: Policy | None = None) -> Context:
    environment = Environment(policy=policy or Policy())
    use = sspi.CredentialUse.SECPKG_CRED_OUTBOUND
    credential = sspi.acquire_credentials_handle(None, "Negotiate", use, environment=environment).credential
    return Context(credential, flags, TARGET)


def our_server(flags: int = 0, packages: str = "", principal: str | None = "ldap/localhost") -> Context:
    policy = Policy(negotiate=NegotiatePolicy(packages=packages))
    environment = Environment(authority=PEOPLE, policy=policy)
    use = sspi.CredentialUse.SECPKG_CRED_INBOUND
    credential = sspi.acquire_credentials_handle(principal, "Negotiate", use, environment=environment).credential
    return Context(credential, flags)


def chosen(context: Context) -> str:
    return sspi.query_context_attributes(context, SecPkgContextNegotiationInfo).package_info.name


class Mit:
    """MIT's SPNEGO, either side."""

    def __init__(self, initiate: bool, flags: int = 0x2 | 0x8 | 0x10 | 0x20) -> None:
        import gssapi.raw as gss

        self.gss, self.initiate, self.flags = gss, initiate, flags
        self.mech = gss.OID.from_int_seq("1.3.6.1.5.5.2")
        self.context: Any = None
        self.complete = False

    def step(self, in_token: bytes | None = None) -> bytes | None:
        gss = self.gss
        if self.initiate:
            name = gss.import_name(b"ldap@localhost", gss.NameType.hostbased_service)
            result = gss.init_sec_context(
                name, context=self.context, mech=self.mech, flags=self.flags, input_token=in_token
            )
        else:
            result = gss.accept_sec_context(in_token, context=self.context)
        self.context, self.complete = result.context, not result.more_steps
        return result.token

    def wrap(self, message: bytes, encrypt: bool = True) -> bytes:
        return bytes(self.gss.wrap(self.context, message, encrypt).message)

    def unwrap(self, token: bytes) -> bytes:
        return bytes(self.gss.unwrap(self.context, token).message)


def wrap(context: Context, message: bytes, encrypt: bool = True) -> bytes:
    """Protect with buffers of the sizes that the context tells."""
    from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType

    sizes = sspi.query_context_attributes(context, sspi.SecPkgContextSizes)
    desc = SecBufferDesc(
        [
            SecBuffer(bytearray(sizes.security_trailer), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(message), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(sizes.block_size), SecBufferType.SECBUFFER_PADDING),
        ]
    )
    qop = 0 if encrypt else sspi.QopFlags.SECQOP_WRAP_NO_ENCRYPT
    sspi.encrypt_message(context, qop, desc, 0)
    return b"".join(buffer.data for buffer in desc)


def test_our_client_and_our_server_choose_kerberos() -> None:
    ours, theirs = our_client(), our_server(ACCEPT_SEAL)
    tokens = run(ours, theirs)
    assert len(tokens) == 2
    assert chosen(ours) == chosen(theirs) == "Kerberos"
    assert theirs.unwrap(wrap(ours, b"hello")) == b"hello"
    assert ours.unwrap(wrap(theirs, b"answer")) == b"answer"


@pytest.mark.requirement("RFC4178-5-04", "RFC4178-3.2-02")
def test_a_server_that_prefers_ntlm_makes_kerberos_protect_the_list() -> None:
    ours, theirs = our_client(), our_server(ACCEPT_SEAL, "ntlm,kerberos")
    run(ours, theirs)
    for context in (ours, theirs):
        info = sspi.query_context_attributes(context, SecPkgContextNegotiationInfo)
        assert info.package_info.name == "Kerberos"
        assert info.mech_list_protected


@pytest.mark.parametrize("packages", ["", "ntlm,kerberos"])
def test_mits_client_and_our_server(packages: str) -> None:
    if (
        packages
        and " 1.21" in subprocess.run([program("klist"), "-V"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.xfail("MIT 1.21 looks for the MIC of a NegTokenResp at tag 4, where RFC 4178 section 4.2.2 has 3")
    theirs, ours = Mit(True), our_server(ACCEPT_SEAL, packages)
    run(theirs, ours)
    assert ours.complete
    assert theirs.complete
    assert sspi.query_context_attributes(ours, sspi.SecPkgContextNames).username == f"alice@{REALM}"
    assert ours.unwrap(theirs.wrap(b"hello")) == b"hello"
    assert theirs.unwrap(wrap(ours, b"answer")) == b"answer"


def test_our_client_and_mits_server() -> None:
    ours, theirs = our_client(), Mit(False)
    run(ours, theirs)
    assert ours.complete
    assert theirs.complete
    assert theirs.unwrap(wrap(ours, b"hello")) == b"hello"
    assert ours.unwrap(theirs.wrap(b"answer")) == b"answer"


def test_curl_negotiates_with_its_ticket(kdc: Kdc) -> None:
    require_peer("curl")
    accept = partial(saslsspi.Context.accept, "Negotiate", principal="HTTP/localhost", authority=PEOPLE)
    with AuthenticatingServer("Negotiate", accept) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        command = [
            program("curl"),
            "-sS",
            "-4",
            "--noproxy",
            "*",
            "--max-time",
            "20",
            "--negotiate",
            "--user",
            ":",
            url,
        ]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert said.stdout == f"alice@{REALM}", said.stderr
    assert server.errors == []


@pytest.mark.parametrize(
    ("policy", "qop"), [(Policy(), "auth-conf"), (Policy(max_ssf=1), "auth-int"), (Policy(max_ssf=0), "auth")]
)
def test_gss_spnego_has_the_layer_that_the_policy_permits(policy: Policy, qop: str) -> None:
    client = Client("GSS-SPNEGO", service="ldap", host="localhost", policy=policy)
    server = Server("GSS-SPNEGO", service="ldap", host="localhost", authority=PEOPLE)
    response = client.start()
    while not client.done:
        assert response is not None
        challenge = server.step(response)
        if server.done:
            client.succeed(challenge)
            break
        assert challenge is not None
        response = client.step(challenge)
    assert client.security.qop == server.security.qop == qop
    assert (client.layer is None) is (qop == "auth")
    if client.layer is not None and server.layer is not None:
        message = b"x" * 200_000
        assert server.layer.unwrap(client.layer.wrap(message)) == message
        assert client.layer.unwrap(server.layer.wrap(message)) == message


def test_a_password_that_no_kdc_takes_falls_back_to_ntlm() -> None:
    client = Client("GSS-SPNEGO", service="imap", host="nowhere.invalid", credentials=Password("alice", "wonderland"))
    server = Server("GSS-SPNEGO", service="imap", host="nowhere.invalid", authority=PEOPLE)
    response = client.start()
    while not server.done:
        assert response is not None
        challenge = server.step(response)
        assert challenge is not None
        if server.done:
            client.succeed(challenge)
        else:
            response = client.step(challenge)
    assert client.security.cipher == "rc4"
