"""SSPI's SASL functions over Kerberos: GSSAPI, with the messages in which it agrees on a layer (RFC 4752)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import saslsspi
from interop.kdc import Kdc
from interop.people import ALICE
from packages.kerberos.ours import TARGET, accepting, initiating
from saslsspi import Policy, errors, sspi
from saslsspi.sspi import AscReq, IscReq, SaslAuthzidState, SaslOption, SecBuffer, SecBufferDesc, SecBufferType

pytestmark = pytest.mark.interop
SIGN, SEAL = int(IscReq.ISC_REQ_INTEGRITY), int(IscReq.ISC_REQ_CONFIDENTIALITY)
ACCEPT = {0: 0, SIGN: int(AscReq.ASC_REQ_INTEGRITY), SEAL: int(AscReq.ASC_REQ_CONFIDENTIALITY)}
ANY = int(AscReq.ASC_REQ_CONFIDENTIALITY)


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    with kdc.as_user(ALICE):
        yield


class End:
    """One end, driven by statuses."""

    def __init__(self, flags: int, client: bool, **options: int | str) -> None:
        self.client, self.flags, self.done = client, flags, False
        self.credential = initiating() if client else accepting()
        self.handle = sspi.CtxtHandle()
        for name, value in options.items():
            sspi.sasl_set_context_option(self.handle, SaslOption["SASL_OPTION_" + name], value)

    def step(self, message: bytes | None) -> bytes | None:
        given = None if message is None else SecBufferDesc([SecBuffer(message, SecBufferType.SECBUFFER_TOKEN)])
        token = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
        result: sspi.InitializeContextResult | sspi.AcceptContextResult
        if self.client:
            result = sspi.sasl_initialize_security_context(
                self.credential, self.handle, TARGET, self.flags, 0, given, SecBufferDesc([token])
            )
        else:
            result = sspi.sasl_accept_security_context(
                self.credential, self.handle, given, self.flags, 0, SecBufferDesc([token])
            )
        self.done = result.status is sspi.SecurityStatus.SEC_E_OK
        self.attributes = int(result.attributes)
        return None if token.allocates else token.data

    def seal(self, text: bytes) -> bytes:
        sizes = sspi.query_context_attributes(self.handle, sspi.SecPkgContextSizes)
        data = SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA)
        added = SecBuffer(bytearray(sizes.security_trailer), SecBufferType.SECBUFFER_PADDING)
        sspi.encrypt_message(self.handle, 0, SecBufferDesc([data, added]), 0)
        return data.data + added.data

    def unseal(self, wire: bytes) -> bytes:
        data = SecBuffer(None, SecBufferType.SECBUFFER_DATA)
        stream = SecBuffer(bytearray(wire), SecBufferType.SECBUFFER_STREAM)
        sspi.decrypt_message(self.handle, SecBufferDesc([stream, data]), 0)
        return data.data

    def option(self, name: str) -> int | str:
        return sspi.sasl_get_context_option(self.handle, SaslOption["SASL_OPTION_" + name])


def run(client: End, server: End) -> None:
    message = client.step(None)
    while not server.done:
        message = server.step(message)
        if not server.done:
            message = client.step(message)


@pytest.mark.parametrize("flags", [0, SIGN, SEAL])
def test_the_layer_is_the_one_that_the_flags_ask_for(flags: int) -> None:
    client, server = End(flags, True, RECV_SIZE=5000), End(ACCEPT[flags], False, RECV_SIZE=6000)
    run(client, server)
    assert client.done
    signing = IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_SEQUENCE_DETECT
    assert bool(client.attributes & signing) == bool(flags)
    assert bool(client.attributes & SEAL) == bool(server.attributes & ANY) == (flags == SEAL)
    if not flags:
        assert client.option("SEND_SIZE") == server.option("RECV_SIZE") == 0
        with pytest.raises(errors.QopNotSupported):
            client.seal(b"tea")
        return
    assert (client.option("SEND_SIZE"), client.option("RECV_SIZE")) == (6000, 5000)
    for text in (b"tea", b"", b"cup" * 999):
        wire = client.seal(text)
        assert (text in wire) == (flags == SIGN or not text)
        assert server.unseal(wire) == text
        assert client.unseal(server.seal(text)) == text
    with pytest.raises(errors.InvalidParameter):
        client.seal(bytes(6001))


def test_an_established_context_says_nothing_before_the_layer_is_agreed_on() -> None:
    client, server = End(SEAL, True), End(ANY, False)
    message = client.step(None)
    while not client.done:
        message = server.step(message)
        message = client.step(message)
    assert not server.done
    with pytest.raises(errors.ContextMisuse):
        sspi.query_security_context_token(server.handle)
    with pytest.raises(errors.ContextMisuse):
        server.seal(b"tea")
    assert server.step(message) is None
    assert sspi.query_security_context_token(server.handle).username.lower().startswith("alice")


def test_a_server_refuses_identities_unless_it_processes_them() -> None:
    client, server = End(SEAL, True, AUTHZ_STRING="alice"), End(ANY, False)
    with pytest.raises(errors.NoImpersonation):
        run(client, server)
    processed = SaslAuthzidState.Sasl_AuthZIDProcessed
    client, server = End(SEAL, True, AUTHZ_STRING="alice"), End(ANY, False, AUTHZ_PROCESSING=processed)
    run(client, server)
    assert server.option("AUTHZ_STRING") == "alice"


def test_the_upper_floors_client_finds_the_same_server() -> None:
    client = saslsspi.Client("GSSAPI", service="ldap", host="localhost", policy=Policy(min_ssf=2))
    server = End(ANY, False)
    message = client.start()
    while not server.done:
        answer = server.step(message)
        if not server.done:
            message = client.step(answer or b"")
    client.succeed()
    assert client.layer is not None
    assert server.unseal(client.layer.wrap(b"tea")[4:]) == b"tea"
