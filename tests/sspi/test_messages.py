"""EncryptMessage, DecryptMessage, MakeSignature and VerifySignature over an established Digest context."""

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType
from sspi_program import ACCEPT_SEAL, ACCEPT_SIGN, SEAL, SIGN, connected, seal, sign, signed, unseal

DATA = SecBufferType.SECBUFFER_DATA
PADDING = SecBufferType.SECBUFFER_PADDING
TOKEN = SecBufferType.SECBUFFER_TOKEN
STREAM = SecBufferType.SECBUFFER_STREAM
LEVELS = pytest.mark.parametrize(("flags", "accept_flags"), [(SIGN, ACCEPT_SIGN), (SEAL, ACCEPT_SEAL)])


@LEVELS
@pytest.mark.parametrize("message", [b"", b"x", b"message " * 100])
def test_messages_pass_in_both_directions(flags: int, accept_flags: int, message: bytes) -> None:
    client, server = connected(flags, accept_flags)
    for _ in range(3):
        assert unseal(server, seal(client, message)) == message
        assert unseal(client, seal(server, message)) == message


@LEVELS
def test_a_message_is_protected_and_opened_in_place(flags: int, accept_flags: int) -> None:
    client, server = connected(flags, accept_flags)
    memory, added = bytearray(b"in place"), bytearray(24)
    message = SecBufferDesc([SecBuffer(memory, DATA), SecBuffer(added, PADDING)])
    sspi.encrypt_message(client.handle, 0, message, 0)
    assert (memory == b"in place") == (flags == SIGN)
    assert bytes(memory) + bytes(added[: message[1].count]) == message[0].data + message[1].data
    sspi.decrypt_message(server.handle, message, 0)
    assert memory == b"in place"
    assert message[0].count == 8


def test_a_stream_buffer_shows_the_message_inside_itself() -> None:
    client, server = connected(SEAL, ACCEPT_SEAL)
    wire = bytearray(seal(client, b"shown"))
    message = SecBufferDesc([SecBuffer(wire, STREAM), SecBuffer(None, DATA)])
    assert sspi.decrypt_message(server.handle, message, 0) == 0
    assert wire[:5] == b"shown"
    assert message[1].data == b"shown"


def test_a_read_only_stream_buffer_is_left_alone() -> None:
    client, server = connected(SEAL, ACCEPT_SEAL)
    wire = seal(client, b"shown")
    message = SecBufferDesc([SecBuffer(wire, STREAM), SecBuffer(None, DATA)])
    sspi.decrypt_message(server.handle, message, 0)
    assert message[1].data == b"shown"


def test_decrypting_tells_whether_the_message_was_only_signed() -> None:
    for flags, accept_flags, expected in ((SIGN, ACCEPT_SIGN, sspi.QopFlags.SIGN_ONLY), (SEAL, ACCEPT_SEAL, 0)):
        client, server = connected(flags, accept_flags)
        wire = SecBuffer(bytearray(seal(client, b"x")), STREAM)
        assert sspi.decrypt_message(server.handle, SecBufferDesc([wire, SecBuffer(None, DATA)]), 0) == expected


def test_readonly_buffers_are_not_touched() -> None:
    client, server = connected(SEAL, ACCEPT_SEAL)
    header = bytearray(b"header")
    message = SecBufferDesc(
        [
            SecBuffer(header, DATA, sspi.SecBufferFlags.SECBUFFER_READONLY),
            SecBuffer(bytearray(b"body"), DATA),
            SecBuffer(bytearray(32), PADDING),
        ]
    )
    sspi.encrypt_message(client.handle, 0, message, 0)
    assert header == b"header"
    assert unseal(server, message[1].data + message[2].data) == b"body"


def test_a_buffer_before_the_message_that_digest_has_no_use_for_ends_empty() -> None:
    client, server = connected(SEAL, ACCEPT_SEAL)
    for kind in (TOKEN, SecBufferType.SECBUFFER_STREAM_HEADER):
        buffers = [
            SecBuffer(bytearray(16), kind),
            SecBuffer(bytearray(b"body"), DATA),
            SecBuffer(bytearray(24), PADDING),
        ]
        sspi.encrypt_message(client.handle, 0, SecBufferDesc(buffers), 0)
        assert buffers[0].count == 0
        assert unseal(server, b"".join(buffer.data for buffer in buffers)) == b"body"


def test_the_signature_may_go_into_a_second_data_or_a_token_buffer() -> None:
    client, server = connected(SIGN, ACCEPT_SIGN)
    for kind in (DATA, TOKEN):
        message = SecBufferDesc([SecBuffer(bytearray(b"body"), DATA), SecBuffer(bytearray(16), kind)])
        sspi.encrypt_message(client.handle, 0, message, 0)
        assert unseal(server, message[0].data + message[1].data) == b"body"


def test_a_buffer_that_is_too_small_costs_no_sequence_number() -> None:
    client, server = connected(SEAL, ACCEPT_SEAL)
    message = SecBufferDesc([SecBuffer(bytearray(b"body"), DATA), SecBuffer(bytearray(15), PADDING)])
    with pytest.raises(errors.BufferTooSmall):
        sspi.encrypt_message(client.handle, 0, message, 0)
    assert message[0].data == b"body"
    assert unseal(server, seal(client, b"next")) == b"next"


def test_without_data_or_signature_buffer_the_call_is_refused() -> None:
    client, _ = connected(SEAL, ACCEPT_SEAL)
    for buffers in ([SecBuffer(bytearray(16), PADDING)], [SecBuffer(bytearray(b"x"), DATA)], []):
        with pytest.raises(errors.InvalidToken):
            sspi.encrypt_message(client.handle, 0, SecBufferDesc(buffers), 0)
    with pytest.raises(errors.InvalidToken):
        sspi.decrypt_message(client.handle, SecBufferDesc([]), 0)
    with pytest.raises(errors.InvalidToken):
        sspi.make_signature(client.handle, 0, SecBufferDesc([SecBuffer(bytearray(b"x"), DATA)]), 0)


def test_a_sequence_number_of_the_caller_is_refused() -> None:
    client, _ = connected(SEAL, ACCEPT_SEAL)
    message = SecBufferDesc([SecBuffer(bytearray(b"x"), DATA), SecBuffer(bytearray(32), PADDING)])
    with pytest.raises(errors.InvalidParameter):
        sspi.encrypt_message(client.handle, 0, message, 1)


def test_an_unknown_quality_of_protection_is_refused() -> None:
    client, _ = connected(SEAL, ACCEPT_SEAL)
    message = SecBufferDesc([SecBuffer(bytearray(b"x"), DATA), SecBuffer(bytearray(32), PADDING)])
    with pytest.raises(errors.QopNotSupported):
        sspi.encrypt_message(client.handle, 7, message, 0)


def test_a_message_above_the_peers_size_is_refused_and_costs_nothing() -> None:
    environment = sspi.Environment(policy=sspi.Policy(max_buffer=100))
    client, server = connected(SIGN, ACCEPT_SIGN, environment=environment)
    with pytest.raises(errors.InvalidParameter):
        seal(client, bytes(85))
    assert unseal(server, seal(client, bytes(84))) == bytes(84)


@LEVELS
def test_signatures_verify_in_order(flags: int, accept_flags: int) -> None:
    client, server = connected(flags, accept_flags)
    for message in (b"one", b"", b"three"):
        signature = sign(client, message)
        assert len(signature) == 16
        assert sspi.verify_signature(server.handle, signed(message, signature), 0) == 0


@LEVELS
def test_a_signature_that_fails_is_discarded_and_the_context_lives(flags: int, accept_flags: int) -> None:
    client, server = connected(flags, accept_flags)
    signature = sign(client, b"message")
    with pytest.raises(errors.MessageAltered):
        sspi.verify_signature(server.handle, signed(b"massage", signature), 0)
    for size in (0, 15):
        with pytest.raises(errors.MessageAltered):
            sspi.verify_signature(server.handle, signed(b"message", signature[:size]), 0)
    sspi.verify_signature(server.handle, signed(b"message", signature), 0)


@pytest.mark.requirement("SSPI-ISC-DIGEST-31", "SSPI-ISC-DIGEST-32", "SSPI-ASC-37", "SSPI-ASC-38")
@LEVELS
def test_replayed_lost_and_swapped_messages_are_out_of_sequence(flags: int, accept_flags: int) -> None:
    client, server = connected(flags, accept_flags)
    first, second, third = (seal(client, text) for text in (b"1", b"2", b"3"))
    with pytest.raises(errors.OutOfSequence):
        unseal(server, second)
    assert unseal(server, first) == b"1"
    with pytest.raises(errors.OutOfSequence):
        unseal(server, first)
    with pytest.raises(errors.OutOfSequence):
        unseal(server, third)
    assert unseal(server, second) == b"2"
    assert unseal(server, third) == b"3"


def test_an_altered_message_ends_a_context_whose_cipher_cannot_go_on() -> None:
    client, server = connected(SEAL, ACCEPT_SEAL)
    wire = bytearray(seal(client, b"message"))
    wire[0] ^= 1
    with pytest.raises(errors.MessageAltered):
        unseal(server, wire)
    with pytest.raises(errors.ContextMisuse):
        unseal(server, wire)


def test_an_altered_signed_message_is_discarded_and_the_context_lives() -> None:
    client, server = connected(SIGN, ACCEPT_SIGN)
    wire = bytearray(seal(client, b"message"))
    wire[0] ^= 1
    with pytest.raises(errors.MessageAltered):
        unseal(server, wire)
    wire[0] ^= 1
    assert unseal(server, wire) == b"message"
