"""SSPI's own SASL functions: profiles, exchanges, sizes and authorization identities."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from saslsspi import Account, MemoryAuthority, NegotiatePolicy, Policy, errors, sspi
from saslsspi.sspi import (
    AscReq,
    AscRet,
    CredentialUse,
    Environment,
    IscReq,
    IscRet,
    SaslAuthzidState,
    SaslOption,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecurityStatus,
)

TARGET = "ldap/dc.example.test"
PEOPLE = MemoryAuthority([Account(username="alice", password="wonderland", may_act_as=frozenset({"queen"}))])
SIGN, SEAL = int(IscReq.ISC_REQ_INTEGRITY), int(IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_INTEGRITY)
ACCEPT_SIGN = int(AscReq.ASC_REQ_INTEGRITY)
ACCEPT_SEAL = int(AscReq.ASC_REQ_CONFIDENTIALITY | AscReq.ASC_REQ_INTEGRITY)
SEND, RECEIVE = SaslOption.SASL_OPTION_SEND_SIZE, SaslOption.SASL_OPTION_RECV_SIZE
AUTHZ, PROCESSING = SaslOption.SASL_OPTION_AUTHZ_STRING, SaslOption.SASL_OPTION_AUTHZ_PROCESSING
PROCESSED = SaslAuthzidState.Sasl_AuthZIDProcessed
Options = Mapping[SaslOption, int | str]


class End:
    """One end of a SASL exchange, driven by statuses alone."""

    def __init__(
        self, package: str, flags: int, options: Options | None = None, *, client: bool, policy: Policy | None = None
    ) -> None:
        environment = Environment(policy=policy or Policy(), authority=None if client else PEOPLE)
        identity = sspi.WinNTAuthIdentity("alice", None, "wonderland") if client else None
        use = CredentialUse.SECPKG_CRED_OUTBOUND if client else CredentialUse.SECPKG_CRED_INBOUND
        principal = None if client else TARGET
        self.credential = sspi.acquire_credentials_handle(
            principal, package, use, auth_data=identity, environment=environment
        ).credential
        self.package, self.flags, self.client = package, flags, client
        self.handle = sspi.CtxtHandle()
        for option, value in (options or {}).items():
            sspi.sasl_set_context_option(self.handle, option, value)
        self.status = SecurityStatus.SEC_I_CONTINUE_NEEDED
        self.attributes = 0

    def step(self, message: bytes | None) -> bytes | None:
        inputs = None
        if message is not None:
            inputs = SecBufferDesc([SecBuffer(message, SecBufferType.SECBUFFER_TOKEN)])
        output = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
        result: sspi.InitializeContextResult | sspi.AcceptContextResult
        if self.client:
            result = sspi.sasl_initialize_security_context(
                self.credential, self.handle, TARGET, self.flags, 0, inputs, SecBufferDesc([output])
            )
        else:
            result = sspi.sasl_accept_security_context(
                self.credential, self.handle, inputs, self.flags, 0, SecBufferDesc([output])
            )
        self.status, self.attributes = result.status, int(result.attributes)
        return None if output.allocates else output.data

    @property
    def done(self) -> bool:
        return self.status is SecurityStatus.SEC_E_OK

    def seal(self, text: bytes) -> bytes:
        sizes = sspi.query_context_attributes(self.handle, sspi.SecPkgContextSizes)
        buffers = [
            SecBuffer(bytearray(sizes.security_trailer), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(sizes.security_trailer + sizes.block_size), SecBufferType.SECBUFFER_PADDING),
        ]
        buffers = buffers if self.package in ("NTLM", "Negotiate") else buffers[1:]
        sspi.encrypt_message(self.handle, 0, SecBufferDesc(buffers), 0)
        return b"".join(buffer.data for buffer in buffers)

    def unseal(self, wire: bytes) -> bytes:
        data = SecBuffer(None, SecBufferType.SECBUFFER_DATA)
        stream = SecBuffer(bytearray(wire), SecBufferType.SECBUFFER_STREAM)
        sspi.decrypt_message(self.handle, SecBufferDesc([stream, data]), 0)
        return data.data

    def option(self, option: SaslOption) -> int | str:
        return sspi.sasl_get_context_option(self.handle, option)


def pair(
    package: str,
    flags: int = SEAL,
    accept: int = ACCEPT_SEAL,
    *,
    ours: Options | None = None,
    theirs: Options | None = None,
    policy: Policy | None = None,
) -> tuple[End, End]:
    return (
        End(package, flags, ours, client=True, policy=policy),
        End(package, accept, theirs, client=False, policy=policy),
    )


def run(client: End, server: End) -> None:
    message = client.step(None)
    for _ in range(6):
        answer = server.step(message)
        if client.done:
            break
        message = client.step(answer)
        if server.done:
            break
    assert client.done
    assert server.done


LAYERS = {"seal": (SEAL, ACCEPT_SEAL), "sign": (SIGN, ACCEPT_SIGN)}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("package", ["WDigest", "NTLM", "Negotiate"])
class TestExchange:
    def test_both_sides_finish_and_messages_pass(self, package: str, layer: str) -> None:
        client, server = pair(package, *LAYERS[layer])
        run(client, server)
        assert bool(client.attributes & IscReq.ISC_REQ_CONFIDENTIALITY) == (layer == "seal")
        sealed = layer == "seal" or package != "WDigest"  # with a target ldap/..., NTLM seals what is only signed
        for text in (b"tea", b"", b"cup" * 500):
            wire = client.seal(text)
            assert (text in wire) == (not sealed or not text)
            assert server.unseal(wire) == text

    def test_nothing_is_known_of_a_context_before_the_exchange_is_over(self, package: str, layer: str) -> None:
        client, server = pair(package, *LAYERS[layer])
        server.step(client.step(None))
        for end in (client, server):
            assert not end.attributes & ~int(IscRet.ISC_RET_ALLOCATED_MEMORY)
            with pytest.raises(errors.ContextMisuse):
                sspi.query_context_attributes(end.handle, sspi.SecPkgContextNames)
            with pytest.raises(errors.ContextMisuse):
                end.option(AUTHZ)


INSIDE = Policy(negotiate=NegotiatePolicy(packages="ntlm"))


def finish(client: End, server: End) -> None:
    """Run an exchange of CREDSSP, whose client is done when the carrier reports success."""
    message = client.step(None)
    while not server.done:
        with pytest.raises(errors.ContextMisuse):
            sspi.query_security_context_token(server.handle)
        message = server.step(message)
        if not server.done:
            message = client.step(message)
    assert not client.done
    assert client.step(None) is None
    assert client.done


@pytest.mark.parametrize("layer", LAYERS)
def test_credssp_agrees_on_the_layer_of_the_flags_and_ends_with_the_carriers_success(layer: str) -> None:
    client, server = pair("CREDSSP", *LAYERS[layer], policy=INSIDE)
    finish(client, server)
    assert sspi.query_security_context_token(server.handle).username == "alice"
    assert bool(client.attributes & IscRet.ISC_RET_CONFIDENTIALITY) == (layer == "seal")
    assert bool(server.attributes & AscRet.ASC_RET_CONFIDENTIALITY) == (layer == "seal")
    assert server.attributes & AscRet.ASC_RET_INTEGRITY


def test_a_layer_that_the_server_demands_and_the_client_does_not_want_ends_both() -> None:
    client, server = pair("CREDSSP", 0, ACCEPT_SEAL, policy=INSIDE)
    with pytest.raises(errors.QopNotSupported):
        finish(client, server)
    for message in (b"", None):
        with pytest.raises(errors.ContextMisuse):
            client.step(message)


def test_a_client_of_the_upper_floor_cannot_tell_the_server() -> None:
    import saslsspi

    client = saslsspi.Client(
        "DIGEST-MD5",
        service="ldap",
        host="dc.example.test",
        credentials=saslsspi.Password("alice", "wonderland"),
        policy=Policy(min_ssf=2),
    )
    _, server = pair("WDigest")
    response = client.step(server.step(client.start()) or b"")
    client.succeed(server.step(response))
    assert server.done
    assert client.layer is not None
    assert server.unseal(client.layer.wrap(b"tea")[4:]) == b"tea"


class TestStates:
    def test_no_initial_response_is_answered_with_an_empty_challenge(self) -> None:
        _, server = pair("NTLM")
        assert server.step(None) == b""
        assert server.status is SecurityStatus.SEC_I_CONTINUE_NEEDED

    def test_no_message_leaves_the_buffer_alone_and_an_empty_one_fills_it(self) -> None:
        client, server = pair("WDigest")
        challenge = server.step(client.step(None))
        last = server.step(client.step(challenge))
        assert client.step(last) is None
        assert client.done

    def test_a_token_that_does_not_fit_comes_with_the_next_call(self) -> None:
        client, server = pair("WDigest")
        challenge = server.step(None)
        small = SecBufferDesc([SecBuffer(bytearray(10), SecBufferType.SECBUFFER_TOKEN)])
        inputs = SecBufferDesc([SecBuffer(challenge, SecBufferType.SECBUFFER_TOKEN)])
        arguments = (client.credential, client.handle, TARGET, SEAL, 0, inputs)
        with pytest.raises(errors.BufferTooSmall):
            sspi.sasl_initialize_security_context(*arguments, small)
        with pytest.raises(errors.InsufficientMemory):
            sspi.sasl_initialize_security_context(*arguments, None)
        response = client.step(challenge)
        assert client.step(server.step(response)) is None
        assert client.done

    def test_a_finished_exchange_takes_no_further_message(self) -> None:
        client, server = pair("WDigest")
        run(client, server)
        with pytest.raises(errors.ContextMisuse):
            client.step(b"x")
        assert server.unseal(client.seal(b"still here")) == b"still here"

    def test_the_plain_functions_take_no_sasl_context_and_these_no_plain_one(self) -> None:
        client, server = pair("WDigest")
        server.step(None)
        with pytest.raises(errors.ContextMisuse):
            sspi.accept_security_context(None, server.handle, None, 0, 0, None)
        token = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
        plain = sspi.accept_security_context(server.credential, None, None, 0, 0, SecBufferDesc([token])).context
        with pytest.raises(errors.ContextMisuse):
            sspi.sasl_accept_security_context(None, plain, None, 0, 0, None)
        client.handle = server.handle
        with pytest.raises(errors.ContextMisuse):
            client.step(b"x")

    def test_a_running_exchange_can_be_deleted_and_is_then_over(self) -> None:
        _, server = pair("WDigest")
        server.step(None)
        sspi.delete_security_context(server.handle)
        with pytest.raises(errors.ContextMisuse):
            server.step(b"x")

    def test_a_failed_exchange_is_dead(self) -> None:
        client, server = pair("WDigest")
        server.step(client.step(server.step(None)))
        with pytest.raises(errors.LogonDenied):
            client.step(b"rspauth=" + b"0" * 32)
        with pytest.raises(errors.ContextMisuse):
            client.step(b"rspauth=" + b"0" * 32)

    def test_success_before_the_server_has_proved_anything_is_an_error(self) -> None:
        client, server = pair("WDigest")
        client.step(server.step(None))
        with pytest.raises(errors.InvalidToken):
            client.step(None)

    def test_the_first_call_needs_a_credential(self) -> None:
        with pytest.raises(errors.ContextMisuse):
            sspi.sasl_accept_security_context(None, None, None, 0, 0, None)
        with pytest.raises(errors.InvalidParameter):
            sspi.sasl_accept_security_context(None, None, None, 0, 7, None)

    def test_flags_that_the_policy_forbids_leave_no_layer(self) -> None:
        server = End("WDigest", ACCEPT_SEAL, client=False, policy=Policy(max_ssf=1))
        with pytest.raises(errors.SecurityQosFailed):
            server.step(None)


class TestSizes:
    def test_the_size_that_is_taken_goes_to_the_peer(self) -> None:
        client, server = pair("WDigest", ours={RECEIVE: 2000}, theirs={RECEIVE: 3000})
        assert server.option(RECEIVE) == 3000
        run(client, server)
        assert (client.option(SEND), client.option(RECEIVE)) == (3000, 2000)
        assert (server.option(SEND), server.option(RECEIVE)) == (2000, 3000)
        assert server.unseal(client.seal(bytes(2900))) == bytes(2900)
        with pytest.raises(errors.InvalidParameter):
            client.seal(bytes(3000))

    def test_one_credential_offers_each_context_its_own_size(self) -> None:
        server = End("WDigest", ACCEPT_SEAL, {RECEIVE: 3000}, client=False)
        assert b"maxbuf=3000" in (server.step(None) or b"")
        server.handle = sspi.CtxtHandle()
        sspi.sasl_set_context_option(server.handle, RECEIVE, 4000)
        assert b"maxbuf=4000" in (server.step(None) or b"")

    def test_no_larger_message_is_sent_than_was_set(self) -> None:
        client, server = pair("WDigest", ours={SEND: 500})
        run(client, server)
        assert client.option(SEND) == 500
        with pytest.raises(errors.InvalidParameter):
            client.seal(bytes(500))
        assert len(client.seal(bytes(480))) <= 500

    def test_the_size_bounds_what_is_taken_where_nothing_is_announced(self) -> None:
        client, server = pair("NTLM", ours={RECEIVE: 2000})
        run(client, server)
        assert client.option(RECEIVE) == 2000

    def test_without_a_layer_the_sizes_are_nothing(self) -> None:
        client, server = pair("WDigest", 0, 0)
        run(client, server)
        assert [client.option(SEND), client.option(RECEIVE)] == [0, 0]

    def test_a_size_that_leaves_no_room_ends_the_context(self) -> None:
        client, server = pair("WDigest", ours={SEND: 17}, policy=Policy(ciphers=("3des",)))
        last = server.step(client.step(server.step(None)))
        with pytest.raises(errors.QopNotSupported):
            client.step(last)
        with pytest.raises(errors.ContextMisuse):
            client.step(last)

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            (RECEIVE, 16), (RECEIVE, 1 << 24), (SEND, 0), (SEND, "17"), (AUTHZ, 1), (AUTHZ, "a\0b"), (PROCESSING, 2),
            (PROCESSING, "x"), (9, 1), (0, 1),
        ],
    )  # fmt: skip
    def test_values_outside_their_range_are_refused(self, option: int, value: int | str) -> None:
        with pytest.raises(errors.InvalidParameter):
            sspi.sasl_set_context_option(sspi.CtxtHandle(), option, value)

    def test_options_are_set_before_the_first_call_and_unset_ones_are_unknown_until_the_end(self) -> None:
        client, server = pair("WDigest")
        with pytest.raises(errors.ContextMisuse):
            client.option(SEND)
        server.step(None)
        with pytest.raises(errors.ContextMisuse):
            sspi.sasl_set_context_option(server.handle, RECEIVE, 2000)


class TestAuthorization:
    def test_an_identity_is_processed_where_the_server_says_so(self) -> None:
        client, server = pair("WDigest", ours={AUTHZ: "queen"}, theirs={PROCESSING: PROCESSED})
        assert client.option(AUTHZ) == "queen"
        run(client, server)
        assert server.option(AUTHZ) == client.option(AUTHZ) == "queen"
        assert sspi.query_security_context_token(server.handle).authzid == "queen"
        assert server.option(PROCESSING) is PROCESSED

    def test_every_identity_is_refused_by_default(self) -> None:
        client, server = pair("WDigest", ours={AUTHZ: "queen"})
        assert server.option(PROCESSING) is SaslAuthzidState.Sasl_AuthZIDForbidden
        response = client.step(server.step(None))
        with pytest.raises(errors.NoImpersonation):
            server.step(response)
        with pytest.raises(errors.ContextMisuse):
            sspi.query_security_context_token(server.handle)

    def test_an_identity_that_the_account_may_not_act_as_is_refused(self) -> None:
        client, server = pair("WDigest", ours={AUTHZ: "king"}, theirs={PROCESSING: PROCESSED})
        response = client.step(server.step(None))
        with pytest.raises(errors.NoImpersonation):
            server.step(response)

    def test_no_identity_is_the_users_own(self) -> None:
        client, server = pair("WDigest", theirs={PROCESSING: PROCESSED})
        run(client, server)
        assert server.option(AUTHZ) == ""
