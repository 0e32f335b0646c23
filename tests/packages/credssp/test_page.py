"""CredSSP as its two pages have it: flags, buffers, statuses, what an error code becomes."""

from __future__ import annotations

import pytest

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
from packages.schannel.stream import EMPTY, TOKEN, inbound, outbound
from saslsspi import errors, sspi
from saslsspi.packages.credssp.credentials import (
    SmartCardCredentials,
)
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.sspi import (
    AscRet,
    CredSspPolicy,
    Environment,
    IscReq,
    IscRet,
    Policy,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecurityStatus,
    WinNTAuthIdentity,
)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-32", "SSPI-ISC-CREDSSP-33", "SSPI-ISC-CREDSSP-43", "SSPI-ISC-CREDSSP-60",
    "SSPI-ISC-CREDSSP-62", "SSPI-ISC-CREDSSP-63", "SSPI-ISC-CREDSSP-64", "SSPI-ISC-CREDSSP-65", "SSPI-ISC-CREDSSP-107",
    "SSPI-ISC-CREDSSP-108", "SSPI-ISC-CREDSSP-94", "SSPI-ISC-CREDSSP-95", "SSPI-ISC-CREDSSP-24",
    "SSPI-ISC-CREDSSP-27", "SSPI-ISC-CREDSSP-28", "SSPI-ISC-CREDSSP-30",
    "SSPI-ISC-CREDSSP-58", "SSPI-ISC-CREDSSP-59", "SSPI-ISC-CREDSSP-106")  # fmt: skip
def test_flags_say_what_was_granted_at_the_end_and_nothing_before() -> None:
    flags = TOLD | IscReq.ISC_REQ_STREAM | IscReq.ISC_REQ_CONNECTION | IscReq.ISC_REQ_ALLOCATE_MEMORY
    client, server = client_side(flags), server_side()
    client.step()
    assert client.attributes == IscRet.ISC_RET_ALLOCATED_MEMORY
    client, server = logged_on(client_side(flags))
    granted = IscRet(client.attributes)
    for flag in ("MANUAL_CRED_VALIDATION", "STREAM", "CONNECTION", "EXTENDED_ERROR", "CONFIDENTIALITY",
                 "SEQUENCE_DETECT", "ALLOCATED_MEMORY"):  # fmt: skip
        assert granted & IscRet["ISC_RET_" + flag], flag
    assert not granted & (IscRet.ISC_RET_DELEGATE | IscRet.ISC_RET_MUTUAL_AUTH)
    assert AscRet(server.attributes) & AscRet.ASC_RET_EXTENDED_ERROR
    assert not AscRet(server.attributes) & AscRet.ASC_RET_DELEGATE


@pytest.mark.requirement("SSPI-ISC-CREDSSP-25", "SSPI-ISC-CREDSSP-89")
@pytest.mark.parametrize("flag", ["PROMPT_FOR_CREDS", "DATAGRAM", "USE_DCE_STYLE", "NULL_SESSION"])
def test_flags_that_it_cannot_take_are_an_unsupported_function(flag: str) -> None:
    with pytest.raises(errors.UnsupportedFunction):
        client_side(int(IscReq["ISC_REQ_" + flag])).step()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-47", "SSPI-ISC-CREDSSP-48", "SSPI-ISC-CREDSSP-49", "SSPI-ISC-CREDSSP-50",
    "SSPI-ISC-CREDSSP-51", "SSPI-ISC-CREDSSP-46", "SSPI-ISC-CREDSSP-56")  # fmt: skip
def test_after_the_first_call_there_are_a_token_and_an_empty_buffer() -> None:
    for kinds in ([EMPTY, TOKEN], [TOKEN, TOKEN], [TOKEN, "filled"]):
        client, server = client_side(), server_side()
        reply = server.step(client.step())
        buffers = [
            SecBuffer(bytearray(b"x"), EMPTY) if kind == "filled"
            else SecBuffer(bytearray(reply) if kind is TOKEN else None, kind)
            for kind in kinds
        ]  # fmt: skip
        with pytest.raises(errors.InvalidToken):
            sspi.initialize_security_context(
                client.credential, client.handle, TARGET, 0, 16, SecBufferDesc(buffers), None
            )
        client.step(reply)
    client, server = client_side(), server_side()
    alone = SecBufferDesc(
        [SecBuffer(bytearray(server.step(client.step())), TOKEN)]
    )  # Windows takes the TOKEN alone too
    result = sspi.initialize_security_context(
        client.credential, client.handle, TARGET, 0, 16, alone, SecBufferDesc([SecBuffer(None, TOKEN)])
    )
    assert result.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    with pytest.raises(errors.InvalidToken):
        sspi.initialize_security_context(
            client_side().credential, None, TARGET, 0, 16, SecBufferDesc([SecBuffer(b"x", TOKEN)]), None
        )


@pytest.mark.requirement("SSPI-ISC-CREDSSP-11", "SSPI-ISC-CREDSSP-53")
def test_the_first_call_has_no_handle_and_returns_the_one_to_go_on_with() -> None:
    client, server, output = client_side(), server_side(), SecBufferDesc([SecBuffer(None, TOKEN)])
    first = sspi.initialize_security_context(client.credential, None, TARGET, 0, 16, None, output)
    assert first.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    answer = SecBufferDesc([SecBuffer(bytearray(server.step(output[0].data)), TOKEN)])
    output = SecBufferDesc([SecBuffer(None, TOKEN)])
    second = sspi.initialize_security_context(None, first.context, None, 0, 16, answer, output)
    assert second.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    assert second.context is first.context


@pytest.mark.requirement("SSPI-ISC-CREDSSP-69", "SSPI-ISC-CREDSSP-70", "SSPI-ISC-CREDSSP-71", "SSPI-ISC-CREDSSP-72")
def test_half_a_record_consumes_nothing() -> None:
    client, server = client_side(), server_side()
    reply = server.step(client.step())
    inputs = SecBufferDesc([SecBuffer(reply[:50], TOKEN), SecBuffer(None, EMPTY)])
    with pytest.raises(errors.IncompleteMessage):
        sspi.initialize_security_context(client.credential, client.handle, TARGET, 0, 16, inputs, None)
    assert inputs[1].buffer_type is SecBufferType.SECBUFFER_MISSING
    assert inputs[1].count == 5 + int.from_bytes(reply[3:5]) - 50
    token = client.step(reply)
    while not server.done:
        token = client.step(server.step(token)) if not client.done else server.step(token)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-74", "SSPI-ISC-CREDSSP-77")
def test_the_last_token_goes_with_success() -> None:
    client, server = client_side(), server_side()
    token = client.step()
    while not client.done:
        assert client.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
        assert token
        token = client.step(server.step(token))
    assert token
    assert not server.done
    assert server.step(token) == b""
    assert server.done


@pytest.mark.requirement("SSPI-ISC-CREDSSP-36", "SSPI-ISC-CREDSSP-109", "SSPI-ISC-CREDSSP-110")
def test_supplied_credentials_are_taken_from_the_buffer() -> None:
    credentials = SmartCardCredentials("1234", 1, csp_name="csp")
    client = client_side(TOLD | DELEGATE | IscReq.ISC_REQ_USE_SUPPLIED_CREDS)
    client.extra = [SecBuffer(credentials.to_bytes(), SecBufferType.SECBUFFER_PKG_PARAMS)]
    _, server = logged_on(client, server_side(policy=CredSspPolicy(takes=credentials.kind)))
    assert server.query(sspi.SecPkgContextClientCreds).credentials == credentials
    assert client.attributes & IscRet.ISC_RET_USED_SUPPLIED_CREDS
    client = client_side(TOLD | DELEGATE | IscReq.ISC_REQ_USE_SUPPLIED_CREDS)
    client.extra = [SecBuffer(b"nonsense", SecBufferType.SECBUFFER_PKG_PARAMS)]
    with pytest.raises(errors.InvalidParameter):
        client.step()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-34")
def test_signatures_are_those_of_the_context_inside() -> None:
    client, server = logged_on()
    signed = [SecBuffer(None, TOKEN), SecBuffer(b"text", SecBufferType.SECBUFFER_DATA)]
    sspi.make_signature(client.handle, 0, SecBufferDesc(signed), 0)
    assert signed[0].data[12:16] == b"\x03\0\0\0"  # behind MIC, proof and credentials
    sspi.verify_signature(server.handle, SecBufferDesc(signed), 0)
    with pytest.raises(errors.OutOfSequence):
        sspi.verify_signature(server.handle, SecBufferDesc(signed), 0)
    assert client.query(sspi.SecPkgContextSizes).max_signature == 16


@pytest.mark.requirement("SSPI-ISC-CREDSSP-08", "SSPI-ISC-CREDSSP-10", "SSPI-ISC-CREDSSP-13", "SSPI-ISC-CREDSSP-82")
def test_handles_of_another_kind_or_state_are_refused() -> None:
    client, server = logged_on()
    for handle in (server.handle, sspi.CtxtHandle()):
        with pytest.raises((errors.ContextMisuse, errors.NoCredentials)):
            sspi.initialize_security_context(server.credential, handle, TARGET, 0, 16, None, None)
    with pytest.raises(errors.ContextMisuse):  # the next logon is a new context's
        server.step(b"\x17\x03\x03\x00\x00")
    sspi.delete_security_context(client.handle)
    with pytest.raises(errors.ContextMisuse):
        client.step()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-119")
def test_a_call_on_an_established_context_begins_anew_and_the_old_keys_serve_until_it_is_done() -> None:
    client, server = logged_on()
    token = client.step()
    assert token[0] == 22, "a ClientHello"
    assert client.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
    assert server.read(client.encrypt(b"old")) == b"old"
    successor = server_side()
    while not client.done:
        token = client.step(successor.step(token))
    successor.step(token)
    assert successor.done
    assert successor.read(client.encrypt(b"new")) == b"new"


@pytest.mark.requirement("SSPI-ISC-CREDSSP-45", "SSPI-ISC-CREDSSP-06", "SSPI-ISC-CREDSSP-07")
def test_the_data_representation_is_one_of_two() -> None:
    credential = client_side().credential
    for drep in (0, 16):
        taken = SecBufferDesc([SecBuffer(None, TOKEN)])
        sspi.initialize_security_context(credential, None, TARGET, 0, drep, None, taken)
    with pytest.raises(errors.InvalidParameter):
        sspi.initialize_security_context(credential, None, TARGET, 0, 7, None, None)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-55")
def test_later_calls_give_the_handle_back_that_the_first_one_made() -> None:
    client, server = client_side(), server_side()
    reply = server.step(client.step())
    inputs = SecBufferDesc([SecBuffer(bytearray(reply), TOKEN), SecBuffer(None, EMPTY)])
    outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
    later = sspi.initialize_security_context(client.credential, client.handle, TARGET, 0, 16, inputs, outputs)
    assert later.context is client.handle


@pytest.mark.requirement("SSPI-ISC-CREDSSP-87", "MSCSSP-1.5-04")
def test_without_credentials_or_a_package_inside_nothing_begins() -> None:
    nothing = Environment(policy=Policy(negotiate=sspi.NegotiatePolicy(packages="!ntlm,!kerberos")))
    with pytest.raises(errors.NoCredentials):
        outbound("CREDSSP", WinNTAuthIdentity(USER, DOMAIN, PASSWORD), environment=nothing)
    with pytest.raises(errors.NoCredentials):
        inbound("CREDSSP", environment=Environment(policy=Policy(negotiate=sspi.NegotiatePolicy(packages="ntlm"))))


@pytest.mark.requirement("SSPI-ISC-CREDSSP-88")
@pytest.mark.parametrize("target", ["", "HTTP/bad..name"])
def test_a_target_that_names_nobody_is_unknown(target: str) -> None:
    with pytest.raises(errors.TargetUnknown):
        client_side(target=target).step()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-85", "MSCSSP-3.1.5-10", "MSCSSP-2.2.1-11", "SSPI-ISC-CREDSSP-31",
    "MSCSSP-3.1.5-11")  # fmt: skip
@pytest.mark.parametrize("version", [3, 4, 6])
def test_a_wrong_password_is_told_with_an_error_code(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    policy = CredSspPolicy(minimum_version=2, version=version)
    sent, _ = watch(monkeypatch)
    client, server = client_side(policy=policy, password="wrong"), server_side(policy=policy)
    token = client.step(server.step(client.step()))
    token = client.step(server.step(token))
    with pytest.raises(errors.LogonDenied) as caught:
        server.step(token)
    assert caught.value.token
    count = len(sent)
    with pytest.raises(errors.LogonDenied) as told:
        client.step(caught.value.token)
    assert told.value.ntstatus == sspi.NTSTATUS.STATUS_LOGON_FAILURE
    assert told.value.token is None
    assert len(sent) == count


@pytest.mark.requirement("MSCSSP-2.2.1-13", "MSCSSP-2.2.1-11")
@pytest.mark.parametrize("version", [2, 5])
def test_versions_without_error_code_get_an_alert(version: int) -> None:
    policy = CredSspPolicy(minimum_version=2, version=version)
    client, server = client_side(policy=policy, password="wrong"), server_side(policy=policy)
    token = client.step(server.step(client.step(server.step(client.step()))))
    with pytest.raises(errors.LogonDenied) as caught:
        server.step(token)
    with pytest.raises(errors.ContextExpired):
        client.step(caught.value.token or b"")


def test_without_extended_error_nothing_is_told() -> None:
    client, server = client_side(password="wrong"), server_side(0)
    token = client.step(server.step(client.step(server.step(client.step()))))
    with pytest.raises(errors.LogonDenied) as caught:
        server.step(token)
    assert caught.value.token is None


@pytest.mark.requirement("SSPI-ISC-CREDSSP-86")
def test_an_authority_that_cannot_be_reached_is_told() -> None:
    class Away:
        def lookup(self, question: sspi.Question) -> None:
            raise OSError("no route")

    client, server = client_side(), server_side(authority=Away())
    token = client.step(server.step(client.step(server.step(client.step()))))
    with pytest.raises(errors.NoAuthenticatingAuthority) as caught:
        server.step(token)
    with pytest.raises(errors.NoAuthenticatingAuthority) as told:
        client.step(caught.value.token or b"")
    assert told.value.ntstatus == sspi.NTSTATUS.STATUS_NO_LOGON_SERVERS


@pytest.mark.requirement("SSPI-ISC-CREDSSP-66", "SSPI-ISC-CREDSSP-68")
def test_contexts_do_not_expire() -> None:
    client, server = logged_on()
    assert client.query(sspi.SecPkgContextLifespan).expiry == sspi.NEVER
    assert server.query(sspi.SecPkgContextLifespan).expiry == sspi.NEVER
    outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
    first = sspi.initialize_security_context(client_side().credential, None, TARGET, 0, 16, None, outputs)
    assert first.expiry == sspi.NEVER


@pytest.mark.requirement("SSPI-ISC-CREDSSP-26", "SSPI-ISC-CREDSSP-61", "SSPI-ISC-CREDSSP-129")
def test_the_names_are_those_of_the_page() -> None:
    page = "ALLOCATE_MEMORY CONNECTION EXTENDED_ERROR MANUAL_CRED_VALIDATION SEQUENCE_DETECT STREAM USE_SUPPLIED_CREDS"
    for name in (*page.split(), "DELEGATE", "MUTUAL_AUTH"):
        assert "ISC_REQ_" + name in IscReq.__members__
    assert sspi.query_security_package_info("CREDSSP").name == "CREDSSP"
    client, _ = logged_on(client_side(sum(IscReq["ISC_REQ_" + name] for name in page.split()[:-1])))
    assert client.done
    for name in ("accept_security_context", "acquire_credentials_handle", "complete_auth_token",
                 "delete_security_context", "free_context_buffer", "SecBuffer", "SecBufferDesc"):  # fmt: skip
        assert hasattr(sspi, name)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-80", "SSPI-ISC-CREDSSP-81")
@pytest.mark.parametrize(
    ("raised", "error"), [(MemoryError, errors.InsufficientMemory), (ZeroDivisionError, errors.InternalError)]
)
def test_foreign_failures_have_a_status(
    monkeypatch: pytest.MonkeyPatch, raised: type[Exception], error: type[Exception]
) -> None:
    def fail(message: TSRequest) -> list[TSRequest]:
        raise raised

    client_sends(monkeypatch, fail)
    client, server = client_side(), server_side()
    reply = server.step(client.step())
    with pytest.raises(error):
        client.step(reply)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-29", "SSPI-ISC-CREDSSP-111", "SSPI-ISC-CREDSSP-96", "SSPI-ISC-CREDSSP-118")
def test_a_context_can_be_deleted_in_every_state_and_buffers_freed() -> None:
    for steps in range(6):
        client, server = client_side(), server_side()
        token = client.step()
        for _ in range(steps):
            if not client.done:
                token = client.step(server.step(token))
        sspi.delete_security_context(client.handle)
        with pytest.raises(errors.ContextMisuse):
            client.query(sspi.SecPkgContextPackageInfo)
    buffer = SecBuffer(None, TOKEN)
    sspi.initialize_security_context(client_side().credential, None, TARGET, 0, 16, None, SecBufferDesc([buffer]))
    sspi.free_context_buffer(buffer)
    assert buffer.count == 0
