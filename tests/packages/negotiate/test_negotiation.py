"""Choice and fallback: both ends of SPNEGO in memory, with NTLM and a stand-in for Kerberos."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packages.negotiate.ends import (
    KERBEROS,
    MS_KERBEROS,
    NTLM,
    client,
    info,
    offer_changed,
    reply_changed,
    server,
    status,
)
from packages.negotiate.stand_in import StandIn
from saslsspi import NegotiatePolicy, SaslError, der, sspi
from saslsspi.packages.negotiate.messages import SPNEGO, NegState, NegTokenInit, NegTokenResp, mech_type_list
from saslsspi.sspi import (
    AscReq,
    IscReq,
    NegotiationState,
    SecurityStatus,
)
from sspi_context import (
    ACCEPT_SEAL,
    PASSWORD,
    SEAL,
    TARGET,
    USER,
    Context,
    client_credential,
    run,
)


@pytest.mark.requirement("RFC4178-3.1-01", "RFC4178-3.1-02", "RFC4178-3.1-08", "RFC4178-4.2.1-02", "RFC4178-3.2-06")
def test_ntlm_alone_takes_four_tokens() -> None:
    ours, theirs = client(), server()
    tokens = run(ours, theirs)
    offer = NegTokenInit.from_bytes(tokens[0])
    assert offer.mech_types == (NTLM,)
    assert SPNEGO not in offer.mech_types
    assert offer.token is not None
    assert offer.token.startswith(b"NTLMSSP\0\1")
    first = NegTokenResp.from_bytes(tokens[1])
    assert first.token is not None
    assert first.token.startswith(b"NTLMSSP\0\2")
    assert ours.complete
    assert theirs.complete
    assert theirs.unwrap(ours.wrap(b"hello")) == b"hello"


@pytest.mark.requirement("RFC4178-3.1-03", "RFC4178-3.2-08")
@pytest.mark.parametrize(
    ("packages", "offered"),
    [
        ("", (KERBEROS, MS_KERBEROS, NTLM)),
        ("ntlm,kerberos", (NTLM, KERBEROS, MS_KERBEROS)),
        ("ntlm:kerberos", (NTLM, KERBEROS, MS_KERBEROS)),
        ("Kerberos, !NTLM", (KERBEROS, MS_KERBEROS)),
        ("!ntlm", (KERBEROS, MS_KERBEROS)),
        ("!kerberos", (NTLM,)),
        ("ntlm", (NTLM,)),
        ("kerberos,ntlm,!pku2u", (KERBEROS, MS_KERBEROS, NTLM)),
    ],
)
def test_the_package_list_decides_what_is_offered(packages: str, offered: tuple[str, ...]) -> None:
    token = client(StandIn(), packages=packages).step()
    assert token is not None
    assert NegTokenInit.from_bytes(token).mech_types == offered


@pytest.mark.parametrize(
    ("packages", "kerberos", "refused"),
    [
        ("!ntlm", StandIn(), {"NTLM": "the package list excludes it"}),
        ("kerberos", StandIn(), {"NTLM": "the package list does not name it"}),
        ("", StandIn(has_credentials=False), {"Kerberos": "there is no ticket"}),
        ("", None, {"Kerberos": "install the extra kerberos"}),
        ("ntlm,!pku2u", None, {"pku2u": "Negotiate knows no such package"}),
    ],
)
def test_each_package_that_is_refused_has_a_reason(
    packages: str, kerberos: StandIn | None, refused: dict[str, str]
) -> None:
    context = client(kerberos, packages=packages)
    context.step()
    assert refused.items() <= dict(info(context).refused).items()


def test_nothing_left_to_negotiate_is_no_credential_and_says_why() -> None:
    with pytest.raises(SaslError) as caught:
        client(None, packages="!ntlm")
    assert caught.value.status is SecurityStatus.SEC_E_NO_CREDENTIALS
    assert "install the extra kerberos" in str(caught.value)
    assert "excludes it" in str(caught.value)
    assert status(lambda: client(packages="pku2u")) is SecurityStatus.SEC_E_INVALID_PARAMETER


def test_the_policy_names_packages_where_the_credential_does_not() -> None:
    context = client(StandIn(), policy=NegotiatePolicy(packages="ntlm"))
    token = context.step()
    assert token is not None
    assert NegTokenInit.from_bytes(token).mech_types == (NTLM,)
    token = client(StandIn(), packages="kerberos", policy=NegotiatePolicy(packages="ntlm")).step()
    assert token is not None
    assert NegTokenInit.from_bytes(token).mech_types == (KERBEROS, MS_KERBEROS)


def test_a_package_that_cannot_begin_falls_back_or_not_as_the_policy_says() -> None:
    context = client(StandIn(cannot_begin=True))
    token = context.step()
    assert token is not None
    assert NegTokenInit.from_bytes(token).mech_types == (NTLM,)
    assert info(context).refused["Kerberos"] == "no KDC can be reached"
    strict = client(StandIn(cannot_begin=True), policy=NegotiatePolicy(fallback=False))
    assert status(strict.step) is SecurityStatus.SEC_E_NO_AUTHENTICATING_AUTHORITY


@pytest.mark.requirement("RFC4178-3.1-05", "RFC4178-3.2-07", "RFC4178-5-03", "RFC4178-6-02")
def test_the_first_usable_mechanism_of_the_list_is_chosen() -> None:
    ours, theirs = client(StandIn(), packages="kerberos,ntlm"), server(None)
    tokens = run(ours, theirs)
    first = NegTokenResp.from_bytes(tokens[1])
    # The optimistic token was for another mechanism: discarded, and the client begins anew.
    assert (first.state, first.supported_mech, first.token) == (NegState.REQUEST_MIC, NTLM, None)
    assert ours.complete
    assert theirs.complete
    assert info(ours).package_info.name == "NTLM"
    assert info(ours).refused["Kerberos"] == "the server prefers NTLM"
    unknown = offer_changed(
        lambda offer: offer._replace(mech_list=mech_type_list(("1.2.3.4.5", NTLM)), mech_types=("1.2.3.4.5", NTLM))
    )
    answer = run_to_first_reply(client(), server(), unknown)
    assert answer.supported_mech == NTLM


def run_to_first_reply(ours: Context, theirs: Context, tap: Callable[[int, bytes], bytes]) -> NegTokenResp:
    token = theirs.step(tap(0, ours.step() or b""))
    assert token is not None
    return NegTokenResp.from_bytes(token)


@pytest.mark.requirement("RFC4178-3.2-01", "RFC4178-3.1-06")
def test_no_common_mechanism_is_a_mismatch_with_a_reject_where_errors_are_told() -> None:
    ours = client(StandIn(), packages="kerberos")
    token = ours.step() or b""
    with pytest.raises(SaslError) as caught:
        server(None).step(token)
    assert caught.value.status is SecurityStatus.SEC_E_ALGORITHM_MISMATCH
    assert caught.value.token is None
    with pytest.raises(SaslError) as caught:
        server(None, int(AscReq.ASC_REQ_EXTENDED_ERROR)).step(token)
    assert caught.value.token is not None
    assert status(lambda: ours.step(caught.value.token)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("MSSPNG-3.1.5.2-01", "MSSPNG-3.2.5-02")
@pytest.mark.parametrize("mech", [KERBEROS, MS_KERBEROS])
def test_both_identifiers_of_kerberos_are_taken_and_repeated(mech: str) -> None:
    theirs = server(StandIn())
    offer = NegTokenInit((mech, NTLM), mech_type_list((mech, NTLM)), b"stand-in 0")
    token = theirs.step(offer.to_bytes())
    assert token is not None
    reply = NegTokenResp.from_bytes(token)
    assert (reply.supported_mech, reply.token) == (mech, b"stand-in 1")


@pytest.mark.requirement("MSSPNG-3.1.5.2-01")
@pytest.mark.parametrize("mech", [KERBEROS, MS_KERBEROS])
def test_a_server_may_answer_with_either_identifier_of_kerberos(mech: str) -> None:
    ours, theirs = client(StandIn()), server(StandIn())
    run(ours, theirs, reply_changed(1, lambda reply: reply._replace(supported_mech=mech)))
    assert ours.complete


@pytest.mark.requirement("RFC4178-4.2.2-04")
def test_a_mechanism_that_was_not_offered_is_refused() -> None:
    other = reply_changed(1, lambda reply: reply._replace(supported_mech="1.2.3.4"))
    assert status(lambda: run(client(), server(), other)) is SecurityStatus.SEC_E_INVALID_TOKEN
    kerberos = reply_changed(1, lambda reply: reply._replace(supported_mech=KERBEROS))
    assert status(lambda: run(client(), server(), kerberos)) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.requirement("MSSPNG-3.3.5-01", "MSSPNG-3.3.5-02")
def test_a_later_supported_mech_is_ignored() -> None:
    ours = client()
    run(ours, server(), reply_changed(3, lambda reply: reply._replace(supported_mech=KERBEROS)))
    assert info(ours).package_info.name == "NTLM"


@pytest.mark.requirement("RFC4178-4.2.2-03", "RFC4178-4.2.2-01", "RFC4178-4.2-02")
def test_later_replies_say_no_mechanism_and_are_not_framed() -> None:
    tokens = run(client(), server())
    replies = [NegTokenResp.from_bytes(token) for token in tokens[1:]]
    assert [reply.supported_mech for reply in replies] == [NTLM, None, None]
    assert replies[0].state is not None
    assert {token[0] for token in tokens[1:]} == {0xA1}


@pytest.mark.requirement("RFC4178-4.2.2-07", "RFC4178-4.2.2-05")
@pytest.mark.parametrize("number", [1, 2])
def test_a_state_that_was_left_out_is_inferred(number: int) -> None:
    theirs = server()
    run(client(), theirs, reply_changed(number, lambda reply: reply._replace(state=None)))
    assert theirs.complete


@pytest.mark.requirement("RFC4178-4.2.2-06")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_reject_ends_the_negotiation(number: int) -> None:
    rejected = reply_changed(number, lambda reply: NegTokenResp(NegState.REJECT))
    assert status(lambda: run(client(), server(), rejected)) is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("RFC4178-4.2.2-05")
def test_a_server_that_finishes_too_early_is_not_believed() -> None:
    early = reply_changed(1, lambda reply: reply._replace(state=NegState.ACCEPT_COMPLETED))
    refused = status(lambda: run(client(StandIn(3)), server(StandIn(3)), early))
    assert refused is SecurityStatus.SEC_E_INVALID_TOKEN
    bare = reply_changed(1, lambda reply: NegTokenResp(NegState.ACCEPT_COMPLETED))
    assert status(lambda: run(client(), server(), bare)) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_tokens_for_a_mechanism_that_was_not_begun_or_is_complete_are_refused() -> None:
    ours = client(StandIn(), packages="kerberos,ntlm")
    foreign = reply_changed(1, lambda reply: reply._replace(supported_mech=NTLM, token=b"NTLMSSP\0"))
    assert status(lambda: run(ours, server(StandIn()), foreign)) is SecurityStatus.SEC_E_INVALID_TOKEN
    more = reply_changed(3, lambda reply: reply._replace(token=b"more"))
    assert status(lambda: run(client(), server(), more)) is SecurityStatus.SEC_E_INVALID_TOKEN
    none = reply_changed(2, lambda reply: reply._replace(token=None))
    assert status(lambda: run(client(), server(), none)) is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.requirement("RFC4178-3.1-09")
def test_the_optimistic_token_may_be_left_out() -> None:
    for packages in ("ntlm", "kerberos,ntlm"):
        ours = client(StandIn(), packages=packages, policy=NegotiatePolicy(optimistic=False))
        theirs = server(StandIn())
        tokens = run(ours, theirs)
        assert NegTokenInit.from_bytes(tokens[0]).token is None
        assert ours.complete
        assert theirs.complete


@pytest.mark.requirement("RFC4178-3.1-07")
def test_no_messages_before_the_negotiation_is_complete() -> None:
    ours, theirs = client(), server()
    challenge = theirs.step(ours.step())
    ours.step(challenge)
    # NTLM is complete on the client, the negotiation is not.
    assert status(lambda: ours.wrap(b"early")) is SecurityStatus.SEC_E_INVALID_HANDLE
    assert status(lambda: sspi.query_context_attributes(ours, sspi.SecPkgContextSizes)) is (
        SecurityStatus.SEC_E_INVALID_HANDLE
    )


@pytest.mark.requirement("MSSPNG-3.3.3-01")
def test_mutual_authentication_is_asked_of_the_chosen_package() -> None:
    kerberos = StandIn()
    client(kerberos, 0).step()
    assert kerberos.requests[0].requested & IscReq.ISC_REQ_MUTUAL_AUTH


@pytest.mark.requirement(
    "MSSPNG-2.2.1-02", "MSSPNG-2.2.1-03", "MSSPNG-2.2.1-04", "MSSPNG-3.2.5.2-01", "MSSPNG-3.2.5.2-02",
    "MSSPNG-3.3.5.2-01",
)  # fmt: skip
def test_a_server_may_speak_first_with_hints() -> None:
    theirs, ours = server(None), client(StandIn(), packages="kerberos,ntlm")
    hints = theirs.step(None)
    assert hints is not None
    read = NegTokenInit.from_bytes(hints)
    assert (read.mech_types, read.hint) == ((NTLM,), b"not_defined_in_RFC4178@please_ignore")
    fields = der.Reader(hints).enter(0x60)
    fields.oid()
    inner = fields.enter(0xA0).enter()
    assert inner.contents(0xA0)
    assert inner.peek() == 0xA3  # no reqFlags, no mechToken
    hint = inner.enter(0xA3).enter()
    assert hint.contents(0xA0)[:2] == b"\x1b\x24"
    hint.end()  # a name, and nothing behind it
    token = ours.step(hints)
    assert token is not None
    assert NegTokenInit.from_bytes(token).mech_types == (NTLM,)
    assert info(ours).refused["Kerberos"] == "the server does not offer it"
    while not theirs.complete:
        answer = theirs.step(token)
        token = ours.step(answer)
    assert ours.complete


@pytest.mark.requirement("MSSPNG-3.2.5-01")
def test_a_clients_hints_are_ignored() -> None:
    offer = NegTokenInit((NTLM,), mech_type_list((NTLM,)), b"NTLMSSP\0\1\0\0\0\x07\x82\x08\xa2", hint=b"somebody@else")
    token = server().step(offer.to_bytes())
    assert token is not None
    assert NegTokenResp.from_bytes(token).supported_mech == NTLM


@pytest.mark.parametrize("flags", [0, SEAL])
def test_raw_ntlm_is_taken_without_spnego(flags: int) -> None:
    ours, theirs = Context(client_credential("NTLM"), flags, TARGET), server(StandIn())
    tokens = run(ours, theirs)
    assert all(token.startswith(b"NTLMSSP\0") for token in tokens)
    assert theirs.complete
    assert info(theirs).package_info.name == "NTLM"
    assert not info(theirs).mech_list_protected
    if flags:
        assert ours.wrap(b"hello")[12:16] == bytes(4)


def test_raw_kerberos_is_taken_without_spnego() -> None:
    token = der.element(0x60, der.oid(KERBEROS), b"\x01\x00rest")
    assert status(lambda: server(StandIn()).step(token)) is SecurityStatus.SEC_E_INVALID_TOKEN  # the stand-in's own
    assert status(lambda: server(None).step(token)) is SecurityStatus.SEC_E_ALGORITHM_MISMATCH


def test_a_package_that_the_list_excludes_is_not_taken_raw() -> None:
    theirs = server(StandIn(), packages="!ntlm")
    refused = status(lambda: run(Context(client_credential("NTLM"), 0, TARGET), theirs))
    assert refused is SecurityStatus.SEC_E_ALGORITHM_MISMATCH


def test_a_wrong_password_is_denied() -> None:
    assert status(lambda: run(client(password="wrong"), server())) is SecurityStatus.SEC_E_LOGON_DENIED


def test_the_choice_is_an_attribute_from_the_beginning() -> None:
    ours, theirs = client(StandIn(2)), server(StandIn(2))
    token = ours.step()
    assert info(ours).state is NegotiationState.OPTIMISTIC
    answer = theirs.step(token)
    ours.step(answer)
    assert info(ours).state is info(theirs).state is NegotiationState.COMPLETE


def test_other_attributes_are_those_of_the_chosen_package() -> None:
    ours, theirs = client(), server(flags=ACCEPT_SEAL)
    run(ours, theirs)
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextNames).username == USER
    assert sspi.query_context_attributes(ours, sspi.SecPkgContextSizes).max_token == 2888  # as of NTLM alone
    assert sspi.query_context_attributes(ours, sspi.SecPkgContextPackageInfo).name == "Negotiate"
    assert sspi.query_context_attributes(ours, sspi.SecPkgContextSessionKey).session_key
    audit = sspi.query_context_attributes(theirs, sspi.SecPkgContextChannelBindings).result
    assert audit & sspi.ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_ABSENT
    assert status(lambda: sspi.query_context_attributes(ours, sspi.SecPkgContextStreamSizes)) is (
        SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION
    )


def test_secrets_stay_out_of_representations() -> None:
    credential = client_credential("Negotiate", package_list="ntlm")
    assert PASSWORD not in repr(credential) + repr(credential._credential)
