"""Keys and messages of NTLM computed once more from the text of MS-NLMP, with hashlib, hmac and RC4 in ten lines."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest

from packages.ntlm.ends import TIMELESS, client, server
from packages.ntlm.tokens import AUTHENTICATE, CHALLENGE, changed, flags_at, without_timestamp
from saslsspi import SaslError, sspi
from saslsspi.crypto.md4 import md4
from saslsspi.engine.protection import Part
from saslsspi.packages.ntlm.extended import Datagrams
from saslsspi.packages.ntlm.keys import layer_keys
from saslsspi.packages.ntlm.messages import Authenticate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi.packages.ntlm.protection import NtlmProtection, protect
from saslsspi.sspi import SecurityStatus
from sspi_context import run

KEY = bytes(range(16))
ESS = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
LAYER = ESS | int(NtlmFlag.SIGN | NtlmFlag.SEAL)
TO_SERVER = b"session key to client-to-server %b key magic constant\0"
TO_CLIENT = b"session key to server-to-client %b key magic constant\0"


def rc4(key: bytes, text: bytes) -> bytes:
    state, j, out, i = list(range(256)), 0, bytearray(), 0
    for n in range(256):
        j = (j + state[n] + key[n % len(key)]) % 256
        state[n], state[j] = state[j], state[n]
    j = 0
    for octet in text:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(octet ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def mac(key: bytes, number: int, text: bytes) -> bytes:
    return hmac.digest(key, number.to_bytes(4, "little") + text, "md5")[:8]


@pytest.mark.requirement("MSNLMP-3.4.5.2-01", "MSNLMP-3.4.5.3-01")
@pytest.mark.parametrize(
    ("flags", "kept"), [(NtlmFlag.KEY_128, 16), (NtlmFlag.KEY_128 | NtlmFlag.KEY_56, 16), (NtlmFlag.KEY_56, 7), (0, 5)]
)
def test_a_sealing_key_keeps_as_many_octets_as_the_flags_say_and_a_signing_key_all(flags: int, kept: int) -> None:
    made = layer_keys(int(flags) | ESS, KEY, client=True)
    assert made.send_sealing == hashlib.md5(KEY[:kept] + TO_SERVER % b"sealing").digest()
    assert made.receive_sealing == hashlib.md5(KEY[:kept] + TO_CLIENT % b"sealing").digest()
    assert made.send_signing == hashlib.md5(KEY + TO_SERVER % b"signing").digest()
    assert made.receive_signing == hashlib.md5(KEY + TO_CLIENT % b"signing").digest()


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-08")
def test_the_exported_key_goes_out_under_the_key_of_the_response() -> None:
    ours, theirs = client(), server()
    tokens = run(ours, theirs)
    message = Authenticate.from_bytes(tokens[AUTHENTICATE])
    user, domain = message.username.decode("utf-16-le").upper(), message.domain.decode("utf-16-le")
    owf = hmac.digest(md4("wonderland".encode("utf-16-le")), (user + domain).encode("utf-16-le"), "md5")
    base = hmac.digest(owf, message.nt_response[:16], "md5")
    exported = [sspi.query_context_attributes(end, sspi.SecPkgContextSessionKey).session_key for end in (ours, theirs)]
    assert exported == [rc4(base, message.session_key)] * 2
    assert message.session_key not in (exported[0], base)


@pytest.mark.requirement("MSNLMP-3.4-02")
@pytest.mark.parametrize("number", [0, 7, 0xFFFFFFFF])
def test_each_datagram_has_a_sealing_key_of_its_own(number: int) -> None:
    signature, (sealed,) = Datagrams((b"S" * 16, KEY), (b"S" * 16, KEY), enciphered=False).seal_parts(
        [Part(b"datagram", sealed=True)], number
    )
    key = hashlib.md5(KEY + number.to_bytes(4, "little")).digest()
    assert sealed == rc4(key, b"datagram")
    assert signature == b"\1\0\0\0" + mac(b"S" * 16, number, b"datagram") + number.to_bytes(4, "little")


def _opened_as_sasl(protection: NtlmProtection, wire: bytes) -> bytes:
    return bytes(protection.unseal(wire))


def _opened_in_parts(protection: NtlmProtection, wire: bytes) -> bytes:
    return b"".join(protection.unseal_parts([Part(wire[16:], sealed=True)], wire[:16], b"", 0)[0])  # type: ignore[attr-defined]


def _verified(protection: NtlmProtection, wire: bytes) -> bytes:
    protection.verify(wire[16:], wire[:16], 0)  # type: ignore[attr-defined]
    return wire[16:]


WAYS: list[tuple[Callable[[NtlmProtection, bytes], bytes], bool]] = [
    (_opened_as_sasl, True), (_opened_in_parts, True), (_verified, False)
]  # fmt: skip


@pytest.mark.requirement("MSNLMP-2.2.2.9-01", "MSNLMP-3.4.2-02")
@pytest.mark.parametrize("enciphered", [0, int(NtlmFlag.KEY_EXCH)])
@pytest.mark.parametrize(("opened", "seals"), WAYS)
@pytest.mark.parametrize("size", [1, 64, 100_000])
def test_each_octet_of_a_signature_counts_in_every_way_to_open_a_message(
    opened: Callable[[NtlmProtection, bytes], bytes], seals: bool, size: int, enciphered: int
) -> None:
    def fresh(*, client: bool) -> NtlmProtection:
        return protect(LAYER | int(NtlmFlag.KEY_128) | enciphered, KEY, client=client, seal_always=False)

    text = bytes(size)
    sender = fresh(client=True)
    wire = b"".join(sender.seal(text)) if seals else sender.sign(text, 0) + text  # type: ignore[attr-defined]
    assert opened(fresh(client=False), wire) == text
    for octet in (0, 3, 4, 11, 12, 15, 16, len(wire) - 1):
        altered = bytearray(wire)
        altered[octet] ^= 1
        with pytest.raises(SaslError) as caught:
            opened(fresh(client=False), bytes(altered))
        number = octet in (12, 15)
        assert caught.value.status == (
            SecurityStatus.SEC_E_OUT_OF_SEQUENCE if number else SecurityStatus.SEC_E_MESSAGE_ALTERED
        )


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-04")
def test_without_the_flag_the_versions_octets_are_zero() -> None:
    drop = changed(CHALLENGE, lambda token: without_timestamp(flags_at(20, NtlmFlag.VERSION)(token)))
    assert run(client(), server(policy=TIMELESS), drop)[AUTHENTICATE][64:72] == bytes(8)
    assert run(client(), server())[AUTHENTICATE][64:72] == bytes.fromhex("0a007c4f0000000f")
