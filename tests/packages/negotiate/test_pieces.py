"""Tokens that go out and come in in pieces (MS-SPNG sections 3.1.5.4 to 3.1.5.9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packages.negotiate.ends import (
    client,
    server,
    status,
)
from saslsspi import sspi
from saslsspi.sspi import (
    AscReq,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecurityStatus,
)
from sspi_context import (
    SEAL,
    TARGET,
    Context,
    client_credential,
    server_credential,
)


class Pieces:
    """A side that hands its tokens out in pieces of a size."""

    def __init__(self, credential: sspi.CredHandle, flags: int, target: str | None, size: int) -> None:
        self.credential, self.flags, self.target, self.size = credential, flags, target, size
        self.context: sspi.CtxtHandle | None = None
        self.statuses: list[SecurityStatus] = []

    def call(self, token: bytes | None) -> bytes:
        inputs = SecBufferDesc([SecBuffer(token, SecBufferType.SECBUFFER_TOKEN)]) if token else None
        outputs = SecBufferDesc([SecBuffer(bytearray(self.size), SecBufferType.SECBUFFER_TOKEN)])
        if self.target is None:
            result = sspi.accept_security_context(self.credential, self.context, inputs, self.flags, 16, outputs)
        else:
            result = sspi.initialize_security_context(  # type: ignore[assignment]
                self.credential, self.context, self.target, self.flags, 16, inputs, outputs
            )
        self.context = result.context
        self.statuses.append(result.status)
        return outputs[0].data


@pytest.mark.requirement("MSSPNG-3.1.5.6-01", "MSSPNG-3.1.5.6-02", "MSSPNG-3.1.5.9-01", "MSSPNG-3.2.5-03")
@pytest.mark.parametrize("size", [5, 100, 4000])
def test_tokens_in_pieces(size: int) -> None:
    ours = Pieces(client_credential("Negotiate", package_list="ntlm"), SEAL | 0x200000, TARGET, size)
    theirs = Pieces(server_credential("Negotiate"), int(AscReq.ASC_REQ_FRAGMENT_TO_FIT), None, size)
    piece = ours.call(None)
    sender, receiver = ours, theirs
    sizes = set()
    for _ in range(400):
        sizes.add(len(piece))
        answer = receiver.call(piece)
        if SecurityStatus.SEC_E_OK in (ours.statuses + theirs.statuses) and not answer and receiver is ours:
            break
        if answer:
            piece, sender, receiver = answer, receiver, sender
            continue
        # "MUST return GSS_S_CONTINUE_NEEDED status with an empty OutputToken": the sender goes on.
        assert receiver.statuses[-1] is SecurityStatus.SEC_I_CONTINUE_NEEDED
        piece = sender.call(None)
    assert ours.statuses[-1] is theirs.statuses[-1] is SecurityStatus.SEC_E_OK
    assert max(sizes) <= size
    assert ours.statuses.count(SecurityStatus.SEC_E_OK) == 1


@pytest.mark.requirement("MSSPNG-3.1.1-01")
def test_pieces_of_less_than_a_header_are_refused_and_nothing_is_lost() -> None:
    ours = Pieces(client_credential("Negotiate", package_list="ntlm"), SEAL | 0x200000, TARGET, 4)
    ours.context = sspi.CtxtHandle()
    assert status(lambda: ours.call(None)) is SecurityStatus.SEC_E_BUFFER_TOO_SMALL
    ours.size = 4000
    assert ours.call(None)[0] == 0x60


def test_without_the_flag_a_small_buffer_is_too_small() -> None:
    ours = Pieces(client_credential("Negotiate", package_list="ntlm"), SEAL, TARGET, 20)
    assert status(lambda: ours.call(None)) is SecurityStatus.SEC_E_BUFFER_TOO_SMALL


@pytest.mark.requirement("MSSPNG-3.1.5.9-02")
def test_a_half_received_token_is_forgotten_with_its_context() -> None:
    token = client().step() or b""
    theirs = server()
    assert theirs.step(token[:20]) is None
    sspi.delete_security_context(theirs)
    assert status(lambda: theirs.step(token[20:])) is SecurityStatus.SEC_E_INVALID_HANDLE
    assert status(lambda: server().step(token[20:])) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.parametrize("make", [client, server], ids=["client", "server"])
def test_pieces_of_one_octet_do_not_go_on_without_end(make: Callable[[], Context]) -> None:
    """A token of the largest size, octet by octet: refused at the first piece too short for the middle."""
    receiver = make()
    if make is client:
        receiver.step()
    receiver.step(b"\x60\x83\x00\xff\xf0")
    assert status(lambda: receiver.step(b"\0")) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.parametrize("size", [5, 6, 60])
def test_the_pieces_of_a_negotiation_are_counted(size: int) -> None:
    receiver = server()
    receiver.step(b"\x60\x83\x00\xff\xf0")
    taken = 0

    def pieces() -> None:
        nonlocal taken
        while taken < 10_000:
            receiver.step(bytes(size))
            taken += 1

    assert status(pieces) is SecurityStatus.SEC_E_INVALID_TOKEN
    assert taken < 1100
