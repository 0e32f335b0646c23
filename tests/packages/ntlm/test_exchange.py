"""The three messages: what goes out, what comes in, and the status of everything that is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from packages.ntlm.tokens import (
    AUTHENTICATE,
    CHALLENGE,
    NEGOTIATE,
    Tap,
    answer_pairs,
    changed,
    flags_at,
    target_info,
    without_timestamp,
)
from saslsspi import (
    Account,
    ChannelBindingPolicy,
    ChannelBindings,
    MemoryAuthority,
    NtlmPolicy,
    Policy,
    SaslError,
    sspi,
)
from saslsspi.crypto.md5 import HmacMd5
from saslsspi.packages.ntlm.av_pairs import decode_pairs, encode_pairs, pair
from saslsspi.packages.ntlm.keys import nt_hash, ntowf_v2
from saslsspi.packages.ntlm.messages import Authenticate, Challenge, Negotiate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi.sspi import AscReq, AscRet, Environment, IscReq, IscRet, SecurityStatus
from sspi_context import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    DOMAIN,
    PASSWORD,
    PEOPLE,
    SEAL,
    SIGN,
    TARGET,
    USER,
    Context,
    client_credential,
    run,
    server_credential,
)

BOUND = ChannelBindings.tls_unique(b"the channel")
ELSEWHERE = ChannelBindings.tls_unique(b"another channel")


def client(flags: int = SEAL, policy: Policy | None = None, target: str = TARGET, **more: object) -> Context:
    bindings = more.pop("bindings", None)
    environment = Environment(policy=policy or Policy())
    credential = client_credential(environment=environment, **more)  # type: ignore[arg-type]
    return Context(credential, flags, target, bindings=bindings)  # type: ignore[arg-type]


def server(
    flags: int = 0,
    policy: Policy | None = None,
    *,
    authority: object = PEOPLE,
    clock: Callable[[], float] = time.time,
    principal: str | None = None,
    bindings: ChannelBindings | None = None,
) -> Context:
    environment = Environment(authority=authority, policy=policy or Policy(), clock=clock)  # type: ignore[arg-type]
    return Context(server_credential(environment=environment, principal=principal), flags, bindings=bindings)


def status(run_it: Callable[[], object]) -> SecurityStatus | sspi.NTSTATUS:
    with pytest.raises(SaslError) as caught:
        run_it()
    return caught.value.status


def tampered(tap: Tap, ours: Context | None = None, theirs: Context | None = None) -> SecurityStatus | sspi.NTSTATUS:
    return status(lambda: run(ours or client(), theirs or server(ACCEPT_SEAL), tap))


@pytest.mark.requirement("MSNLMP-2.2.2.1-03", "MSNLMP-2.2.2.1-04", "MSNLMP-2.2.2.1-07")
def test_the_challenge_names_the_server_and_the_time() -> None:
    policy = Policy(ntlm=NtlmPolicy(computer_name="box", domain_name="DOM"))
    theirs = server(policy=policy, principal="http/box.example.test", clock=lambda: 1000.0)
    tokens = run(client(target="http/box.example.test"), theirs)
    challenge = Challenge.from_bytes(tokens[CHALLENGE])
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


@pytest.mark.requirement(
    "MSNLMP-3.1.5.1.2-05", "MSNLMP-3.1.5.1.2-07", "MSNLMP-3.1.5.1.2-10", "MSNLMP-2.2.2.1-06", "MSNLMP-2.2.2.1-08"
)
def test_the_answer_repeats_the_time_and_tells_of_its_mic() -> None:
    tokens = run(client(bindings=BOUND), server(bindings=BOUND))
    stamp = decode_pairs(Challenge.from_bytes(tokens[CHALLENGE]).target_info)[7]
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
    old = run(client(), server(), changed(CHALLENGE, lambda t: without_timestamp(flags_at(20, NtlmFlag.VERSION)(t))))
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
    bare = changed(CHALLENGE, lambda token: Challenge.from_bytes(token)._replace(target_info=b"").to_bytes())
    theirs = server()
    tokens = run(client(0), theirs, bare)
    assert theirs.complete
    assert len(Authenticate.from_bytes(tokens[AUTHENTICATE]).lm_response) == 24


@pytest.mark.parametrize("password", ["wrong", "", "Wonderland"])
def test_a_wrong_password_is_denied(password: str) -> None:
    assert status(lambda: run(client(password=password), server())) is SecurityStatus.SEC_E_LOGON_DENIED


def test_an_unknown_user_is_denied_with_the_same_words() -> None:
    texts = set()
    for name, password in ((USER, "wrong"), ("mallory", PASSWORD)):
        with pytest.raises(SaslError) as caught:
            run(client(username=name, password=password), server())
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_an_account_without_a_usable_secret_is_denied() -> None:
    people = MemoryAuthority([Account(username=USER, ha1=bytes(16))])
    assert status(lambda: run(client(), server(authority=people))) is SecurityStatus.SEC_E_LOGON_DENIED


def test_an_nt_hash_suffices() -> None:
    theirs = server(authority=MemoryAuthority([Account(username=USER, nt_hash=nt_hash(PASSWORD))]))
    run(client(), theirs)
    assert theirs.complete


@pytest.mark.parametrize("name", ["ALICE", "Alice", "alice"])
def test_user_names_are_compared_without_case(name: str) -> None:
    theirs = server()
    run(client(username=name), theirs)
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextNames).username == f"{DOMAIN}\\{USER}"


def test_a_domain_keeps_its_case_in_the_hash_and_names_the_account() -> None:
    people = MemoryAuthority([Account(username=USER, domain="DOM", password=PASSWORD)])
    theirs = server(authority=people)
    run(client(domain="dom"), theirs)
    assert theirs.complete
    other = server(authority=people)
    assert status(lambda: run(client(domain="ELSEWHERE"), other)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.parametrize("name", ["alice@dom.example", "DOM\\alice"])
def test_upn_and_down_level_names(name: str) -> None:
    people = MemoryAuthority([Account(username=USER, password=PASSWORD)])
    theirs = server(authority=people)
    run(client(username=name, domain=None), theirs)
    assert theirs.complete


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-04")
def test_a_response_that_was_computed_with_an_empty_domain_is_accepted() -> None:
    theirs = server()
    ours = client(0, domain="")
    greeting = ours.step()
    assert greeting is not None
    challenge = theirs.step(greeting)
    assert challenge is not None
    message = Authenticate.from_bytes(ours.step(without_timestamp(challenge)) or b"")
    theirs.step(message._replace(domain="DOM".encode("utf-16-le")).to_bytes())
    assert theirs.complete


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-05")
@pytest.mark.parametrize(
    ("number", "change"),
    [
        (NEGOTIATE, lambda token: token[:32] + b"\x06" + token[33:]),
        (CHALLENGE, flags_at(20, put=0x00100000)),
        (AUTHENTICATE, lambda token: token[:64] + b"\x06" + token[65:]),
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


def test_a_wrong_password_comes_before_a_wrong_mic() -> None:
    altered = changed(NEGOTIATE, lambda token: token[:32] + b"\x06" + token[33:])
    assert tampered(altered, client(password="wrong")) is SecurityStatus.SEC_E_LOGON_DENIED


def test_a_mic_can_be_required() -> None:
    strict = server(policy=Policy(ntlm=NtlmPolicy(require_mic=True)))
    assert tampered(changed(CHALLENGE, without_timestamp), theirs=strict) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED
    run(client(), server(policy=Policy(ntlm=NtlmPolicy(require_mic=True))))


@pytest.mark.requirement("MSNLMP-M-3.3-02")
@pytest.mark.parametrize("away", [37 * 3600, -37 * 3600])
def test_a_time_beyond_the_lifetime_is_refused(away: int) -> None:
    late = iter([1e9, 1e9 + away])
    assert status(lambda: run(client(), server(clock=lambda: next(late)))) is SecurityStatus.SEC_E_TIME_SKEW


def test_a_time_within_the_lifetime_is_taken() -> None:
    clock = iter([1e9, 1e9 + 35 * 3600])
    theirs = server(clock=lambda: next(clock))
    run(client(), theirs)
    assert theirs.complete


def test_a_wrong_password_comes_before_a_wrong_time() -> None:
    late = iter([1e9, 2e9])
    theirs = server(clock=lambda: next(late))
    assert status(lambda: run(client(password="wrong"), theirs)) is SecurityStatus.SEC_E_LOGON_DENIED


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


def test_a_client_that_means_another_service_is_refused() -> None:
    theirs = server(principal="http/other.example http/another.example")
    assert status(lambda: run(client(), theirs)) is SecurityStatus.SEC_E_WRONG_PRINCIPAL
    right = server(principal="http/other.example HTTP/Host.Example")
    run(client(target="http/host.example:8080/instance"), right)
    assert sspi.query_context_attributes(right, sspi.SecPkgContextTarget).target_name.startswith("http/host.example")


def test_an_unverified_target_name_counts_for_nothing() -> None:
    theirs = server(principal="http/other.example")
    tokens = run(client(SEAL | int(IscReq.ISC_REQ_UNVERIFIED_TARGET_NAME)), theirs)
    assert answer_pairs(tokens[AUTHENTICATE])[6] == b"\x06\0\0\0"
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextTarget).target_name == ""


@pytest.mark.requirement("MSNLMP-3.2.5.1.2-03", "MSNLMP-3.4-01")
def test_nobody_is_let_in_only_where_the_policy_says_so() -> None:
    ours = Context(client_credential(username="", password="", domain=""), 0, TARGET)
    assert status(lambda: run(ours, server())) is SecurityStatus.SEC_E_LOGON_DENIED
    for acceptor in (server(policy=Policy(allow_anonymous=True)), server(int(AscReq.ASC_REQ_ALLOW_NULL_SESSION))):
        ours = Context(client_credential(username="", password="", domain=""), SEAL, TARGET)
        run(ours, acceptor)
        assert acceptor.complete
        assert acceptor.attributes & ~AscRet.ASC_RET_ALLOCATED_MEMORY == AscRet.ASC_RET_NULL_SESSION
        assert ours.attributes & ~IscRet.ISC_RET_ALLOCATED_MEMORY == IscRet.ISC_RET_NULL_SESSION
        assert status(lambda ours=ours: ours.wrap(b"data")) is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED  # type: ignore[misc]
        assert sspi.query_context_attributes(acceptor, sspi.SecPkgContextNames).username == ""


def test_nobody_cannot_be_required_to_sign() -> None:
    ours = Context(client_credential(username="", password="", domain=""), SEAL, TARGET)
    theirs = server(ACCEPT_SIGN, Policy(allow_anonymous=True))
    assert status(lambda: run(ours, theirs)) is SecurityStatus.SEC_E_SECURITY_QOS_FAILED


def test_a_named_user_can_ask_for_a_null_session() -> None:
    theirs = server(policy=Policy(allow_anonymous=True))
    run(client(int(IscReq.ISC_REQ_NULL_SESSION)), theirs)
    assert theirs.attributes & AscRet.ASC_RET_NULL_SESSION


@pytest.mark.requirement("MSNLMP-M-3.3-04")
def test_ntlm_v1_and_lm_are_refused_unless_named() -> None:
    for responses in (sspi.NtlmResponses.V1, sspi.NtlmResponses.V1 | sspi.NtlmResponses.LM):
        old = Policy(ntlm=NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=40))
        acceptor = server(policy=Policy(ntlm=NtlmPolicy(extended_session_security=False, min_key_bits=40)))
        assert status(lambda o=old, a=acceptor: run(client(policy=o), a)) is SecurityStatus.SEC_E_LOGON_DENIED  # type: ignore[misc]
        acceptor = server(policy=old)
        run(client(policy=old), acceptor)
        assert acceptor.complete
        wrong, again = client(policy=old, password="wrong"), server(policy=old)
        assert status(lambda w=wrong, a=again: run(w, a)) is SecurityStatus.SEC_E_LOGON_DENIED  # type: ignore[misc]
    only_old = server(policy=Policy(ntlm=NtlmPolicy(responses=sspi.NtlmResponses.V1)))
    assert status(lambda: run(client(), only_old)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("MSNLMP-M-3.3-03")
def test_ntlm_v1_sends_no_lm_response_unless_the_policy_names_it() -> None:
    def answer(responses: sspi.NtlmResponses) -> Authenticate:
        policy = Policy(ntlm=NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=40))
        return Authenticate.from_bytes(run(client(policy=policy), server(policy=policy))[AUTHENTICATE])

    plain = answer(sspi.NtlmResponses.V1)
    assert plain.lm_response == plain.nt_response
    both = answer(sspi.NtlmResponses.V1 | sspi.NtlmResponses.LM)
    assert both.lm_response != both.nt_response


def test_ntlm_v1_with_the_clients_challenge() -> None:
    policy = Policy(ntlm=NtlmPolicy(responses=sspi.NtlmResponses.V1))
    ours, theirs = client(policy=policy), server(policy=policy)
    tokens = run(ours, theirs)
    assert Authenticate.from_bytes(tokens[AUTHENTICATE]).lm_response[8:] == bytes(16)
    assert theirs.unwrap(ours.wrap(b"hello")) == b"hello"


def test_names_may_travel_in_the_oem_character_set() -> None:
    old = changed(NEGOTIATE, flags_at(12, clear=NtlmFlag.UNICODE))
    theirs = server()
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
    read = Challenge.from_bytes(challenge)
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

    ours, theirs = client(0), server()
    tokens = run(ours, theirs, changed(CHALLENGE, lambda t: without_timestamp(target_info(shuffle)(t))))
    assert theirs.complete
    assert answer_pairs(tokens[AUTHENTICATE])[200] == b"odd"


@pytest.mark.requirement("MSNLMP-2.2.2.1-01", "MSNLMP-2.2.2.1-02")
@pytest.mark.parametrize(
    "info",
    [
        pair(1, b"A\0") + pair(2, b"B\0"),  # no end
        pair(1, b"A\0") + b"\0\0\x04\0" + bytes(4),  # an end with a value
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
    bad = changed(CHALLENGE, lambda token: Challenge.from_bytes(token)._replace(target_info=info).to_bytes())
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


def test_a_credential_without_a_password_is_no_credential() -> None:
    assert status(lambda: run(client(password=None), server())) is SecurityStatus.SEC_E_NO_CREDENTIALS
    assert status(lambda: client_credential(username=None)) is SecurityStatus.SEC_E_NO_CREDENTIALS


def test_the_nt_hash_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from saslsspi.packages.ntlm import credential

    made = []

    def counting(password: str) -> bytes:
        made.append(password)
        return nt_hash(password)

    monkeypatch.setattr(credential, "nt_hash", counting)
    outbound, inbound = client_credential(), server_credential()
    for _ in range(3):
        run(Context(outbound, SEAL, TARGET), Context(inbound, ACCEPT_SEAL))
    assert made == [PASSWORD, PASSWORD]


def test_secrets_stay_out_of_representations() -> None:
    ours, theirs = client(), server()
    run(ours, theirs)
    credential = client_credential()
    shown = repr(credential) + repr(credential._credential) + repr(ours._context) + repr(theirs._context.outcome)  # type: ignore[union-attr]
    assert PASSWORD not in shown
    assert nt_hash(PASSWORD).hex() not in shown
