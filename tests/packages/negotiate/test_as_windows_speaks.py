"""What Windows and FreeRDP put into SPNEGO beside Kerberos and NTLM: NegoEx, user to user, a server's hints first."""

from __future__ import annotations

import pytest

from packages.negotiate.ends import KERBEROS, MS_KERBEROS, NTLM, client, info, server, states, status
from packages.negotiate.stand_in import StandIn
from saslsspi.packages.negotiate.messages import HINT, NegState, NegTokenInit, NegTokenResp, mech_type_list
from saslsspi.sspi import SecurityStatus
from sspi_context import Context, run

NEGOEX, USER_TO_USER = "1.3.6.1.4.1.311.2.2.30", "1.2.840.113554.1.2.2.3"
# What stands in mechToken of the two: a message of [MS-NEGOEX], and a KERB-TGT-REQUEST in the frame of RFC 2743.
NEGOEX_TOKEN = b"NEGOEXTS" + bytes(88)
TGT_REQUEST = bytes.fromhex("601506092a864886f712010202030400") + b"\x30\x06\xa0\x03\x02\x01\x05"

FIRST = pytest.mark.parametrize(
    ("foreign", "token"), [(NEGOEX, NEGOEX_TOKEN), (USER_TO_USER, TGT_REQUEST)], ids=["NegoEx", "user to user"]
)


class Announcing:
    """A client whose list has a mechanism more, before the others or behind them."""

    def __init__(self, ours: Context, foreign: str, token: bytes | None, *, first: bool) -> None:
        self.ours, self.foreign, self.token, self.first = ours, foreign, token, first
        self.complete = False

    def step(self, in_token: bytes | None = None) -> bytes | None:
        if in_token is not None:
            return self._passed(in_token)
        offer = self.ours.step()
        assert offer is not None
        read = NegTokenInit.from_bytes(offer)
        types = (self.foreign, *read.mech_types) if self.first else (*read.mech_types, self.foreign)
        self.ours._context._exchange._mech_list = mech_type_list(types)  # type: ignore[union-attr]
        if self.first:
            # Windows and FreeRDP begin the mechanism that they name first; the one that is chosen begins afterwards.
            self.ours._context._exchange._started = False  # type: ignore[union-attr]
        shown = self.token if self.first else read.token
        return NegTokenInit(types, mech_type_list(types), shown).to_bytes()

    def _passed(self, in_token: bytes) -> bytes | None:
        out = self.ours.step(in_token)
        self.complete = self.ours.complete
        return out


@FIRST
@pytest.mark.parametrize("kerberos", [True, False], ids=["Kerberos", "NTLM"])
def test_a_mechanism_that_nobody_here_knows_is_passed_over(foreign: str, token: bytes, kerberos: bool) -> None:
    make = StandIn if kerberos else lambda: None
    theirs = server(make())
    ours = Announcing(client(make()), foreign, token, first=True)
    tokens = run(ours, theirs)
    assert theirs.complete
    assert states(tokens)[0] is NegState.REQUEST_MIC
    answer = NegTokenResp.from_bytes(tokens[1])
    assert answer.supported_mech == (KERBEROS if kerberos else NTLM)
    assert answer.token is None  # the optimistic token was the other's
    assert info(theirs).mech_list_protected


@FIRST
def test_behind_the_others_it_costs_nothing(foreign: str, token: bytes) -> None:
    theirs = server(StandIn())
    tokens = run(Announcing(client(StandIn()), foreign, token, first=False), theirs)
    assert theirs.complete
    assert states(tokens) == [NegState.ACCEPT_COMPLETED]


@FIRST
def test_alone_it_is_answered_with_a_reject(foreign: str, token: bytes) -> None:
    offer = NegTokenInit((foreign,), mech_type_list((foreign,)), token).to_bytes()
    assert status(lambda: server(StandIn()).step(offer)) is SecurityStatus.SEC_E_ALGORITHM_MISMATCH


@pytest.mark.parametrize("token", [None, b"", NEGOEX_TOKEN])
def test_a_server_that_speaks_first_names_what_it_has_and_its_token_is_not_for_us(token: bytes | None) -> None:
    """SMB: the token of NegoEx stands beside the hints, or none, or an empty one."""
    types = (NEGOEX, MS_KERBEROS, KERBEROS, USER_TO_USER, NTLM)
    hints = NegTokenInit(types, mech_type_list(types), token, hint=HINT).to_bytes()
    ours, theirs = client(StandIn()), server(StandIn())
    offer = ours.step(hints)
    assert offer is not None
    assert NegTokenInit.from_bytes(offer).mech_types == (KERBEROS, MS_KERBEROS, NTLM)
    answer = theirs.step(offer)
    ours.step(answer)
    assert ours.complete
    assert theirs.complete
    assert info(ours).refused == {}
