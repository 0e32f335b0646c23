"""What an exchange is bound to: its own messages by the MIC, a channel, a time, a service."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from packages.ntlm.ends import BOUND, ELSEWHERE, client, server, status, tampered
from packages.ntlm.tokens import (
    AUTHENTICATE,
    CHALLENGE,
    NEGOTIATE,
    answer_pairs,
    changed,
    flags_at,
    without_timestamp,
)
from saslsspi import (
    ChannelBindingPolicy,
    ChannelBindings,
    NtlmPolicy,
    Policy,
    sspi,
)
from saslsspi.crypto.md5 import HmacMd5
from saslsspi.packages.ntlm.av_pairs import decode_pairs
from saslsspi.packages.ntlm.messages import Authenticate, ChallengeMessage
from saslsspi.sspi import AscReq, SecurityStatus
from sspi_context import (
    TARGET,
    run,
)


@pytest.mark.requirement(
    "MSNLMP-3.1.5.1.2-05", "MSNLMP-3.1.5.1.2-07", "MSNLMP-3.1.5.1.2-10", "MSNLMP-2.2.2.1-06", "MSNLMP-2.2.2.1-08"
)
def test_the_answer_repeats_the_time_and_tells_of_its_mic() -> None:
    tokens = run(client(bindings=BOUND), server(bindings=BOUND))
    stamp = decode_pairs(ChallengeMessage.from_bytes(tokens[CHALLENGE]).target_info)[7]
    message = Authenticate.from_bytes(tokens[AUTHENTICATE])
    pairs = answer_pairs(tokens[AUTHENTICATE])
    assert message.nt_response[24:32] == stamp == pairs[7]
    assert message.lm_response == bytes(24)
    assert pairs[6] == b"\x02\0\0\0"
    assert pairs[10] == BOUND.gss_hash()
    assert pairs[9].decode("utf-16-le") == TARGET
    assert any(tokens[AUTHENTICATE][72:88])


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-11")
def test_the_mic_is_over_the_three_messages() -> None:
    ours = client()
    tokens = run(ours, server())
    key = sspi.query_context_attributes(ours, sspi.SecPkgContextSessionKey).session_key
    blank = tokens[2][:72] + bytes(16) + tokens[2][88:]
    assert HmacMd5(key).digest(tokens[0], tokens[1], blank) == tokens[2][72:88]


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-05")
@pytest.mark.parametrize(
    ("number", "change"),
    [
        (NEGOTIATE, lambda token: token[:32] + b"\x06" + token[33:]),
        (CHALLENGE, flags_at(20, put=0x00100000)),
        (AUTHENTICATE, lambda token: token[:64] + b"\x06" + token[65:]),
        (AUTHENTICATE, lambda token: token[:87] + bytes([token[87] ^ 1]) + token[88:]),
    ],
)
def test_a_changed_message_is_noticed_by_the_mic(number: int, change: Callable[[bytes], bytes]) -> None:
    assert tampered(changed(number, change)) is SecurityStatus.SEC_E_MESSAGE_ALTERED


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-06")
def test_a_mic_cannot_be_taken_away() -> None:
    zeroed = changed(AUTHENTICATE, lambda token: token[:72] + bytes(16) + token[88:])
    assert tampered(zeroed) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    no_room = changed(AUTHENTICATE, lambda token: Authenticate.from_bytes(token)._replace(mic_offset=0).to_bytes())
    assert tampered(no_room) is SecurityStatus.SEC_E_MESSAGE_ALTERED


def test_a_mic_can_be_required() -> None:
    strict = server(policy=Policy(ntlm=NtlmPolicy(require_mic=True)))
    assert tampered(changed(CHALLENGE, without_timestamp), theirs=strict) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED
    run(client(), server(policy=Policy(ntlm=NtlmPolicy(require_mic=True))))


@pytest.mark.requirement("MSNLMP-M-3.3-02")
@pytest.mark.parametrize("away", [37 * 3600, -37 * 3600])
def test_a_time_beyond_the_lifetime_is_refused(away: int) -> None:
    late = itertools.chain([1e9] * 2, itertools.repeat(1e9 + away))
    assert status(lambda: run(client(), server(clock=lambda: next(late)))) is SecurityStatus.SEC_E_TIME_SKEW


def test_a_time_within_the_lifetime_is_taken() -> None:
    clock = itertools.chain([1e9] * 2, itertools.repeat(1e9 + 35 * 3600))
    theirs = server(clock=lambda: next(clock))
    run(client(), theirs)
    assert theirs.complete


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-07")
@pytest.mark.parametrize(
    ("rule", "theirs", "accepted"),
    [
        (ChannelBindingPolicy.NONE, BOUND, True),
        (ChannelBindingPolicy.NONE, ELSEWHERE, True),
        (ChannelBindingPolicy.NONE, None, True),
        (ChannelBindingPolicy.NONE, "zero", True),
        (ChannelBindingPolicy.ALLOW, BOUND, True),
        (ChannelBindingPolicy.ALLOW, ELSEWHERE, False),
        (ChannelBindingPolicy.ALLOW, None, True),
        (ChannelBindingPolicy.ALLOW, "zero", True),
        (ChannelBindingPolicy.REQUIRE, BOUND, True),
        (ChannelBindingPolicy.REQUIRE, ELSEWHERE, False),
        (ChannelBindingPolicy.REQUIRE, None, False),
        (ChannelBindingPolicy.REQUIRE, "zero", False),
    ],
)
def test_channel_bindings_under_each_policy(rule: ChannelBindingPolicy, theirs: object, accepted: bool) -> None:
    zero = Policy(ntlm=NtlmPolicy(zero_bindings=theirs == "zero"))
    ours = client(policy=zero, bindings=theirs if isinstance(theirs, ChannelBindings) else None)
    acceptor = server(policy=Policy(channel_binding=rule), bindings=BOUND)
    if accepted:
        tokens = run(ours, acceptor)
        assert acceptor.complete
        assert (answer_pairs(tokens[AUTHENTICATE]).get(10) == bytes(16)) is (theirs == "zero")
    else:
        assert status(lambda: run(ours, acceptor)) is SecurityStatus.SEC_E_BAD_BINDINGS


@pytest.mark.parametrize(
    ("rule", "theirs", "own", "result"),
    [
        ("allow", BOUND, BOUND, "VALID_MATCHED"),
        ("allow", None, BOUND, "VALID_MISSING"),
        ("allow", BOUND, None, "ABSENT"),
        ("none", BOUND, BOUND, "ABSENT"),
    ],
)
def test_the_audit_of_bindings_is_an_attribute(
    rule: str, theirs: ChannelBindings | None, own: ChannelBindings | None, result: str
) -> None:
    acceptor = server(policy=Policy(channel_binding=ChannelBindingPolicy(rule)), bindings=own)
    run(client(bindings=theirs), acceptor)
    audit = sspi.query_context_attributes(acceptor, sspi.SecPkgContextChannelBindings).result
    names = sspi.ChannelBindingsResult
    assert audit & names[f"SEC_CHANNEL_BINDINGS_RESULT_{result}"]
    assert bool(audit & names.SEC_CHANNEL_BINDINGS_RESULT_CLIENT_SUPPORT) is (theirs is not None)


def test_required_bindings_that_the_program_did_not_give_are_an_error() -> None:
    required = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    assert status(lambda: run(client(bindings=BOUND), server(policy=required))) is SecurityStatus.SEC_E_BAD_BINDINGS
    assert status(lambda: run(client(policy=required), server())) is SecurityStatus.SEC_E_BAD_BINDINGS


@pytest.mark.requirement("SSPI-ASC-13", "SSPI-ASC-21", "SSPI-ASC-35")
def test_only_digest_heeds_the_flag_of_missing_bindings() -> None:
    required = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    for flag in (AscReq.ASC_REQ_ALLOW_MISSING_BINDINGS, AscReq.ASC_REQ_PROXY_BINDINGS):
        acceptor = server(int(flag), required, bindings=BOUND)
        assert status(lambda acceptor=acceptor: run(client(), acceptor)) is SecurityStatus.SEC_E_BAD_BINDINGS  # type: ignore[misc]
