"""Somebody between client and acceptor who changes the challenge, whatever carries NTLM.

He stands inside the client, before the challenge is read, so that the same hand serves NTLM alone, under SPNEGO and in
CredSSP's TLS.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packages.ntlm.tokens import answer_pairs, target_info
from saslsspi import Context, CredSspPolicy, MemoryAuthority, NegotiatePolicy, NtlmPolicy, Password, Policy
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.exchange import Request, StepResult
from saslsspi.errors import MessageAltered, SaslError, WrongPrincipal
from saslsspi.packages.ntlm.av_pairs import AvFlag, AvId, decode_pairs, encode_pairs
from saslsspi.packages.ntlm.client import NtlmClient
from saslsspi.packages.ntlm.messages import ChallengeMessage

CARRIERS = pytest.mark.parametrize("package", ["NTLM", "Negotiate", "CREDSSP"])
PEOPLE = MemoryAuthority({"alice": "wonderland"})
NTLM_ONLY = NegotiatePolicy(packages="NTLM")
MEANT, ELSEWHERE = "HTTP/host.example", "HTTP/evil.example"
UNTRUSTED = b"\x04\0\0\0"

Pairs = dict[int, bytes]
Info = tuple[bytes, int, bool, str]


def between(monkeypatch: pytest.MonkeyPatch, change: Callable[[Pairs], object]) -> list[bytes]:
    """Change every challenge; the returned list gets the AUTHENTICATE_MESSAGEs."""
    step, answers = NtlmClient.step, list[bytes]()

    def relayed(client: NtlmClient, token: bytes, request: Request) -> StepResult:
        if token.startswith(b"NTLMSSP\0\x02"):
            token = target_info(change)(token)
        reply = step(client, token, request)
        if reply.token is not None and reply.token.startswith(b"NTLMSSP\0\x03"):
            answers.append(reply.token)
        return reply

    monkeypatch.setattr(NtlmClient, "step", relayed)
    return answers


def an_old_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that signs what the challenge says of flags, as ours once did."""
    original = NtlmClient._target_info

    def repeating(
        client: NtlmClient, challenge: ChallengeMessage, flags: int, request: Request
    ) -> tuple[bytes, int, bool, str]:
        info, time, mic, bound = original(client, challenge, flags, request)
        own = AvFlag.MIC if mic else AvFlag(0)
        return set_flags(info, int(own | AvFlag.UNTRUSTED_SPN)), time, mic, bound

    monkeypatch.setattr(NtlmClient, "_target_info", repeating)


def set_flags(info: bytes, value: int) -> bytes:
    return encode_pairs(decode_pairs(info) | {int(AvId.FLAGS): value.to_bytes(4, "little")})


def logged_on(package: str, target: str = MEANT, **acceptors: object) -> Context:
    ours = Policy(negotiate=NTLM_ONLY, credssp=CredSspPolicy(allow_fresh_ntlm_only=("*",)))
    theirs = Policy(negotiate=NTLM_ONLY, ntlm=NtlmPolicy(**acceptors))  # type: ignore[arg-type]
    client = Context.initiate(package, target=target, credentials=Password("alice", "wonderland"), policy=ours)
    server = Context.accept(package, principal=MEANT, authority=PEOPLE, policy=theirs)
    token = client.step()
    while not (client.done and server.done):
        token = server.step(token)
        if not client.done:
            token = client.step(token)
    return server


@CARRIERS
def test_a_client_says_nothing_of_itself_that_the_challenge_said(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(pairs: Pairs) -> None:
        pairs[AvId.FLAGS] = b"\xfd\xff\xff\xff"
        pairs[AvId.SINGLE_HOST] = bytes(48)
        pairs[AvId.TARGET_NAME] = ELSEWHERE.encode("utf-16-le")
        pairs[AvId.CHANNEL_BINDINGS] = b"\x01" * 16

    answers = between(monkeypatch, told)
    with pytest.raises(MessageAltered):  # the MIC is over the challenge as it came
        logged_on(package)
    pairs = answer_pairs(answers[0])
    assert pairs[AvId.FLAGS] == b"\x02\0\0\0"
    assert pairs[AvId.TARGET_NAME].decode("utf-16-le") == MEANT
    assert AvId.SINGLE_HOST not in pairs
    assert AvId.CHANNEL_BINDINGS not in pairs


@CARRIERS
@pytest.mark.parametrize("flags", [None, UNTRUSTED, b"\x07\0\0\0"])
def test_a_relay_that_takes_the_time_away_does_not_get_past_the_check_of_the_service(
    package: str, flags: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def relay(pairs: Pairs) -> None:
        del pairs[AvId.TIMESTAMP]
        if flags is not None:
            pairs[AvId.FLAGS] = flags

    between(monkeypatch, relay)
    with pytest.raises((WrongPrincipal, MessageAltered)):
        logged_on(package, ELSEWHERE)
    with pytest.raises(WrongPrincipal):
        logged_on(package, ELSEWHERE, require_timestamp=False)
    with pytest.raises(MessageAltered):
        logged_on(package, MEANT)
    assert logged_on(package, MEANT, require_timestamp=False).done


@CARRIERS
@pytest.mark.parametrize("time", [None, bytes(8)])
def test_a_client_that_repeats_the_bits_of_the_challenge_is_refused_all_the_same(
    package: str, time: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The acceptor knows what it sent: it depends on no client's care."""

    def relay(pairs: Pairs) -> None:
        del pairs[AvId.TIMESTAMP]
        if time is not None:
            pairs[AvId.TIMESTAMP] = time

    an_old_client(monkeypatch)
    between(monkeypatch, relay)
    with pytest.raises(SaslError):
        logged_on(package, ELSEWHERE)
    # The bit counts for nothing where no MIC protects it, whatever the policy says of the time.
    if time is None:
        with pytest.raises(WrongPrincipal):
            logged_on(package, ELSEWHERE, require_timestamp=False)


@CARRIERS
def test_a_name_that_the_client_itself_does_not_trust_is_not_compared(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 3.2.5.1.2 has the bit; with a MIC it is the client's own."""
    an_old_client(monkeypatch)
    assert logged_on(package, ELSEWHERE).done


def test_a_client_without_a_mic_that_repeats_the_time_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As curl, which repeats every pair and has no MIC."""
    original = NtlmClient._target_info

    def repeating(
        client: NtlmClient, challenge: ChallengeMessage, flags: int, request: Request
    ) -> tuple[bytes, int, bool, str]:
        _, time, _, bound = original(client, challenge, flags, request)
        return challenge.target_info, time, False, bound

    monkeypatch.setattr(NtlmClient, "_target_info", repeating)
    assert logged_on("NTLM").done


def test_bindings_do_not_help_a_relay_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a MIC the proof covers the bindings, and they are those of another channel."""
    between(monkeypatch, lambda pairs: pairs.pop(AvId.TIMESTAMP))
    client = Context.initiate(
        "NTLM", target=MEANT, credentials=Password("alice", "wonderland"), bindings=ChannelBindings.tls_unique(b"one")
    )
    policy = Policy(ntlm=NtlmPolicy(require_timestamp=False))
    server = Context.accept("NTLM", authority=PEOPLE, policy=policy, bindings=ChannelBindings.tls_unique(b"two"))
    with pytest.raises(SaslError):
        server.step(client.step(server.step(client.step())))
