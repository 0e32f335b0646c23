"""InitializeSecurityContext and AcceptSecurityContext as a program sees them: steps, statuses, handles, flags.

Claims stand for the pages InitializeSecurityContext (Digest) and AcceptSecurityContext (General).
"""

import inspect

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, IscReq, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
from sspi_program import (
    ACCEPT_SIGN,
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
    "SSPI-ISC-DIGEST-93", "SSPI-ISC-DIGEST-94", "SSPI-ISC-DIGEST-106", "SSPI-ISC-DIGEST-108",
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
    "SSPI-ISC-DIGEST-88", "SSPI-ISC-DIGEST-91", "SSPI-ASC-03", "SSPI-ASC-10", "SSPI-ASC-78",
    "SSPI-ASC-84", "SSPI-ASC-85", "SSPI-ASC-86", "SSPI-ASC-88",
)  # fmt: skip
def test_legs_and_statuses_in_their_order() -> None:
    client, server = connected()
    assert server.statuses == [CONTINUE, OK]
    assert client.statuses == [CONTINUE, OK]
    assert server.sent[0].startswith(b'realm="example.test",nonce="')
    assert b"response=" in client.sent[0]
    assert server.sent[1].startswith(b"rspauth=")


@pytest.mark.requirement("SSPI-ASC-48", "SSPI-ASC-49", "SSPI-ASC-73")
def test_a_token_that_comes_with_success_still_goes_to_the_peer() -> None:
    client, server = Initiator(outbound(), 0), Acceptor(inbound(), 0)
    last = server.step(client.step(server.step(None)))
    assert server.done
    assert not client.done
    client.step(last)
    assert client.done


@pytest.mark.requirement("SSPI-ISC-DIGEST-65", "SSPI-ISC-DIGEST-98")
def test_in_http_the_first_call_of_the_client_is_the_last_and_brings_its_token() -> None:
    identity = sspi.WinNTAuthIdentity("alice", "example.test", "wonderland")
    use = sspi.CredentialUse.SECPKG_CRED_BOTH
    both = sspi.acquire_credentials_handle("http/www.example.test", "WDigest", use, auth_data=identity).credential

    def texts(*parts: bytes) -> list[SecBuffer]:
        return [SecBuffer(part, SecBufferType.SECBUFFER_PKG_PARAMS) for part in parts]

    output = empty_token()
    method = SecBuffer(b"GET", SecBufferType.SECBUFFER_PKG_PARAMS)
    given = SecBufferDesc([SecBuffer(b"", SecBufferType.SECBUFFER_TOKEN), method, *texts(b"", b"example.test")])
    sspi.accept_security_context(both, None, given, AscReq.ASC_REQ_HTTP, 0, output)
    challenge = SecBuffer(output[0].data, SecBufferType.SECBUFFER_TOKEN)
    answer = empty_token()
    given = SecBufferDesc([challenge, *texts(b"GET", b"")])
    result = sspi.initialize_security_context(both, None, "/index.html", IscReq.ISC_REQ_HTTP, 0, given, answer)
    assert result.status is OK
    assert b"response=" in answer[0].data


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


@pytest.mark.requirement("SSPI-ISC-DIGEST-06", "SSPI-ASC-05")
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


@pytest.mark.requirement("SSPI-ISC-DIGEST-07")
@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ("credential", errors.ContextMisuse), ("context", None), ("target_name", errors.TargetUnknown),
        ("input_buffers", None), ("output_buffers", errors.InsufficientMemory),
    ],
)  # fmt: skip
def test_each_optional_argument_left_out_works_or_has_its_status(
    left_out: str, expected: type[errors.SaslError] | None
) -> None:
    challenge = Acceptor(inbound(), 0).step(None)
    arguments: dict[str, object] = {
        "credential": outbound(),
        "context": sspi.CtxtHandle(),
        "target_name": TARGET,
        "context_req": 0,
        "target_data_rep": 0,
        "input_buffers": tokens(challenge),
        "output_buffers": empty_token(),
    }
    arguments[left_out] = None
    if expected is None:
        assert sspi.initialize_security_context(**arguments).status is CONTINUE  # type: ignore[arg-type]
    else:
        with pytest.raises(expected):
            sspi.initialize_security_context(**arguments)  # type: ignore[arg-type]


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


class TestStatuses:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-64")
    def test_success_needs_no_further_call(self) -> None:
        client, _ = connected()
        assert client.statuses[-1] is OK

    @pytest.mark.requirement("SSPI-ISC-DIGEST-75", "SSPI-ISC-DIGEST-76", "SSPI-ASC-68")
    @pytest.mark.parametrize(
        "token",
        [bytes(range(7, 247, 6)), b'nonce="' + b"a" * 3000 + b'"', b"NTLMSSP\0\1\0\0\0", b"\x60\x48\x06\x06+\x06\x01"],
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
