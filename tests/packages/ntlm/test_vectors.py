"""The values of MS-NLMP section 4.2, and messages built from them."""

from __future__ import annotations

from typing import Any

import pytest

import vector_files
from saslsspi import MemoryAuthority, NtlmPolicy, Policy
from saslsspi.crypto.md5 import HmacMd5, md5
from saslsspi.packages.ntlm import keys
from saslsspi.packages.ntlm.messages import Authenticate, ChallengeMessage
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi.packages.ntlm.protection import protect
from saslsspi.sspi import Environment
from sspi_context import ACCEPT_SEAL, Context, server_credential

COMMON: dict[str, str] = vector_files.head("ntlm")["common"]
VECTORS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in vector_files.load("ntlm")}
V1, V1_ESS, V2 = (
    VECTORS[name] for name in ("nlmp-4.2.2-ntlmv1", "nlmp-4.2.3-ntlmv1-client-challenge", "nlmp-4.2.4-ntlmv2")
)
SERVER_CHALLENGE = bytes.fromhex(COMMON["server_challenge"])
NONCE = bytes.fromhex(COMMON["client_challenge"])
SESSION_KEY = bytes.fromhex(COMMON["random_session_key"])
TEXT = COMMON["plaintext_utf16le"].encode("utf-16-le")


def octets(vector: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(vector[name])


def flags(vector: dict[str, Any]) -> int:
    return int(vector["flags"], 16)


@pytest.mark.requirement("MSNLMP-M-3.3-01")
def test_hashes_of_the_password() -> None:
    assert keys.nt_hash(COMMON["password"]) == octets(V1, "ntowfv1")
    assert keys.lm_hash(COMMON["password"]) == octets(V1, "lmowfv1")
    # The key itself is not stored: its HMAC of nothing tells it.
    right = HmacMd5(octets(V2, "ntowfv2"))
    assert keys.ntowf_v2(octets(V1, "ntowfv1"), COMMON["user"], COMMON["domain"]).digest() == right.digest()


@pytest.mark.requirement("MSNLMP-3.4.5.1-01")
def test_key_exchange_keys_of_ntlm_v1() -> None:
    base = keys.session_base_key_v1(octets(V1, "ntowfv1"))
    assert base == octets(V1, "session_base_key")
    lm, response = octets(V1, "lmowfv1"), octets(V1, "lm_response")
    assert keys.desl(lm, SERVER_CHALLENGE) == response
    assert keys.desl(octets(V1, "ntowfv1"), SERVER_CHALLENGE) == octets(V1, "nt_response")
    for flag, expected in (
        (0, base),
        (NtlmFlag.LM_KEY, octets(V1, "kxkey_lm_key")),
        (NtlmFlag.REQUEST_NON_NT_SESSION_KEY, octets(V1, "kxkey_non_nt_session_key")),
    ):
        key = keys.key_exchange_key(int(flag), base, response, SERVER_CHALLENGE, lm)
        assert key == expected
    assert keys.rc4_once(base, SESSION_KEY) == octets(V1, "encrypted_session_key")


@pytest.mark.requirement("MSNLMP-3.4.5.1-01", "MSNLMP-3.1.5.1.2-09")
def test_ntlm_v1_with_a_client_challenge() -> None:
    own = octets(V1, "ntowfv1")
    assert keys.desl(own, md5(SERVER_CHALLENGE + NONCE).digest()[:8]) == octets(V1_ESS, "nt_response")
    key = keys.key_exchange_key(
        flags(V1_ESS), keys.session_base_key_v1(own), octets(V1_ESS, "lm_response"), SERVER_CHALLENGE, None
    )
    assert key == octets(V1_ESS, "key_exchange_key")


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-08")
def test_ntlm_v2_response_and_session_key() -> None:
    key = keys.ntowf_v2(keys.nt_hash(COMMON["password"]), COMMON["user"], COMMON["domain"])
    proof = key.digest(SERVER_CHALLENGE, octets(V2, "temp"))
    assert proof == octets(V2, "nt_proof")
    assert key.digest(SERVER_CHALLENGE, NONCE) + NONCE == octets(V2, "lm_response")
    base = key.digest(proof)
    assert base == octets(V2, "session_base_key")
    assert keys.rc4_once(base, SESSION_KEY) == octets(V2, "encrypted_session_key")


@pytest.mark.requirement("MSNLMP-3.4.5.2-01", "MSNLMP-3.4.5.3-01")
@pytest.mark.parametrize("vector", [V2, V1_ESS], ids=["128", "56"])
def test_signing_and_sealing_keys(vector: dict[str, Any]) -> None:
    session_key = SESSION_KEY if vector is V2 else octets(V1_ESS, "key_exchange_key")
    made = keys.layer_keys(flags(vector), session_key, client=True)
    assert made.send_sealing == octets(vector, "seal_key_client")
    assert made.send_signing == octets(vector, "sign_key_client")
    if "seal_key_server" in vector:
        assert made.receive_sealing == octets(vector, "seal_key_server")
        assert made.receive_signing == octets(vector, "sign_key_server")
    others = keys.layer_keys(flags(vector), session_key, client=False)
    assert (others.send_sealing, others.receive_signing) == (made.receive_sealing, made.send_signing)


@pytest.mark.requirement("MSNLMP-3.4.5.2-01", "MSNLMP-3.4.5.3-02")
@pytest.mark.parametrize(
    ("flag", "key"),
    [
        (0, SESSION_KEY),
        (NtlmFlag.LM_KEY | NtlmFlag.KEY_56, SESSION_KEY[:7] + b"\xa0"),
        (NtlmFlag.LM_KEY, SESSION_KEY[:5] + b"\xe5\x38\xb0"),
        (NtlmFlag.DATAGRAM | NtlmFlag.KEY_56, SESSION_KEY[:7] + b"\xa0"),
        (NtlmFlag.DATAGRAM, SESSION_KEY[:5] + b"\xe5\x38\xb0"),
    ],
)
def test_sealing_keys_without_extended_session_security(flag: int, key: bytes) -> None:
    made = keys.layer_keys(int(flag), SESSION_KEY, client=True)
    assert made == keys.NtlmLayerKeys(b"", b"", key, key)


@pytest.mark.requirement(
    "MSNLMP-3.4.4.2-01", "MSNLMP-3.4.4.2-02", "MSNLMP-2.2.2.9-02", "MSNLMP-3.4.6-01", "MSNLMP-3.4.2-01"
)
@pytest.mark.parametrize("vector", [V2, V1_ESS], ids=["4.2.4", "4.2.3"])
def test_sealed_message_with_extended_session_security(vector: dict[str, Any]) -> None:
    session_key = SESSION_KEY if vector is V2 else octets(V1_ESS, "key_exchange_key")
    client = protect(flags(vector), session_key, client=True, seal_always=False)
    wire = b"".join(client.seal(TEXT))
    assert wire == octets(vector, "signature") + octets(vector, "sealed_data")
    server = protect(flags(vector), session_key, client=False, seal_always=False)
    assert server.unseal(wire) == TEXT
    assert b"".join(client.seal(TEXT))[12:16] == b"\x01\0\0\0"


@pytest.mark.requirement("MSNLMP-2.2.2.9-02")
def test_sealed_message_without_extended_session_security() -> None:
    client = protect(flags(V1), SESSION_KEY, client=True, seal_always=False)
    wire = b"".join(client.seal(TEXT))
    right = octets(V1, "signature")
    assert wire[16:] == octets(V1, "sealed_data")
    # The printed signature shows the random pad as it leaves the cipher; section 3.4.4.1 sets it to 0 afterwards.
    assert wire[:16] == right[:4] + bytes(4) + right[8:]
    server = protect(flags(V1), SESSION_KEY, client=False, seal_always=False)
    assert server.unseal(right + wire[16:]) == TEXT


@pytest.mark.parametrize("name", ["authenticate_v1", "authenticate_v2"])
def test_printed_authenticate_messages_survive_a_round_trip(name: str) -> None:
    data = bytes.fromhex(VECTORS["nlmp-4.2-messages"]["messages"][name])
    assert Authenticate.from_bytes(data).to_bytes() == data


def test_the_printed_authenticate_message_is_accepted() -> None:
    """The server's challenge, 30 minutes of clock and MIC being what they were in 1601: only the proof counts."""
    message = bytes.fromhex(VECTORS["nlmp-4.2-messages"]["messages"]["authenticate_v2"])
    environment = Environment(
        clock=lambda: -11644473600.0,  # FILETIME 0, the time in the sample
        random=lambda size: SERVER_CHALLENGE[:size],
        authority=MemoryAuthority({COMMON["user"]: COMMON["password"]}),
        policy=Policy(ntlm=NtlmPolicy(computer_name="SERVER", domain_name="Domain", require_timestamp=False)),
    )
    server = Context(server_credential(environment=environment), ACCEPT_SEAL)
    challenge = server.step(b"NTLMSSP\0\x01\0\0\0" + bytes.fromhex("338288e2") + bytes(16))
    assert challenge is not None
    assert ChallengeMessage.from_bytes(challenge).server_challenge == SERVER_CHALLENGE
    server.step(message)
    assert server.complete
    assert server.unwrap(octets(V2, "signature") + octets(V2, "sealed_data")) == TEXT
