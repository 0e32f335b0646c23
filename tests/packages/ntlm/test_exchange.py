"""The three messages: what goes out, what comes in, and the status of everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packages.ntlm.ends import TIMELESS, client, server, status, tampered
from packages.ntlm.tokens import (
    AUTHENTICATE,
    CHALLENGE,
    NEGOTIATE,
    answer_pairs,
    changed,
    flags_at,
    target_info,
    without_timestamp,
)
from saslsspi import (
    NtlmPolicy,
    Policy,
    sspi,
)
from saslsspi.packages.ntlm.av_pairs import decode_pairs, encode_pairs, pair
from saslsspi.packages.ntlm.keys import nt_hash, ntowf_v2
from saslsspi.packages.ntlm.messages import Authenticate, ChallengeMessage, Negotiate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi.sspi import AscRet, IscReq, IscRet, SecurityStatus
from sspi_context import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    DOMAIN,
    PASSWORD,
    SEAL,
    SIGN,
    USER,
    run,
)


@pytest.mark.requirement("MSNLMP-2.2.2.1-03", "MSNLMP-2.2.2.1-04", "MSNLMP-2.2.2.1-07")
def test_the_challenge_names_the_server_and_the_time() -> None:
    policy = Policy(ntlm=NtlmPolicy(computer_name="box", domain_name="DOM"))
    theirs = server(policy=policy, principal="http/box.example.test", clock=lambda: 1000.0)
    tokens = run(client(target="http/box.example.test"), theirs)
    challenge = ChallengeMessage.from_bytes(tokens[CHALLENGE])
    pairs = decode_pairs(challenge.target_info)
    assert {kind: value.decode("utf-16-le") for kind, value in pairs.items() if kind < 6} == {
        1: "BOX",
        2: "DOM",
        3: "box.example.test",
        4: "example.test",
    }
    assert int.from_bytes(pairs[7], "little") == 116444736000000000 + 1000 * 10_000_000
    assert challenge.flags & NtlmFlag.TARGET_TYPE_DOMAIN
    assert challenge.target_name.decode("utf-16-le") == "DOM"
    # An empty MsvAvFlags makes Windows clients compute something else.
    assert 6 not in pairs


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-04")
def test_version_and_workstation_go_together() -> None:
    policy = Policy(ntlm=NtlmPolicy(computer_name="desk"))
    tokens = run(client(policy=policy), server())
    message = Authenticate.from_bytes(tokens[AUTHENTICATE])
    assert message.version[:1] == b"\x0a"
    assert message.version[7:] == b"\x0f"
    assert message.workstation.decode("utf-16-le") == "DESK"
    greeting = Negotiate.from_bytes(tokens[NEGOTIATE])
    assert greeting.version == message.version
    assert (greeting.domain, greeting.workstation) == (b"", b"")
    old = run(
        client(),
        server(policy=TIMELESS),
        changed(CHALLENGE, lambda t: without_timestamp(flags_at(20, NtlmFlag.VERSION)(t))),
    )
    assert Authenticate.from_bytes(old[AUTHENTICATE]).version == bytes(8)


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-03")
def test_no_two_exchanges_are_alike() -> None:
    nonces = {Authenticate.from_bytes(run(client(), server())[2]).nt_response[32:40] for _ in range(4)}
    keys = {Authenticate.from_bytes(run(client(), server())[2]).session_key for _ in range(4)}
    assert len(nonces) == len(keys) == 4


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-09")
def test_without_a_layer_no_key_is_exchanged() -> None:
    ours, theirs = client(0), server()
    tokens = run(ours, theirs)
    assert Authenticate.from_bytes(tokens[AUTHENTICATE]).session_key == b""
    assert not Negotiate.from_bytes(tokens[NEGOTIATE]).flags & NtlmFlag.KEY_EXCH
    key = sspi.query_context_attributes(ours, sspi.SecPkgContextSessionKey)
    assert key == sspi.query_context_attributes(theirs, sspi.SecPkgContextSessionKey)


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (0, 0),
        (IscReq.ISC_REQ_SEQUENCE_DETECT, IscRet.ISC_RET_INTEGRITY),
        (SIGN, IscRet.ISC_RET_INTEGRITY),
        (SEAL, IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_CONFIDENTIALITY),
    ],
)
def test_a_server_that_requires_nothing_grants_what_is_asked(asked: int, granted: int) -> None:
    ours, theirs = client(int(asked)), server()
    run(ours, theirs)
    both = int(IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_CONFIDENTIALITY)
    assert ours.attributes & both == granted
    assert bool(theirs.attributes & AscRet.ASC_RET_INTEGRITY) is bool(granted)


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-02")
def test_a_server_refuses_a_client_that_asks_for_less_than_it_requires() -> None:
    assert status(lambda: run(client(SIGN), server(ACCEPT_SEAL))) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED
    dropped = changed(AUTHENTICATE, flags_at(60, clear=NtlmFlag.SIGN | NtlmFlag.SEAL))
    assert tampered(dropped, theirs=server(ACCEPT_SIGN)) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-01")
def test_a_client_that_must_seal_does_not_answer_a_challenge_without_it() -> None:
    from saslsspi import Client, Password

    ours = Client("NTLM", service="imap", host="h", credentials=Password(USER, PASSWORD), policy=Policy(min_ssf=128))
    greeting = ours.start()
    assert greeting is not None
    challenge = server().step(greeting)
    assert challenge is not None
    weak = flags_at(20, clear=NtlmFlag.SEAL)(challenge)
    assert status(lambda: ours.step(weak)) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-02")
def test_128_bits_are_required_unless_the_policy_says_otherwise() -> None:
    weak = changed(CHALLENGE, flags_at(20, clear=NtlmFlag.KEY_128))
    assert tampered(weak) is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION
    at_client = changed(NEGOTIATE, flags_at(12, clear=NtlmFlag.KEY_128))
    assert tampered(at_client) is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-06")
@pytest.mark.parametrize("missing", [1, 2])
def test_a_layer_needs_both_netbios_names(missing: int) -> None:
    nameless = changed(CHALLENGE, target_info(lambda pairs: pairs.pop(missing)))
    assert tampered(nameless) is sspi.NTSTATUS.STATUS_LOGON_FAILURE


def test_without_target_information_the_proof_alone_counts() -> None:
    bare = changed(CHALLENGE, lambda token: ChallengeMessage.from_bytes(token)._replace(target_info=b"").to_bytes())
    theirs = server(policy=TIMELESS)
    tokens = run(client(0), theirs, bare)
    assert theirs.complete
    assert len(Authenticate.from_bytes(tokens[AUTHENTICATE]).lm_response) == 24


def test_names_may_travel_in_the_oem_character_set() -> None:
    old = changed(NEGOTIATE, flags_at(12, clear=NtlmFlag.UNICODE))
    theirs = server(policy=TIMELESS)
    tokens = run(client(0, domain="DÖM"), theirs, lambda n, t: without_timestamp(old(n, t)) if n == 1 else old(n, t))
    assert Authenticate.from_bytes(tokens[AUTHENTICATE]).domain == "DÖM".encode("cp1252")
    assert theirs.complete


def test_no_character_set_is_an_invalid_token() -> None:
    neither = changed(NEGOTIATE, flags_at(12, clear=NtlmFlag.UNICODE | NtlmFlag.OEM))
    assert tampered(neither) is SecurityStatus.SEC_E_INVALID_TOKEN
    assert tampered(changed(CHALLENGE, flags_at(20, clear=3))) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_key_exchange_without_a_key_is_an_invalid_token() -> None:
    def cut(token: bytes) -> bytes:
        return Authenticate.from_bytes(token)._replace(session_key=b"\0").to_bytes()

    assert tampered(changed(AUTHENTICATE, cut)) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_octets_behind_the_end_of_the_pairs_are_proved_and_not_read() -> None:
    """As FreeRDP 2 sends it: verified over what was received, never over an encoding of our own."""
    theirs = server()
    challenge = theirs.step(Negotiate(0xA2088207).to_bytes())
    assert challenge is not None
    read = ChallengeMessage.from_bytes(challenge)
    info = decode_pairs(read.target_info)
    temp = b"\x01\x01" + bytes(6) + info[7] + b"nonce..." + bytes(4) + encode_pairs(info) + b"\0" * 12
    key = ntowf_v2(nt_hash(PASSWORD), USER, DOMAIN)
    proof = key.digest(read.server_challenge, temp)
    names = {"domain": DOMAIN.encode("utf-16-le"), "username": USER.encode("utf-16-le")}
    theirs.step(Authenticate(read.flags, bytes(24), proof + temp, **names).to_bytes())
    assert theirs.complete


@pytest.mark.requirement("MSNLMP-2.2.2.1-05", "MSNLMP-2.2.2.1-09")
def test_pairs_may_come_in_any_order_and_at_odd_offsets() -> None:
    def shuffle(pairs: dict[int, bytes]) -> None:
        items = [(200, b"odd"), *reversed(pairs.items())]
        pairs.clear()
        pairs.update(items)

    ours, theirs = client(0), server(policy=TIMELESS)
    tokens = run(ours, theirs, changed(CHALLENGE, lambda t: without_timestamp(target_info(shuffle)(t))))
    assert theirs.complete
    assert answer_pairs(tokens[AUTHENTICATE])[200] == b"odd"


@pytest.mark.requirement("MSNLMP-2.2.2.1-01", "MSNLMP-2.2.2.1-02")
@pytest.mark.parametrize(
    "info",
    [
        pair(1, b"A\0") + pair(2, b"B\0"),  # no end
        pair(1, b"A\0") + b"\0\0\x04\0" + bytes(4),  # an end with a value
        pair(1, b"A\0") + b"\0\0\x04\0",  # an end that promises one
        pair(1, b"A\0") + bytes(4) + pair(2, b"B\0"),  # something behind the end
        pair(7, bytes(7)) + bytes(4),  # a time of 7 octets
        pair(6, bytes(2)) + bytes(4),
        pair(10, bytes(15)) + bytes(4),
        pair(1, b"odd") + bytes(4),
        pair(1, b"A\0") * 2 + bytes(4),
        b"\x01\0\xff\xff" + bytes(40),
        b"".join(pair(100 + n, b"") for n in range(70)) + bytes(4),
    ],
)
def test_malformed_target_information_is_an_invalid_token(info: bytes) -> None:
    bad = changed(CHALLENGE, lambda token: ChallengeMessage.from_bytes(token)._replace(target_info=info).to_bytes())
    assert tampered(bad, client(0), server()) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-01")
@pytest.mark.parametrize("number", [NEGOTIATE, CHALLENGE, AUTHENTICATE])
@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:11],
        lambda token: b"NTLMSSQ" + token[7:],
        lambda token: token[:8] + b"\x07" + token[9:],
        lambda token: token + bytes(1 << 16),
        lambda token: b"\0",
    ],
    ids=["cut", "signature", "type", "oversized", "one octet"],
)
def test_malformed_messages_are_invalid_tokens(number: int, change: Callable[[bytes], bytes]) -> None:
    assert tampered(changed(number, change)) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-01")
@pytest.mark.parametrize("field", range(12, 60, 8))
@pytest.mark.parametrize("pointer", [b"\xff\xff\0\0", b"\x10\0\0\0"])
def test_fields_outside_of_the_message_are_invalid_tokens(field: int, pointer: bytes) -> None:
    def change(token: bytes) -> bytes:
        return token[:field] + b"\x10\0\x10\0" + pointer + token[field + 8 :]

    assert tampered(changed(AUTHENTICATE, change)) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_every_truncation_of_an_answer_is_refused() -> None:
    tokens = run(client(), server())
    for size in range(1, len(tokens[AUTHENTICATE])):
        refused = tampered(changed(AUTHENTICATE, lambda token, size=size: token[:size]))  # type: ignore[misc]
        assert refused is SecurityStatus.SEC_E_INVALID_TOKEN


def test_an_empty_first_token_is_invalid_without_datagrams() -> None:
    assert status(lambda: server().step(None)) is SecurityStatus.SEC_E_INVALID_TOKEN
    assert status(lambda: client().step(b"NTLMSSP\0")) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_an_established_context_takes_no_token() -> None:
    ours, theirs = client(), server()
    tokens = run(ours, theirs)
    assert status(lambda: theirs.step(tokens[NEGOTIATE])) is SecurityStatus.SEC_E_INVALID_HANDLE
