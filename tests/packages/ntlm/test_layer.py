"""Sign and seal through the message functions: numbers, buffers, altered messages, datagrams."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saslsspi import NtlmPolicy, Policy, SaslError, sspi
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi.packages.ntlm.protection import dummy_protection, protect
from saslsspi.sspi import (
    AscReq,
    Environment,
    IscReq,
    QopFlags,
    SecBuffer,
    SecBufferDesc,
    SecBufferFlags,
    SecBufferType,
    SecurityStatus,
)
from sspi_context import (
    ACCEPT_SEAL,
    PEOPLE,
    SEAL,
    SIGN,
    TARGET,
    Context,
    client_credential,
    run,
    server_credential,
)

DATAGRAM = int(IscReq.ISC_REQ_DATAGRAM)
CRC = Policy(ntlm=NtlmPolicy(extended_session_security=False, require_timestamp=False))
BASE = int(NtlmFlag.SIGN | NtlmFlag.SEAL | NtlmFlag.KEY_128 | NtlmFlag.KEY_56)
ESS = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
EXCHANGED = int(NtlmFlag.KEY_EXCH)


def established(flags: int = SEAL, policy: Policy | None = None, accept: int = 0) -> tuple[Context, Context]:
    policy = policy or Policy()
    client = Context(client_credential(environment=Environment(policy=policy)), flags, TARGET)
    server = Context(server_credential(environment=Environment(authority=PEOPLE, policy=policy)), accept)
    if flags & DATAGRAM:
        client.step(None)
        server.step(client.step(server.step(None)))
    else:
        run(client, server)
    assert client.complete
    assert server.complete
    return client, server


def status(run_it: Callable[[], object]) -> SecurityStatus | sspi.NTSTATUS:
    with pytest.raises(SaslError) as caught:
        run_it()
    return caught.value.status


@pytest.mark.requirement("MSNLMP-3.4.2-01")
@pytest.mark.parametrize("flags", [SIGN, SEAL])
def test_each_direction_counts_for_itself(flags: int) -> None:
    client, server = established(flags)
    for number in range(5):
        wire = client.wrap(b"from the client")
        assert wire[12:16] == number.to_bytes(4, "little")
        assert server.unwrap(wire) == b"from the client"
    wire = server.wrap(b"the first answer")
    assert wire[12:16] == bytes(4)
    assert client.unwrap(wire) == b"the first answer"


@pytest.mark.parametrize("flags", [SIGN, SEAL])
@pytest.mark.parametrize("size", [0, 1, 2031, 2032, 2033, 4096, 100_000])
def test_messages_of_every_size_arrive(flags: int, size: int) -> None:
    client, server = established(flags)
    message = bytes(range(256)) * (size // 256 + 1)
    for sender, receiver in ((client, server), (server, client)) * 2:
        wire = sender.wrap(message[:size])
        assert len(wire) == size + 16
        assert receiver.unwrap(wire) == message[:size]


@pytest.mark.parametrize("flags", [SIGN, SEAL])
def test_repeated_and_skipped_messages_are_out_of_sequence_and_change_nothing(flags: int) -> None:
    client, server = established(flags)
    first, second, third = (client.wrap(b"message %d" % number) for number in range(3))
    assert server.unwrap(first) == b"message 0"
    assert status(lambda: server.unwrap(first)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert status(lambda: server.unwrap(third)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert server.unwrap(second) == b"message 1"
    assert server.unwrap(third) == b"message 2"


@pytest.mark.requirement("MSNLMP-3.4.2-02", "MSNLMP-2.2.2.9-01")
@pytest.mark.parametrize("octet", [0, 4, 11, 16, 20])
def test_an_altered_sealed_message_ends_the_context(octet: int) -> None:
    client, server = established()
    wire = bytearray(client.wrap(b"message"))
    wire[octet] ^= 1
    assert status(lambda: server.unwrap(bytes(wire))) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert status(lambda: server.unwrap(client.wrap(b"next"))) is SecurityStatus.SEC_E_INVALID_HANDLE


@pytest.mark.requirement("MSNLMP-3.4.2-02")
def test_an_altered_signature_is_discarded_and_the_context_lives() -> None:
    client, server = established()
    mic = client.sign(b"data")
    assert status(lambda: server.verify(b"other data", mic)) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert status(lambda: server.verify(b"data", mic[:15])) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert server.verify(b"data", mic) == 0
    assert status(lambda: server.verify(b"data", mic)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert server.unwrap(client.wrap(b"sealed after all")) == b"sealed after all"


def test_signed_and_sealed_messages_share_one_count() -> None:
    client, server = established()
    mic, wire, again = client.sign(b"a"), client.wrap(b"b"), client.sign(b"c")
    assert [data[12] for data in (mic, wire, again)] == [0, 1, 2]
    server.verify(b"a", mic)
    assert server.unwrap(wire) == b"b"
    server.verify(b"c", again)


def test_a_message_may_be_only_signed_on_request() -> None:
    client, server = established()
    wire = client.wrap(b"clear", encrypt=False)
    assert wire[16:] == b"clear"
    assert server.unwrap_qop(wire) == (b"clear", QopFlags.SECQOP_WRAP_NO_ENCRYPT)
    assert server.unwrap_qop(client.wrap(b"secret")) == (b"secret", 0)


@pytest.mark.requirement("MSNLMP-3.4.6-01")
def test_several_buffers_make_one_message() -> None:
    client, server = established()
    desc = SecBufferDesc(
        [
            SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(b"one"), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(b"head"), SecBufferType.SECBUFFER_DATA, 0x10000000),
            SecBuffer(bytearray(b"two"), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(4), SecBufferType.SECBUFFER_PADDING),
        ]
    )
    sspi.encrypt_message(client, 0, desc, 0)
    assert (desc[0].count, desc[4].count) == (16, 0)
    assert desc[1].data != b"one"
    assert desc[2].data == b"head"
    # What was sealed in two buffers opens as one stream of octets, in the same order.
    assert sspi.decrypt_message(server, desc, 0) == 0
    assert [desc[at].data for at in (1, 2, 3)] == [b"one", b"head", b"two"]


@pytest.mark.parametrize("flag", [SecBufferFlags.SECBUFFER_READONLY, SecBufferFlags.SECBUFFER_READONLY_WITH_CHECKSUM])
def test_a_clear_buffer_is_covered_by_the_signature(flag: int) -> None:
    """MS-NLMP 3.4.6.1: with extended session security all buffers count, "including the cleartext data buffers"."""
    client, server = established()

    def buffers(head: bytes, rest: list[SecBuffer]) -> SecBufferDesc:
        return SecBufferDesc([SecBuffer(bytearray(head), SecBufferType.SECBUFFER_DATA, flag), *rest])

    desc = buffers(
        b"head",
        [
            SecBuffer(bytearray(b"text"), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN),
        ],
    )
    sspi.encrypt_message(client, 0, desc, 0)
    assert desc[0].data == b"head"
    forged = buffers(b"tail", [desc[1], desc[2]])
    assert status(lambda: sspi.decrypt_message(server, forged, 0)) is SecurityStatus.SEC_E_MESSAGE_ALTERED


def test_a_token_that_is_too_small_consumes_nothing() -> None:
    client, server = established()
    desc = SecBufferDesc(
        [
            SecBuffer(bytearray(15), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(b"text"), SecBufferType.SECBUFFER_DATA),
        ]
    )
    assert status(lambda: sspi.encrypt_message(client, 0, desc, 0)) is SecurityStatus.SEC_E_BUFFER_TOO_SMALL
    assert desc[1].data == b"text"
    assert server.unwrap(client.wrap(b"the first")) == b"the first"


@pytest.mark.parametrize("missing", [SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_DATA])
def test_missing_buffers_are_named(missing: SecBufferType) -> None:
    client, _ = established()
    kinds = {SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_DATA} - {missing}
    desc = SecBufferDesc([SecBuffer(bytearray(16), kind) for kind in kinds])
    assert status(lambda: sspi.encrypt_message(client, 0, desc, 0)) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_sizes_and_key_are_those_of_ntlm() -> None:
    client, server = established()
    sizes = sspi.query_context_attributes(client, sspi.SecPkgContextSizes)
    assert (sizes.max_signature, sizes.block_size, sizes.security_trailer) == (16, 0, 16)
    info = sspi.query_context_attributes(server, sspi.SecPkgContextKeyInfo)
    assert (info.key_size, info.encryption_algorithm_name) == (128, "RC4")


@pytest.mark.requirement("MSNLMP-3.4.4.3-01")
def test_without_a_layer_a_signature_says_nothing() -> None:
    client, server = established(0)
    mic = client.sign(b"data")
    assert mic == b"\x01\0\0\0" + bytes(12)
    server.verify(b"anything", mic)
    assert status(lambda: server.verify(b"data", b"\x02" + mic[1:])) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert status(lambda: client.wrap(b"data")) is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED
    assert dummy_protection(bytes(16)).key_bits == 0


@pytest.mark.requirement("MSNLMP-2.2.2.9-02")
@pytest.mark.parametrize("flags", [SIGN, SEAL])
def test_without_extended_session_security_the_sides_take_turns(flags: int) -> None:
    from packages.ntlm.tokens import changed, flags_at, without_timestamp

    policy = CRC
    client = Context(client_credential(environment=Environment(policy=policy)), flags, TARGET)
    server = Context(server_credential(environment=Environment(authority=PEOPLE, policy=policy)))
    drop = flags_at(20, clear=NtlmFlag.EXTENDED_SESSIONSECURITY)
    run(client, server, changed(1, lambda token: drop(without_timestamp(token))))
    for number in range(6):
        sender, receiver = ((client, server), (server, client))[number % 2]
        wire = sender.wrap(b"message %d" % number)
        assert receiver.unwrap(wire) == b"message %d" % number
    first, second = client.wrap(b"one"), client.wrap(b"two")
    assert status(lambda: server.unwrap(second)) in (
        SecurityStatus.SEC_E_OUT_OF_SEQUENCE,
        SecurityStatus.SEC_E_MESSAGE_ALTERED,
    )
    assert server.unwrap(first) == b"one"
    assert server.unwrap(second) == b"two"
    mic = server.sign(b"data")
    assert status(lambda: client.verify(b"dada", mic)) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    client.verify(b"data", mic)


@pytest.mark.requirement("MSNLMP-3.4-02")
@pytest.mark.parametrize("layer", [SIGN, SEAL])
@pytest.mark.parametrize("policy", [Policy(), CRC])
def test_datagrams_arrive_in_any_order_under_the_callers_numbers(layer: int, policy: Policy) -> None:
    accept = int(AscReq.ASC_REQ_DATAGRAM | AscReq.ASC_REQ_INTEGRITY)
    accept |= ACCEPT_SEAL if layer == SEAL else 0
    weak = Policy(ntlm=NtlmPolicy(extended_session_security=policy.ntlm.extended_session_security, min_key_bits=40))
    client, server = established(layer | DATAGRAM, weak, accept)

    def message(text: bytes) -> SecBufferDesc:
        return SecBufferDesc(
            [
                SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN),
                SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA),
            ]
        )

    sent = {}
    for number in (7, 3, 100):
        sent[number] = message(b"datagram %d" % number)
        sspi.encrypt_message(client, 0, sent[number], number)
    for number in (100, 7, 3):
        with pytest.raises(SaslError):
            sspi.decrypt_message(server, sent[number], number + 1)
        sspi.decrypt_message(server, sent[number], number)
        assert sent[number][1].data == b"datagram %d" % number


@pytest.mark.parametrize("mode", [ESS, ESS | EXCHANGED])
@pytest.mark.parametrize("size", [5, 5000])
def test_a_layer_tells_a_lost_message_before_it_opens_it(mode: int, size: int) -> None:
    client = protect(BASE | mode, b"k" * 16, client=True, seal_always=False)
    server = protect(BASE | mode, b"k" * 16, client=False, seal_always=False)
    first, second = (b"".join(client.seal(bytes(size))) for _ in range(2))
    assert status(lambda: server.unseal(second)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert server.unseal(first) == bytes(size)
    assert status(lambda: server.unseal(first)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert server.unseal(memoryview(second)) == bytes(size)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8), st.sampled_from([0, ESS, ESS | EXCHANGED, EXCHANGED]))
def test_what_one_side_seals_the_other_opens(messages: list[bytes], mode: int) -> None:
    client = protect(BASE | mode, b"k" * 16, client=True, seal_always=False)
    server = protect(BASE | mode, b"k" * 16, client=False, seal_always=False)
    for message in messages:
        assert server.unseal(b"".join(client.seal(message))) == message
    for message in messages:
        assert client.unseal(b"".join(server.seal(message))) == message


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=64), st.sampled_from([0, ESS, ESS | EXCHANGED]), st.booleans())
def test_no_octets_open_but_those_that_were_sealed(wire: bytes, mode: int, seals: bool) -> None:
    flags = BASE if seals else BASE & ~int(NtlmFlag.SEAL)
    server = protect(flags | mode, b"k" * 16, client=False, seal_always=False)
    with pytest.raises(SaslError):
        server.unseal(b"\x01\0\0\0" + wire)


def test_the_key_stream_is_never_used_twice() -> None:
    client, _ = established()
    wires = [client.wrap(bytes(32)) for _ in range(4)]
    assert all(a[16:] != b[16:] for a, b in pairwise(wires))
