"""No octets make the readers raise anything but our own error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packages.ntlm.tokens import AUTHENTICATE, CHALLENGE, NEGOTIATE
from saslsspi import SaslError
from saslsspi.packages.ntlm.av_pairs import decode_pairs, encode_pairs
from saslsspi.packages.ntlm.messages import Authenticate, ChallengeMessage, Negotiate
from sspi_context import ACCEPT_SEAL, SEAL, TARGET, Context, client_credential, run, server_credential

CLIENT, SERVER = client_credential(), server_credential()
SAMPLES = run(Context(CLIENT, SEAL, TARGET), Context(SERVER, ACCEPT_SEAL))
damage = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)
heads = st.sampled_from([b"", b"NTLMSSP\0\1\0\0\0", b"NTLMSSP\0\2\0\0\0", b"NTLMSSP\0\3\0\0\0"])


def damaged(token: bytes, changes: list[tuple[int, int]], keep: int) -> bytes:
    octets = bytearray(token[:keep])
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    return bytes(octets)


@settings(max_examples=300, deadline=None)
@given(heads, st.binary(max_size=200))
def test_any_octets_are_a_message_or_our_error(head: bytes, rest: bytes) -> None:
    for reader in (Negotiate.from_bytes, ChallengeMessage.from_bytes, Authenticate.from_bytes):
        try:
            reader(head + rest)
        except SaslError:
            continue


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2), damage, st.integers(0, 600))
def test_a_damaged_exchange_ends_in_success_or_our_error(
    number: int, changes: list[tuple[int, int]], keep: int
) -> None:
    client, server = Context(CLIENT, SEAL, TARGET), Context(SERVER, ACCEPT_SEAL)
    try:
        run(client, server, lambda at, token: damaged(token, changes, keep) if at == number else token)
    except SaslError:
        assert not server.complete


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.booleans())
def test_any_octets_are_pairs_or_our_error(data: bytes, trailing: bool) -> None:
    try:
        pairs = decode_pairs(data, trailing=trailing)
    except SaslError:
        return
    assert data.startswith(encode_pairs(pairs)[:-4])


@given(st.dictionaries(st.integers(11, 0xFFFF), st.binary(max_size=40), max_size=20))
def test_pairs_survive_a_round_trip(pairs: dict[int, bytes]) -> None:
    assert decode_pairs(encode_pairs(pairs)) == pairs


@given(st.binary(max_size=30), st.binary(max_size=60), st.binary(max_size=20), st.integers(0, 0xFFFFFFFF))
def test_messages_survive_a_round_trip(name: bytes, response: bytes, key: bytes, flags: int) -> None:
    message = Authenticate(flags & ~0x02000000, key, response, name, name[:9], name[3:], key)
    read = Authenticate.from_bytes(message.to_bytes())
    assert read._replace(mic_offset=0) == message
    challenge = ChallengeMessage(flags & ~0x02000000 | 0x00800004, b"8 octets", name, response)
    assert ChallengeMessage.from_bytes(challenge.to_bytes()) == challenge
    greeting = Negotiate(flags & ~0x02000000 | 0x3000, name, key)
    assert Negotiate.from_bytes(greeting.to_bytes()) == greeting


def test_samples_are_an_exchange() -> None:
    assert [token[8] for token in SAMPLES] == [NEGOTIATE + 1, CHALLENGE + 1, AUTHENTICATE + 1]


def test_the_oldest_and_shortest_messages_are_read() -> None:
    assert Negotiate.from_bytes(b"NTLMSSP\0\1\0\0\0\7\2\0\0").flags == 0x207
    assert ChallengeMessage.from_bytes(b"NTLMSSP\0\2\0\0\0" + bytes(8) + b"\1\2\0\0" + b"8 octets").flags == 0x201
    with pytest.raises(SaslError):
        Authenticate.from_bytes(b"NTLMSSP\0\3\0\0\0" + bytes(40))
