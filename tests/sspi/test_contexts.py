"""InitializeSecurityContext and AcceptSecurityContext as a program sees them: legs, statuses, handles, flags.

Claims stand for the pages InitializeSecurityContext (Digest) and AcceptSecurityContext (General).
"""

import gc
import inspect
import os
import weakref

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, AscRet, IscReq, IscRet, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
from sspi_program import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    SEAL,
    SIGN,
    TARGET,
    Acceptor,
    Initiator,
    connect,
    connected,
    empty_token,
    inbound,
    outbound,
    seal,
    tokens,
    unseal,
)

OK = SecurityStatus.SEC_E_OK
CONTINUE = SecurityStatus.SEC_I_CONTINUE_NEEDED


@pytest.mark.requirement(
    "SSPI-ISC-DIGEST-01", "SSPI-ISC-DIGEST-02", "SSPI-ISC-DIGEST-03", "SSPI-ISC-DIGEST-05", "SSPI-ISC-DIGEST-11",
    "SSPI-ISC-DIGEST-13", "SSPI-ISC-DIGEST-50", "SSPI-ISC-DIGEST-87", "SSPI-ISC-DIGEST-90", "SSPI-ISC-DIGEST-95",
    "SSPI-ISC-DIGEST-107", "SSPI-ASC-01", "SSPI-ASC-08", "SSPI-ASC-45", "SSPI-ASC-47", "SSPI-ASC-72", "SSPI-ASC-80",
)  # fmt: skip
def test_two_engines_establish_a_context() -> None:
    client, server = connected()
    assert client.done
    assert server.done
    assert isinstance(client.context, sspi.CtxtHandle)
    assert isinstance(server.context, sspi.CtxtHandle)


@pytest.mark.requirement(
    "SSPI-ISC-DIGEST-39", "SSPI-ISC-DIGEST-48", "SSPI-ISC-DIGEST-68", "SSPI-ISC-DIGEST-69", "SSPI-ISC-DIGEST-92",
    "SSPI-ISC-DIGEST-93", "SSPI-ISC-DIGEST-94", "SSPI-ISC-DIGEST-98", "SSPI-ISC-DIGEST-106", "SSPI-ISC-DIGEST-108",
)  # fmt: skip
def test_a_client_that_begins_without_a_challenge_waits_for_one() -> None:
    client, server = Initiator(outbound(), 0), Acceptor(inbound(), 0)
    assert client.step(None) == b""
    server.step(server_reply := client.step(server.step(None)))
    assert server_reply
    assert client.step(server.sent[-1]) == b""
    assert client.statuses == [CONTINUE, CONTINUE, OK]


@pytest.mark.requirement(
    "SSPI-ISC-DIGEST-40", "SSPI-ISC-DIGEST-47", "SSPI-ISC-DIGEST-38", "SSPI-ISC-DIGEST-52", "SSPI-ISC-DIGEST-55",
    "SSPI-ISC-DIGEST-88", "SSPI-ISC-DIGEST-91", "SSPI-ASC-02", "SSPI-ASC-03", "SSPI-ASC-10", "SSPI-ASC-78",
    "SSPI-ASC-84", "SSPI-ASC-85", "SSPI-ASC-86", "SSPI-ASC-88",
)  # fmt: skip
def test_legs_and_statuses_in_their_order() -> None:
    client, server = connected()
    assert server.statuses == [CONTINUE, OK]
    assert client.statuses == [CONTINUE, OK]
    assert server.sent[0].startswith(b'realm="example.test",nonce="')
    assert b"response=" in client.sent[0]
    assert server.sent[1].startswith(b"rspauth=")


@pytest.mark.requirement("SSPI-ASC-48", "SSPI-ASC-49", "SSPI-ASC-73", "SSPI-ISC-DIGEST-65")
def test_a_token_that_comes_with_success_still_goes_to_the_peer() -> None:
    client, server = Initiator(outbound(), 0), Acceptor(inbound(), 0)
    last = server.step(client.step(server.step(None)))
    assert server.done
    assert not client.done
    client.step(last)
    assert client.done


@pytest.mark.requirement("SSPI-ISC-DIGEST-12", "SSPI-ISC-DIGEST-51", "SSPI-ASC-09", "SSPI-ASC-46")
def test_the_handle_of_the_first_call_goes_on_in_place() -> None:
    client, server = Initiator(outbound(), 0), Acceptor(inbound(), 0)
    challenge = server.step(None)
    client.step(challenge)
    first = client.context
    assert first is not None
    server.step(client.sent[-1])
    result = sspi.initialize_security_context(None, first, TARGET, 0, 0, tokens(server.sent[-1]), None)
    assert result.context is first
    assert result.status is OK


class Subclassed(sspi.CtxtHandle):
    """As sspilib's upper classes do: the handle is the object of the program."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_an_empty_subclassed_handle_is_filled_in() -> None:
    handle = Subclassed("mine")
    server = Acceptor(inbound(), 0)
    output = empty_token()
    result = sspi.initialize_security_context(outbound(), handle, TARGET, 0, 0, tokens(server.step(None)), output)
    assert result.context is handle
    server.step(output[0].data)
    result = sspi.initialize_security_context(None, handle, TARGET, 0, 0, tokens(server.sent[-1]), None)
    assert result.status is OK
    assert handle.name == "mine"


@pytest.mark.requirement("SSPI-ISC-DIGEST-06", "SSPI-ISC-DIGEST-07", "SSPI-ISC-DIGEST-37", "SSPI-ASC-05", "SSPI-ASC-44")
def test_parameters_stand_in_the_order_of_sspilib() -> None:
    isc = ["credential", "context", "target_name", "context_req", "target_data_rep", "input_buffers", "output_buffers"]
    asc = ["credential", "context", "input_buffers", "context_req", "target_data_rep", "output_buffers"]
    assert list(inspect.signature(sspi.initialize_security_context).parameters) == isc
    assert list(inspect.signature(sspi.accept_security_context).parameters) == asc
    assert sspi.InitializeContextResult._fields == ("context", "attributes", "expiry", "status")
    assert sspi.AcceptContextResult._fields == ("context", "attributes", "expiry", "status")


@pytest.mark.requirement("SSPI-ISC-DIGEST-118", "SSPI-ASC-99")
def test_every_function_that_the_pages_refer_to_is_there() -> None:
    for name in (
        "accept_security_context", "acquire_credentials_handle", "complete_auth_token", "delete_security_context",
        "free_context_buffer", "initialize_security_context", "SecBuffer", "SecBufferDesc",
    ):  # fmt: skip
        assert hasattr(sspi, name)


class TestCredentials:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-08", "SSPI-ASC-06", "SSPI-ASC-71")
    def test_an_empty_or_freed_handle_is_invalid(self) -> None:
        freed = outbound()
        sspi.free_credentials_handle(freed)
        for handle in (sspi.CredHandle(), freed):
            with pytest.raises(errors.ContextMisuse) as caught:
                Initiator(handle, 0).step(None)
            assert caught.value.status is SecurityStatus.SEC_E_INVALID_HANDLE
        with pytest.raises(errors.ContextMisuse):
            sspi.free_credentials_handle(freed)

    def test_a_context_outlives_its_freed_credential(self) -> None:
        credential = outbound()
        client, server = Initiator(credential, 0), Acceptor(inbound(), 0)
        response = client.step(server.step(None))
        sspi.free_credentials_handle(credential)
        client.step(server.step(response))
        assert client.done

    @pytest.mark.requirement("SSPI-ISC-DIGEST-09")
    def test_the_user_in_the_token_is_that_of_the_credential(self) -> None:
        client = Initiator(outbound("bob", "builder"), 0)
        assert b'username="bob"' in client.step(Acceptor(inbound(), 0).step(None))
        assert sspi.query_credentials_attributes(client.credential, sspi.SecPkgCredNames).username == "bob"

    @pytest.mark.requirement("SSPI-ISC-DIGEST-10", "SSPI-ISC-DIGEST-86", "SSPI-ASC-07")
    def test_each_side_needs_a_credential_for_its_use(self) -> None:
        with pytest.raises(errors.NoCredentials):
            Initiator(inbound(), 0).step(None)
        with pytest.raises(errors.NoCredentials):
            Acceptor(outbound(), 0).step(None)

    @pytest.mark.requirement("SSPI-ISC-DIGEST-10", "SSPI-ASC-07")
    def test_a_credential_for_both_uses_serves_both(self) -> None:
        identity = sspi.WinNTAuthIdentity("alice", "example.test", "wonderland")
        use = sspi.CredentialUse.SECPKG_CRED_BOTH
        both = sspi.acquire_credentials_handle("alice", "WDigest", use, auth_data=identity).credential
        client, server = Initiator(both, 0), Acceptor(inbound(), 0)
        connect(client, server)
        client, server = Initiator(outbound(), 0), Acceptor(both, 0)
        server.step(None)
        assert b"nonce=" in server.sent[0]

    @pytest.mark.requirement("SSPI-ISC-DIGEST-79")
    def test_nothing_to_authenticate_with_is_no_credentials(self) -> None:
        use = sspi.CredentialUse.SECPKG_CRED_OUTBOUND
        with pytest.raises(errors.NoCredentials):
            sspi.acquire_credentials_handle(None, "WDigest", use)
        with pytest.raises(errors.NoCredentials):
            Initiator(outbound(password=None), 0).step(Acceptor(inbound(), 0).step(None))

    def test_an_acceptor_with_nobody_to_ask_is_no_credentials(self) -> None:
        with pytest.raises(errors.NoCredentials):
            sspi.acquire_credentials_handle(None, "WDigest", sspi.CredentialUse.SECPKG_CRED_INBOUND)

    def test_auth_data_of_another_kind_is_unknown_credentials(self) -> None:
        keytab = sspi.WinNTAuthIdentityPackedCredential(
            sspi.WinNTAuthCredentialType.SEC_WINNT_AUTH_DATA_TYPE_KEYTAB, b"keytab"
        )
        use = sspi.CredentialUse.SECPKG_CRED_OUTBOUND
        with pytest.raises(errors.UnknownCredentials):
            sspi.acquire_credentials_handle(None, "WDigest", use, auth_data=keytab)

    def test_a_use_that_is_neither_inbound_nor_outbound_is_refused(self) -> None:
        with pytest.raises(errors.InvalidParameter):
            sspi.acquire_credentials_handle("x", "WDigest", 0)

    @pytest.mark.parametrize("name", ["WDigest", "wdigest", "WDIGEST", "Digest"])
    def test_package_names_have_no_case(self, name: str) -> None:
        assert sspi.query_security_package_info(name).name == "WDigest"

    def test_an_unknown_package_says_which_there_are(self) -> None:
        with pytest.raises(errors.PackageNotFound, match="WDigest"):
            sspi.acquire_credentials_handle(None, "Nonesuch", 1)

    def test_credentials_keep_their_secrets_out_of_repr(self) -> None:
        credential = outbound()
        shown = repr(credential) + repr(credential.__dict__)
        assert "wonderland" not in shown
        assert "wonderland" not in repr(sspi.WinNTAuthIdentity("alice", None, "wonderland"))
        assert "wonderland" not in repr(sspi.Account(username="alice", password="wonderland"))

    @pytest.mark.requirement("SSPI-ISC-DIGEST-102")
    def test_supplied_credentials_come_in_a_pkg_params_buffer(self) -> None:
        challenge = SecBuffer(Acceptor(inbound(), 0).step(None), SecBufferType.SECBUFFER_TOKEN)
        supplied = SecBuffer(b"bob\0example.test\0builder", SecBufferType.SECBUFFER_PKG_PARAMS)

        def response(flags: int, *buffers: SecBuffer) -> bytes:
            output = empty_token()
            sspi.initialize_security_context(outbound(), None, TARGET, flags, 0, SecBufferDesc([*buffers]), output)
            return output[0].data

        flag = IscReq.ISC_REQ_USE_SUPPLIED_CREDS
        assert b'username="bob"' in response(flag, challenge, supplied)
        assert b'username="alice"' in response(0, challenge, supplied)
        with pytest.raises(errors.NoCredentials):
            response(flag, challenge)


class TestHandles:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-74", "SSPI-ISC-DIGEST-12", "SSPI-ASC-09", "SSPI-ASC-67")
    def test_a_deleted_handle_is_invalid_for_every_call(self) -> None:
        client, _ = connected(SIGN, ACCEPT_SIGN)
        sspi.delete_security_context(client.handle)
        message = SecBufferDesc([SecBuffer(bytearray(b"x"), SecBufferType.SECBUFFER_DATA)])
        calls = [
            lambda: client.step(b"rspauth="),
            lambda: sspi.query_context_attributes(client.handle, sspi.SecPkgContextSizes),
            lambda: sspi.encrypt_message(client.handle, 0, message, 0),
            lambda: sspi.decrypt_message(client.handle, message, 0),
            lambda: sspi.make_signature(client.handle, 0, message, 0),
            lambda: sspi.verify_signature(client.handle, message, 0),
            lambda: sspi.complete_auth_token(client.handle, empty_token()),
            lambda: sspi.set_context_attributes(client.handle, sspi.SecPkgContextNames()),
            lambda: sspi.delete_security_context(client.handle),
        ]
        for call in calls:
            with pytest.raises(errors.ContextMisuse) as caught:
                call()
            assert caught.value.status is SecurityStatus.SEC_E_INVALID_HANDLE

    def test_a_handle_of_the_other_side_is_invalid(self) -> None:
        client, server = Initiator(outbound(), 0), Acceptor(inbound(), 0)
        client.step(server.step(None))
        server.context = client.context
        with pytest.raises(errors.ContextMisuse):
            server.step(b"x")

    def test_the_first_call_needs_a_credential(self) -> None:
        with pytest.raises(errors.ContextMisuse):
            sspi.initialize_security_context(None, None, TARGET, 0, 0, None, None)

    @pytest.mark.requirement("SSPI-ISC-DIGEST-111", "SSPI-ISC-DIGEST-85", "SSPI-ASC-94")
    def test_a_failed_context_is_dead_and_can_be_deleted_once(self) -> None:
        client, server = Initiator(outbound(password="wrong"), 0), Acceptor(inbound(), 0)
        response = client.step(server.step(None))
        with pytest.raises(errors.LogonDenied):
            server.step(response)
        with pytest.raises(errors.ContextMisuse):
            server.step(response)
        with pytest.raises(errors.ContextMisuse):
            sspi.query_context_attributes(server.handle, sspi.SecPkgContextPackageInfo)
        sspi.delete_security_context(server.handle)
        with pytest.raises(errors.ContextMisuse):
            sspi.delete_security_context(server.handle)

    def test_nothing_keeps_a_context_alive_but_its_handle(self) -> None:
        client, server = connected(SEAL, ACCEPT_SEAL)
        seen = weakref.ref(client.handle)
        del client, server
        gc.collect()
        assert seen() is None


class TestFlags:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-23", "SSPI-ASC-23", "SSPI-ASC-81", "SSPI-ISC-DIGEST-18")
    def test_confidentiality_gives_auth_conf(self) -> None:
        client, server = connected(SEAL, ACCEPT_SEAL)
        assert b"qop=auth-conf" in client.sent[0]
        assert client.attributes & IscRet.ISC_RET_CONFIDENTIALITY
        assert server.attributes & AscRet.ASC_RET_CONFIDENTIALITY
        assert b"hidden" not in seal(client, b"hidden")

    @pytest.mark.requirement("SSPI-ISC-DIGEST-27", "SSPI-ASC-30", "MSDPSP-3.1.4-01")
    @pytest.mark.parametrize(
        "flag", [IscReq.ISC_REQ_INTEGRITY, IscReq.ISC_REQ_REPLAY_DETECT, IscReq.ISC_REQ_SEQUENCE_DETECT]
    )
    @pytest.mark.parametrize(
        "accept_flag", [AscReq.ASC_REQ_INTEGRITY, AscReq.ASC_REQ_REPLAY_DETECT, AscReq.ASC_REQ_SEQUENCE_DETECT]
    )
    def test_integrity_replay_or_sequence_detection_gives_auth_int(self, flag: int, accept_flag: int) -> None:
        client, server = connected(flag, accept_flag)
        assert b'qop="auth-int"' in server.sent[0]
        assert b"qop=auth-int" in client.sent[0]
        signing = IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_REPLAY_DETECT | IscRet.ISC_RET_SEQUENCE_DETECT
        assert client.attributes & signing == signing
        assert server.attributes & AscRet.ASC_RET_INTEGRITY
        assert unseal(server, seal(client, b"message")) == b"message"

    @pytest.mark.requirement("SSPI-ASC-83", "SSPI-ISC-DIGEST-26")
    def test_no_flags_give_auth_and_no_protection(self) -> None:
        client, server = connected()
        assert b'qop="auth"' in server.sent[0]
        assert not server.attributes & AscRet.ASC_RET_INTEGRITY
        with pytest.raises(errors.QopNotSupported):
            seal(client, b"x")

    @pytest.mark.requirement(
        "SSPI-ISC-DIGEST-34", "SSPI-ISC-DIGEST-61", "SSPI-ISC-DIGEST-83", "SSPI-ISC-DIGEST-84", "SSPI-ISC-DIGEST-18",
        "SSPI-ASC-41", "SSPI-ASC-92", "SSPI-ASC-93",
    )  # fmt: skip
    def test_a_wish_that_the_server_does_not_offer_is_missing_from_the_attributes(self) -> None:
        client, _ = connected(SEAL, 0)
        assert client.done
        assert not client.attributes & (IscRet.ISC_RET_CONFIDENTIALITY | IscRet.ISC_RET_INTEGRITY)

    @pytest.mark.requirement("SSPI-ASC-82")
    def test_a_server_that_requires_integrity_refuses_a_client_without(self) -> None:
        client, server = Initiator(outbound(), 0), Acceptor(inbound(), int(ACCEPT_SIGN))
        with pytest.raises(errors.QopNotSupported):
            client.step(server.step(None))
        forged = Acceptor(inbound(), 0).step(None)
        plain = Initiator(outbound(), 0).step(forged.replace(_nonce(forged), _nonce(server.sent[0])))
        with pytest.raises(errors.QopNotSupported):
            server.step(plain)

    @pytest.mark.requirement(
        "SSPI-ISC-DIGEST-59", "SSPI-ISC-DIGEST-100", "SSPI-ISC-DIGEST-60", "SSPI-ISC-DIGEST-101", "SSPI-ISC-DIGEST-56",
        "SSPI-ASC-55", "SSPI-ASC-56", "SSPI-ASC-90", "SSPI-ASC-91",
    )  # fmt: skip
    def test_security_flags_wait_for_the_final_success(self) -> None:
        client = Initiator(outbound(), int(SEAL | IscReq.ISC_REQ_ALLOCATE_MEMORY))
        server = Acceptor(inbound(), int(ACCEPT_SEAL | AscReq.ASC_REQ_ALLOCATE_MEMORY))
        challenge = server.step(None)
        assert server.attributes == AscRet.ASC_RET_ALLOCATED_MEMORY
        response = client.step(challenge)
        assert client.attributes == IscRet.ISC_RET_ALLOCATED_MEMORY
        client.step(server.step(response))
        assert server.attributes & AscRet.ASC_RET_CONFIDENTIALITY
        assert client.attributes & IscRet.ISC_RET_CONFIDENTIALITY

    @pytest.mark.requirement("SSPI-ISC-DIGEST-28", "SSPI-ISC-DIGEST-29", "SSPI-ISC-DIGEST-30")
    def test_mutual_authentication_is_claimed_when_rspauth_was_verified(self) -> None:
        client, server = Initiator(outbound(), int(IscReq.ISC_REQ_MUTUAL_AUTH)), Acceptor(inbound(), 0)
        response = client.step(server.step(None))
        assert not client.attributes & IscRet.ISC_RET_MUTUAL_AUTH
        client.step(server.step(response))
        assert client.attributes & IscRet.ISC_RET_MUTUAL_AUTH
        flags = sspi.query_context_attributes(client.handle, sspi.SecPkgContextFlags).flags
        assert flags & IscRet.ISC_RET_MUTUAL_AUTH

    @pytest.mark.requirement("SSPI-ISC-DIGEST-81")
    @pytest.mark.parametrize("flag", [IscReq.ISC_REQ_DELEGATE, IscReq.ISC_REQ_PROMPT_FOR_CREDS])
    def test_an_initiator_refuses_what_digest_cannot_do(self, flag: int) -> None:
        with pytest.raises(errors.UnsupportedFunction) as caught:
            Initiator(outbound(), int(flag)).step(None)
        assert caught.value.status is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION

    @pytest.mark.requirement("SSPI-ASC-74")
    @pytest.mark.parametrize("flag", [AscReq.ASC_REQ_DELEGATE, AscReq.ASC_REQ_LICENSING, 0x80000000])
    def test_an_acceptor_refuses_flags_that_digest_does_not_know(self, flag: int) -> None:
        with pytest.raises(errors.SecurityQosFailed) as caught:
            Acceptor(inbound(), int(flag)).step(None)
        assert caught.value.status is SecurityStatus.SEC_E_SECURITY_QOS_FAILED

    @pytest.mark.requirement("SSPI-ISC-DIGEST-33", "SSPI-ASC-25", "SSPI-ISC-DIGEST-24", "SSPI-ASC-28")
    def test_stream_connection_and_extended_error_are_taken(self) -> None:
        asked = IscReq.ISC_REQ_STREAM | IscReq.ISC_REQ_CONNECTION | IscReq.ISC_REQ_EXTENDED_ERROR
        accept = AscReq.ASC_REQ_STREAM | AscReq.ASC_REQ_CONNECTION | AscReq.ASC_REQ_EXTENDED_ERROR
        client, server = connected(asked, accept)
        assert client.attributes & IscRet.ISC_RET_STREAM
        assert client.attributes & IscRet.ISC_RET_CONNECTION
        assert server.attributes & AscRet.ASC_RET_STREAM
        assert server.attributes & AscRet.ASC_RET_CONNECTION
        # DIGEST-MD5 has no error message: the carrier tells the peer, and the attribute is not claimed.
        assert not client.attributes & IscRet.ISC_RET_EXTENDED_ERROR
        assert not server.attributes & AscRet.ASC_RET_EXTENDED_ERROR

    @pytest.mark.requirement("SSPI-ISC-DIGEST-36", "SSPI-ASC-42", "SSPI-ASC-43")
    def test_the_data_representation_changes_nothing(self) -> None:
        for drep in (sspi.TargetDataRep.SECURITY_NATIVE_DREP, sspi.TargetDataRep.SECURITY_NETWORK_DREP):
            output = empty_token()
            result = sspi.accept_security_context(inbound(), None, None, 0, drep, output)
            assert result.status is CONTINUE
            answer = empty_token()
            sspi.initialize_security_context(outbound(), None, TARGET, 0, drep, tokens(output[0].data), answer)
            assert b"response=" in answer[0].data
        with pytest.raises(errors.InvalidParameter):
            sspi.accept_security_context(inbound(), None, None, 0, 7, empty_token())


def _nonce(challenge: bytes) -> bytes:
    return challenge.split(b'nonce="')[1].split(b'"')[0]


class TestTarget:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-14")
    def test_the_target_becomes_the_digest_uri(self) -> None:
        client, server = connected()
        assert b'digest-uri="ldap/dc.example.test"' in client.sent[0]
        target = sspi.query_context_attributes(server.handle, sspi.SecPkgContextTarget).target_name
        assert target == TARGET

    @pytest.mark.requirement("SSPI-ISC-DIGEST-15", "SSPI-ISC-DIGEST-80")
    @pytest.mark.parametrize("target", [None, "", "ldap/a b", "ldap/höst", 'ldap/"x"', "ldap/x\r\ny"])
    def test_a_missing_target_or_one_with_other_characters_is_unknown(self, target: str | None) -> None:
        challenge = tokens(Acceptor(inbound(), 0).step(None))
        with pytest.raises(errors.TargetUnknown):
            sspi.initialize_security_context(outbound(), None, target, 0, 0, challenge, empty_token())

    @pytest.mark.requirement("SSPI-ISC-DIGEST-16")
    def test_percent_encoding_passes_unchanged(self) -> None:
        output = empty_token()
        challenge = tokens(Acceptor(inbound(), 0).step(None))
        sspi.initialize_security_context(outbound(), None, "http/h/%C3%A9", 0, 0, challenge, output)
        assert b'digest-uri="http/h/%C3%A9"' in output[0].data

    def test_a_server_refuses_a_client_that_means_another(self) -> None:
        client, server = Initiator(outbound(), 0), Acceptor(inbound(principal="imap/other.example.test"), 0)
        with pytest.raises(errors.WrongPrincipal):
            server.step(client.step(server.step(None)))

    def test_a_server_without_principal_hands_the_target_to_the_program(self) -> None:
        client, server = Initiator(outbound(), 0), Acceptor(inbound(principal=None), 0)
        connect(client, server)
        assert sspi.query_context_attributes(server.handle, sspi.SecPkgContextTarget).target_name == TARGET


class TestBuffers:
    @pytest.mark.requirement(
        "SSPI-ISC-DIGEST-21", "SSPI-ISC-DIGEST-54", "SSPI-ISC-DIGEST-89", "SSPI-ASC-16",
        "SSPI-ISC-DIGEST-22", "SSPI-ISC-DIGEST-104", "SSPI-ASC-17",
    )  # fmt: skip
    def test_allocated_buffers_are_filled_and_released_once(self) -> None:
        output = empty_token()
        flags = AscReq.ASC_REQ_ALLOCATE_MEMORY
        result = sspi.accept_security_context(inbound(), None, None, flags, 0, output)
        assert result.attributes & AscRet.ASC_RET_ALLOCATED_MEMORY
        assert output[0].count == len(output[0].data) > 0
        sspi.free_context_buffer(output[0])
        assert output[0].count == 0
        sspi.free_context_buffer(output[0])

    @pytest.mark.requirement("SSPI-ISC-DIGEST-21", "SSPI-ISC-DIGEST-53")
    def test_memory_of_the_caller_is_written_in_place(self) -> None:
        memory = bytearray(4096)
        output = SecBufferDesc([SecBuffer(memory, SecBufferType.SECBUFFER_TOKEN)])
        result = sspi.accept_security_context(inbound(), None, None, 0, 0, output)
        assert not result.attributes & AscRet.ASC_RET_ALLOCATED_MEMORY
        assert memory[: output[0].count] == output[0].data
        assert output[0].data.startswith(b"realm=")

    @pytest.mark.requirement("SSPI-ISC-DIGEST-21")
    def test_a_token_that_does_not_fit_comes_with_the_next_call(self) -> None:
        handle = sspi.CtxtHandle()
        small = SecBufferDesc([SecBuffer(bytearray(10), SecBufferType.SECBUFFER_TOKEN)])
        with pytest.raises(errors.BufferTooSmall) as caught:
            sspi.accept_security_context(inbound(), handle, None, 0, 0, small)
        assert caught.value.status is SecurityStatus.SEC_E_BUFFER_TOO_SMALL
        assert small[0].data == bytes(10)
        output = empty_token()
        assert sspi.accept_security_context(None, handle, None, 0, 0, output).status is CONTINUE
        client = Initiator(outbound(), 0)
        answer = sspi.accept_security_context(None, handle, tokens(client.step(output[0].data)), 0, 0, empty_token())
        assert answer.status is OK

    def test_a_token_with_nowhere_to_go_is_kept(self) -> None:
        handle = sspi.CtxtHandle()
        with pytest.raises(errors.InsufficientMemory):
            sspi.accept_security_context(inbound(), handle, None, 0, 0, None)
        output = empty_token()
        sspi.accept_security_context(None, handle, None, 0, 0, output)
        assert output[0].count

    def test_types_are_compared_after_masking(self) -> None:
        readonly = SecBufferType.SECBUFFER_TOKEN | sspi.SecBufferFlags.SECBUFFER_READONLY
        buffer = SecBuffer(b"x", readonly)
        assert buffer.buffer_type is SecBufferType.SECBUFFER_TOKEN
        assert buffer.buffer_flags == sspi.SecBufferFlags.SECBUFFER_READONLY
        with pytest.raises(errors.InvalidParameter):
            SecBuffer(b"x", 77)


class TestStatuses:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-64", "SSPI-ISC-DIGEST-97")
    def test_success_needs_no_further_call(self) -> None:
        client, _ = connected()
        assert client.statuses[-1] is OK

    @pytest.mark.requirement("SSPI-ISC-DIGEST-75", "SSPI-ISC-DIGEST-76", "SSPI-ASC-68")
    @pytest.mark.parametrize(
        "token", [os.urandom(40), b'nonce="' + b"a" * 3000 + b'"', b"NTLMSSP\0\1\0\0\0", b"\x60\x48\x06\x06+\x06\x01"]
    )
    def test_a_token_of_no_digest_is_invalid(self, token: bytes) -> None:
        with pytest.raises(errors.InvalidToken):
            Initiator(outbound(), 0).step(token)
        server = Acceptor(inbound(), 0)
        server.step(None)
        with pytest.raises(errors.InvalidToken):
            server.step(token)

    @pytest.mark.requirement("SSPI-ISC-DIGEST-77", "SSPI-ISC-DIGEST-96", "SSPI-ASC-87")
    def test_a_wrong_rspauth_is_logon_denied_and_no_session(self) -> None:
        client, server = Initiator(outbound(), int(SIGN)), Acceptor(inbound(), int(ACCEPT_SIGN))
        server.step(client.step(server.step(None)))
        with pytest.raises(errors.LogonDenied):
            client.step(b"rspauth=" + b"0" * 32)
        with pytest.raises(errors.ContextMisuse):
            seal(client, b"x")
        with pytest.raises(errors.ContextMisuse):
            client.step(server.sent[-1])

    @pytest.mark.requirement("SSPI-ASC-69")
    @pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", "wonderland")])
    def test_wrong_password_and_unknown_user_are_the_same_error(self, user: str, password: str) -> None:
        client, server = Initiator(outbound(user, password), 0), Acceptor(inbound(), 0)
        with pytest.raises(errors.LogonDenied) as caught:
            server.step(client.step(server.step(None)))
        assert str(caught.value) == ("SEC_E_LOGON_DENIED (0x8009030C): the user is unknown or the password is wrong")

    @pytest.mark.requirement("SSPI-ISC-DIGEST-78", "SSPI-ASC-70")
    def test_an_authority_that_cannot_be_reached_is_no_authority(self) -> None:
        class Unreachable:
            def lookup(self, question: sspi.Question) -> sspi.Account | None:
                raise ConnectionRefusedError("the directory is down")

        environment = sspi.Environment(authority=Unreachable())
        use = sspi.CredentialUse.SECPKG_CRED_INBOUND
        credential = sspi.acquire_credentials_handle(TARGET, "WDigest", use, environment=environment).credential
        client, server = Initiator(outbound(), 0), Acceptor(credential, 0)
        with pytest.raises(errors.NoAuthenticatingAuthority) as caught:
            server.step(client.step(server.step(None)))
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)

    @pytest.mark.requirement("SSPI-ISC-DIGEST-72", "SSPI-ISC-DIGEST-73", "SSPI-ASC-65", "SSPI-ASC-66")
    @pytest.mark.parametrize(
        ("raised", "expected"),
        [(MemoryError(), errors.InsufficientMemory), (ZeroDivisionError("x"), errors.InternalError)],
    )
    def test_a_defect_inside_a_package_is_one_of_our_errors(
        self, raised: Exception, expected: type[errors.SaslError]
    ) -> None:
        def fail(count: int) -> bytes:
            raise raised

        environment = sspi.Environment(random=fail)
        server = Acceptor(inbound(environment=environment), 0)
        with pytest.raises(expected) as caught:
            server.step(None)
        assert caught.value.__cause__ is raised

    @pytest.mark.requirement("SSPI-ASC-79")
    def test_accepting_again_on_an_established_context_is_logon_failure(self) -> None:
        client, server = connected(SIGN, ACCEPT_SIGN)
        with pytest.raises(errors.LogonFailure) as caught:
            server.step(client.sent[0])
        assert caught.value.status is sspi.NTSTATUS.STATUS_LOGON_FAILURE
        assert unseal(server, seal(client, b"still here")) == b"still here"

    @pytest.mark.requirement("SSPI-ISC-DIGEST-112")
    def test_initializing_again_is_a_new_exchange_and_the_old_keys_stay_until_it_completes(self) -> None:
        client, server = connected(SIGN, ACCEPT_SIGN)
        other = Acceptor(server.credential, int(ACCEPT_SIGN))
        response = client.step(other.step(None))
        assert b"nc=00000001" in response
        assert unseal(server, seal(client, b"under the old keys")) == b"under the old keys"
        client.step(other.step(response))
        assert client.done
        assert unseal(other, seal(client, b"under the new ones")) == b"under the new ones"

    @pytest.mark.requirement("SSPI-ISC-DIGEST-66", "SSPI-ISC-DIGEST-67", "SSPI-ISC-DIGEST-109", "SSPI-ISC-DIGEST-110")
    def test_completing_a_token_that_needs_no_completion_is_misuse(self) -> None:
        _, server = connected()
        with pytest.raises(errors.ContextMisuse):
            sspi.complete_auth_token(server.handle, empty_token())


class TestExpiry:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-62", "SSPI-ISC-DIGEST-63", "SSPI-ASC-57", "SSPI-ASC-59", "SSPI-ASC-61")
    def test_digest_contexts_and_credentials_never_expire(self) -> None:
        client, server = connected()
        assert client.expiry == server.expiry == sspi.NEVER == 0x7FFFFFFFFFFFFFFF
        identity = sspi.WinNTAuthIdentity("alice", None, "wonderland")
        acquired = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity)
        assert acquired.expiry == sspi.NEVER
        lifespan = sspi.query_context_attributes(client.handle, sspi.SecPkgContextLifespan)
        assert lifespan.expiry == sspi.NEVER


@pytest.mark.requirement("SSPI-ISC-DIGEST-04")
def test_tokens_are_opaque_octets() -> None:
    client, server = connected()
    assert all(type(token) is bytes for token in client.sent + server.sent)
