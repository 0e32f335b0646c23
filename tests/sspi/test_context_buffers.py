"""Where tokens go: memory of the caller, and memory that a function finds.

Claims stand for the pages InitializeSecurityContext (Digest) and AcceptSecurityContext (General).
"""

import contextlib
from collections.abc import Callable

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, AscRet, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
from sspi_program import (
    ACCEPT_SEAL,
    SEAL,
    TARGET,
    Initiator,
    empty_token,
    inbound,
    outbound,
    tokens,
)

OK = SecurityStatus.SEC_E_OK
CONTINUE = SecurityStatus.SEC_I_CONTINUE_NEEDED


class TestBuffers:
    @pytest.mark.requirement(
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

    @pytest.mark.requirement("SSPI-ISC-DIGEST-21", "SSPI-ISC-DIGEST-54", "SSPI-ISC-DIGEST-89", "SSPI-ASC-16")
    def test_allocate_memory_leaves_the_callers_memory_alone(self) -> None:
        memory = bytearray(10)
        output = SecBufferDesc([SecBuffer(memory, SecBufferType.SECBUFFER_TOKEN)])
        flags = AscReq.ASC_REQ_ALLOCATE_MEMORY
        result = sspi.accept_security_context(inbound(), None, None, flags, 0, output)
        assert result.attributes & AscRet.ASC_RET_ALLOCATED_MEMORY
        assert output[0].data.startswith(b"realm=")
        assert memory == bytes(10)

    @pytest.mark.parametrize("package", ["WDigest", "NTLM", "Negotiate"])
    def test_every_token_that_does_not_fit_comes_with_a_larger_buffer(self, package: str) -> None:
        """The same call with one octet more, as often as it takes, and the exchange goes on as if nothing was."""

        def patient(call: Callable[[SecBufferDesc | None], SecurityStatus]) -> tuple[SecurityStatus, bytes]:
            with contextlib.suppress(errors.InsufficientMemory, errors.BufferTooSmall):  # the second from NTLM
                return call(None), b""
            size = 1
            while True:
                output = SecBufferDesc([SecBuffer(bytearray(size), SecBufferType.SECBUFFER_TOKEN)])
                try:
                    return call(output), output[0].data
                except errors.BufferTooSmall:
                    assert output[0].data == bytes(size)
                    size += 1

        ours, theirs = outbound(package=package), inbound(package=package)
        client, server = sspi.CtxtHandle(), sspi.CtxtHandle()
        status, token = patient(
            lambda output: sspi.initialize_security_context(ours, client, TARGET, SEAL, 0, None, output).status
        )
        for _ in range(3):
            given = tokens(token)
            last, token = patient(
                lambda output: sspi.accept_security_context(theirs, server, given, ACCEPT_SEAL, 0, output).status  # noqa: B023  # called at once
            )
            if status is OK:
                break
            given = tokens(token)
            status, token = patient(
                lambda output: sspi.initialize_security_context(ours, client, TARGET, SEAL, 0, given, output).status  # noqa: B023  # called at once
            )
            if last is OK:
                break
        assert (last, status) == (OK, OK)

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
