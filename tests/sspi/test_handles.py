"""Handles of credentials and of contexts: what they are good for, and until when.

Claims stand for the pages InitializeSecurityContext (Digest) and AcceptSecurityContext (General).
"""

import gc
import weakref

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import IscReq, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
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
)

OK = SecurityStatus.SEC_E_OK
CONTINUE = SecurityStatus.SEC_I_CONTINUE_NEEDED


class TestCredentials:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-08", "SSPI-ASC-06", "SSPI-ASC-71")
    def test_an_empty_or_freed_handle_is_invalid(self) -> None:
        freed = outbound()
        sspi.free_credentials_handle(freed)
        for handle in (sspi.CredHandle(), freed):
            with pytest.raises(errors.ContextMisuse) as caught:
                Initiator(handle, 0).step(None)
            assert caught.value.status is SecurityStatus.SEC_E_INVALID_HANDLE
            with pytest.raises(errors.NoCredentials) as missing:
                Acceptor(handle, 0).step(None)
            assert missing.value.status is SecurityStatus.SEC_E_NO_CREDENTIALS
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
