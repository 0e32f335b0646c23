"""AcceptSecurityContext (CredSSP), line by line: flags, buffers, statuses, and what the server knows afterwards."""

from __future__ import annotations

import pytest

from packages.credssp.ours import DELEGATE, TARGET, TELLS, TOLD, USER, client_side, logged_on, server_side
from packages.schannel.stream import EMPTY, OK, TOKEN, outbound
from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, AscRet, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus

PAGE = "ALLOCATE_MEMORY CONNECTION DELEGATE EXTENDED_ERROR REPLAY_DETECT SEQUENCE_DETECT STREAM"


def test_every_flag_of_the_page_is_taken_and_answered_at_the_end() -> None:
    asked = AscReq(0)
    for name in PAGE.split():
        asked |= AscReq["ASC_REQ_" + name]
    _, server = logged_on(client_side(TOLD | DELEGATE), server_side(asked))
    granted = AscRet(server.attributes)
    for name in PAGE.replace("ALLOCATE_MEMORY", "ALLOCATED_MEMORY").split():
        assert granted & AscRet["ASC_RET_" + name], name
    assert granted & AscRet.ASC_RET_CONFIDENTIALITY
    _, server = logged_on(client_side(TOLD), server_side(asked))
    assert not server.attributes & AscRet.ASC_RET_DELEGATE, "nothing was delegated"


def test_before_the_end_only_memory_is_told() -> None:
    client, server = client_side(), server_side(TELLS | AscReq.ASC_REQ_ALLOCATE_MEMORY)
    token = client.step()
    while not server.done:
        token = server.step(token)
        if not server.done:
            assert server.status is SecurityStatus.SEC_I_CONTINUE_NEEDED
            assert server.attributes == AscRet.ASC_RET_ALLOCATED_MEMORY
            token = client.step(token)
    assert server.status is OK
    assert token == b"", "the last message is the client's"


@pytest.mark.parametrize("flag", ["DATAGRAM", "USE_DCE_STYLE", "ALLOW_NULL_SESSION"])
def test_flags_that_it_cannot_take_are_an_unsupported_function(flag: str) -> None:
    with pytest.raises(errors.UnsupportedFunction):
        server_side(int(AscReq["ASC_REQ_" + flag])).step(client_side().step())


def test_half_a_record_is_incomplete_and_the_rest_is_announced() -> None:
    client, server = client_side(), server_side()
    hello = client.step()
    inputs = SecBufferDesc([SecBuffer(hello[:100], TOKEN), SecBuffer(None, EMPTY)])
    with pytest.raises(errors.IncompleteMessage):
        sspi.accept_security_context(server.credential, server.handle, inputs, 0, 16, None)
    assert (inputs[1].buffer_type, inputs[1].count) == (SecBufferType.SECBUFFER_MISSING, len(hello) - 100)
    assert server.step(hello)


def test_data_behind_the_credentials_are_extra() -> None:
    client, server = client_side(), server_side()
    token = client.step()
    while not client.done:
        token = client.step(server.step(token))
    data = client.encrypt(b"GET /wsman")
    inputs = SecBufferDesc([SecBuffer(bytearray(token + data), TOKEN), SecBuffer(None, EMPTY)])
    outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
    result = sspi.accept_security_context(server.credential, server.handle, inputs, 0, 16, outputs)
    assert result.status is OK
    assert inputs[1].buffer_type is SecBufferType.SECBUFFER_EXTRA
    assert server.read(inputs[1].data) == b"GET /wsman"


def test_credentials_and_handles_that_do_not_serve() -> None:
    hello = SecBufferDesc([SecBuffer(client_side().step(), TOKEN), SecBuffer(None, EMPTY)])
    going_out = outbound("CREDSSP", sspi.WinNTAuthIdentity(USER, "", "x"))
    for credential in (going_out, sspi.CredHandle(), None):
        with pytest.raises((errors.NoCredentials, errors.ContextMisuse)):
            sspi.accept_security_context(credential, None, hello, 0, 16, None)
    server = server_side()
    server.step(client_side().step())
    sspi.delete_security_context(server.handle)
    with pytest.raises(errors.ContextMisuse):
        server.step(b"")


def test_an_established_context_impersonates_the_client_and_takes_no_token() -> None:
    client, server = logged_on()
    token = sspi.query_security_context_token(server.handle)
    assert USER in repr(token)
    with pytest.raises(errors.ContextMisuse):
        server.step(client_side(target=TARGET).step())
    assert server.read(client.encrypt(b"it goes on")) == b"it goes on"
