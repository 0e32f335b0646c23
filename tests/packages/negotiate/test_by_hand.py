"""What RFC 4178 asks of one side, tried against messages that are written for it alone."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from packages.negotiate.ends import KERBEROS, MS_KERBEROS, NTLM, client, info, reply_changed, server, states, status
from packages.negotiate.stand_in import StandIn
from saslsspi import sspi
from saslsspi.der import octet_string, oid
from saslsspi.errors import NoAuthenticatingAuthority
from saslsspi.packages.negotiate.messages import HINT, NegState, NegTokenInit, NegTokenResp, mech_type_list
from saslsspi.sspi import AscReq, SecurityStatus
from sspi_context import Context, run, server_credential


def mic_of(octets: bytes) -> bytes:
    return hmac.digest(b"key", octets, hashlib.sha256)[:16]  # the stand-in's


@pytest.mark.requirement("RFC4178-5-05", "RFC4178-5-04")
def test_the_mic_is_over_the_lists_own_octets_however_they_are_encoded() -> None:
    inner = oid(KERBEROS) + oid(NTLM)
    odd = b"\x30\x82" + len(inner).to_bytes(2) + inner  # BER's long form
    offer = NegTokenInit((KERBEROS, NTLM), odd, b"stand-in 0")
    reply = NegTokenResp.from_bytes(server(StandIn(2), packages="ntlm,kerberos").step(offer.to_bytes()) or b"")
    assert reply.mic == mic_of(odd)
    assert reply.mic != mic_of(mech_type_list((KERBEROS, NTLM)))


@pytest.mark.requirement("RFC4178-3.1-05")
@pytest.mark.parametrize("offered", [("1.2.3.4.5", NTLM, KERBEROS), ("1.2.3.4.5", KERBEROS, NTLM)])
@pytest.mark.parametrize("packages", ["kerberos,ntlm", "ntlm,kerberos"])
def test_the_clients_order_decides_among_what_the_server_has(offered: tuple[str, ...], packages: str) -> None:
    offer = NegTokenInit(offered, mech_type_list(offered))
    reply = NegTokenResp.from_bytes(server(StandIn(), packages=packages).step(offer.to_bytes()) or b"")
    assert reply.supported_mech == offered[1]


@pytest.mark.requirement("RFC4178-4.2.2-05")
def test_a_server_that_says_it_is_done_before_its_mechanism_is_has_not_proved_itself() -> None:
    early = reply_changed(1, lambda reply: reply._replace(state=NegState.ACCEPT_COMPLETED))
    refused = status(lambda: run(client(StandIn(5)), server(StandIn(5)), early))
    assert refused is SecurityStatus.SEC_E_MUTUAL_AUTH_FAILED


@pytest.mark.requirement("RFC4178-4.2.2-07")
def test_a_later_reply_without_a_state_goes_on_where_the_mechanism_does() -> None:
    ours, theirs = client(StandIn(6)), server(StandIn(6))
    run(ours, theirs, reply_changed(3, lambda reply: reply._replace(state=None)))
    assert ours.complete
    assert theirs.complete


@pytest.mark.requirement("RFC4178-5-01")
def test_a_second_choice_without_integrity_makes_no_mic_and_completes() -> None:
    ours, theirs = client(StandIn(), 0, packages="kerberos,ntlm"), server(None)
    tokens = run(ours, theirs)
    assert ours.complete
    assert theirs.complete
    assert info(ours).package_info.name == "NTLM"
    assert all(NegTokenResp.from_bytes(token).mic is None for token in tokens[1:])


@pytest.mark.requirement("RFC4178-5-03", "RFC4178-5-10")
def test_a_client_whose_second_choice_is_taken_wants_the_mic_whatever_the_server_says() -> None:
    def quiet(at: int, token: bytes) -> bytes:
        if not at:
            return token
        reply = NegTokenResp.from_bytes(token)
        state = NegState.ACCEPT_INCOMPLETE if reply.state is NegState.REQUEST_MIC else reply.state
        return reply._replace(state=state, mic=None).to_bytes()

    ours = client(StandIn(2), packages="ntlm,kerberos")
    theirs = server(StandIn(2), packages="kerberos")
    first = quiet(1, theirs.step(ours.step()) or b"")
    ours.step(first)  # for a mechanism that it has not begun
    done = NegTokenResp(NegState.ACCEPT_COMPLETED, None, b"stand-in 1").to_bytes()
    assert status(lambda: ours.step(done)) is SecurityStatus.SEC_E_INVALID_TOKEN
    assert not ours.complete


@pytest.mark.requirement("RFC4178-5-15")
def test_a_clients_missing_mic_is_refused_by_the_server_itself() -> None:
    ours = client(StandIn(3), packages="kerberos,ntlm")
    theirs = server(StandIn(3), packages="ntlm,kerberos")
    last = ours.step(theirs.step(ours.step())) or b""
    assert NegTokenResp.from_bytes(last).mic is not None
    bare = NegTokenResp.from_bytes(last)._replace(mic=None).to_bytes()
    assert status(lambda: theirs.step(bare)) is SecurityStatus.SEC_E_INVALID_TOKEN
    assert not theirs.complete


@pytest.mark.requirement("RFC4178-4.2.2-02")
@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_server_asks_for_the_mic_in_its_first_reply_alone(count: int) -> None:
    tokens = run(client(StandIn(count), packages="kerberos,ntlm"), server(StandIn(count), packages="ntlm,kerberos"))
    first, *later = states(tokens)
    assert first is NegState.REQUEST_MIC
    assert NegState.REQUEST_MIC not in later


@pytest.mark.requirement("MSSPNG-2.2.1-01")
def test_beside_hints_the_mic_is_the_fifth_field() -> None:
    token = NegTokenInit((NTLM,), mech_type_list((NTLM,)), None, b"mic", HINT).to_bytes()
    assert token.endswith(b"\xa4\x05" + octet_string(b"mic"))


@pytest.mark.requirement("MSSPNG-3.2.5-03", "MSSPNG-3.1.5.9-01")
@pytest.mark.parametrize("missing", [1, 2, 20])
def test_a_token_is_whole_with_its_last_octet_and_not_before(missing: int) -> None:
    token = client().step() or b""
    theirs = server()
    assert not theirs.step(token[:-40])
    assert not theirs.step(token[-40:-missing])
    assert NegTokenResp.from_bytes(theirs.step(token[-missing:]) or b"").supported_mech == NTLM


@pytest.mark.requirement("MSSPNG-3.1.5.2-01")
def test_both_identifiers_of_kerberos_are_offered_and_windows_own_behind_it() -> None:
    offer = NegTokenInit.from_bytes(client(StandIn(), packages="kerberos").step() or b"")
    assert offer.mech_types == (KERBEROS, MS_KERBEROS)


@pytest.mark.requirement("RFC4178-3.1-06")
def test_a_client_is_told_where_the_authority_could_not_be_asked() -> None:
    class Away:
        def lookup(self, question: sspi.Question) -> None:
            raise OSError("no route")

    environment = sspi.Environment(authority=Away())
    theirs = Context(server_credential("Negotiate", environment=environment), int(AscReq.ASC_REQ_EXTENDED_ERROR))
    ours = client()
    with pytest.raises(NoAuthenticatingAuthority) as caught:
        run(ours, theirs)
    assert status(lambda: ours.step(caught.value.token)) is SecurityStatus.SEC_E_LOGON_DENIED
