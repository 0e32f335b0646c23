"""The security layer that is agreed on after the context: the last two messages of GSSAPI (RFC 4752 section 3).

Once the context stands, the server wraps an offer of layers with the size it takes, and the client wraps its one
choice, its own size and the authorization identity. Both are signed and never encrypted.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.accounts.authorization import authorize
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import Policy
from saslsspi.errors import InvalidParameter, InvalidToken
from saslsspi.sasl.drivers.layer_choice import accepted, chosen, established, offered
from saslsspi.sasl.drivers.layer_messages import LARGEST_SIZE, LayerChosen, LayerOffer
from saslsspi.sasl.mechanism import ClientExchange, Driver, First, ServerExchange

__all__ = ["AFTER_CONTEXT"]


def _needed(side: Side, policy: Policy) -> int:
    """Return what to ask of the context, in the flags of a side (RFC 4752 section 3.1)."""
    if side is Side.ACCEPT:
        return int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_CONFIDENTIALITY)
    # "the client MUST pass the integ_req_flag of TRUE"; mutual authentication MUST be there with a layer and costs
    # nothing without, as the server's answer has to be awaited anyway.
    flags = IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_MUTUAL_AUTH
    if policy.max_ssf > 0:
        flags |= IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_REPLAY_DETECT
    if policy.max_ssf > 1:
        flags |= IscReq.ISC_REQ_CONFIDENTIALITY
    return int(flags)


class _Signer:
    """Wraps and unwraps the two messages: signed, not encrypted, of any size."""

    __slots__ = ("_protection",)

    def __init__(self, context: SecurityContext) -> None:
        self._protection = context.layer(encrypt=False, max_send=LARGEST_SIZE, max_receive=LARGEST_SIZE)

    def wrap(self, message: bytes) -> bytes:
        return b"".join(self._protection.seal(message))

    def unwrap(self, token: bytes | None) -> bytes:
        if not token:
            raise InvalidToken("the peer owes a wrapped message about the security layer, and sent none")
        return self._protection.unseal(token)


class _Client(ClientExchange):
    """The client's side: the context's steps, then the choice."""

    __slots__ = ("_context", "_established", "_policy", "_request", "outcome")

    def __init__(self, context: SecurityContext, request: Request, policy: Policy) -> None:
        if "\0" in request.authzid:
            raise InvalidParameter("an authorization identity has no NUL", requirement="RFC4752-3.1-12")
        self.outcome: Outcome | None = None
        self._established = False
        self._context = context
        self._request = request
        self._policy = policy

    def step(self, challenge: bytes | None) -> bytes | None:
        """See ClientExchange.step."""
        if self._established:
            return self._choose(challenge)
        step = self._context.advance(challenge or b"", self._request)
        if step.event is not Event.COMPLETE:
            return step.token
        self._established = True
        # "If the last call to GSS_Init_sec_context returned an output_token, then the client responds with the
        # output_token, otherwise the client responds with no data."
        return step.token or b""

    def _choose(self, challenge: bytes | None) -> bytes:
        signer = _Signer(self._context)
        policy = self._policy
        offer = LayerOffer.from_bytes(signer.unwrap(challenge), policy.tolerances)
        choice, self.outcome = chosen(self._context, offer, policy, self._request.authzid, policy.tolerances)
        return signer.wrap(choice.to_bytes())


class _Position(enum.Enum):
    """Which message of the client is due."""

    BEGINNING = enum.auto()
    TOKEN = enum.auto()
    EMPTY = enum.auto()
    CHOICE = enum.auto()


class _Server(ServerExchange):
    """The server's side: the context's steps, the offer, and what the client makes of it."""

    __slots__ = ("_context", "_offer", "_policy", "_position", "_request", "_signer", "outcome")

    def __init__(self, context: SecurityContext, request: Request, policy: Policy) -> None:
        self.outcome: Outcome | None = None
        self._position = _Position.BEGINNING
        self._context = context
        self._request = request
        self._policy = policy

    def step(self, response: bytes | None) -> bytes | Question | None:
        """See ServerExchange.step."""
        return _STEPS[self._position](self, response)

    def resume(self, account: Account | None) -> bytes | Question | None:
        """See ServerExchange.resume."""
        return self._follow(self._context.resume(account))

    def _begin(self, response: bytes | None) -> bytes | Question | None:
        self._position = _Position.TOKEN
        if response is None:
            return b""  # RFC 4422 section 5: the client goes first, and its carrier brought no initial response
        return self._take_token(response)

    def _take_token(self, response: bytes | None) -> bytes | Question | None:
        return self._follow(self._context.begin(response or b"", self._request))

    def _follow(self, reply: StepResult | Question) -> bytes | Question | None:
        if isinstance(reply, Question):
            return reply
        if reply.event is not Event.COMPLETE:
            return reply.token
        if not reply.token:
            return self._make_offer()
        # "the server returns it to the client in a challenge and expects a reply from the client with no data"
        self._position = _Position.EMPTY
        return reply.token

    def _take_empty(self, response: bytes | None) -> bytes:
        if response:
            raise InvalidToken(
                f"an empty response was due, and the client sent {len(response)} octets", requirement="RFC4752-3.2-07"
            )
        return self._make_offer()

    def _make_offer(self) -> bytes:
        self._offer = offered(self._context, self._policy)
        self._signer = _Signer(self._context)
        self._position = _Position.CHOICE
        return self._signer.wrap(self._offer.to_bytes())

    def _take_choice(self, response: bytes | None) -> None:
        policy = self._policy
        choice = LayerChosen.from_bytes(self._signer.unwrap(response), policy.tolerances)
        authzid = self._authorize(choice.authzid)
        self.outcome = accepted(self._context, self._offer, choice, policy, authzid, policy.tolerances)
        # "The server is not expected to return any additional data with the success indicator."

    def _authorize(self, authzid: str) -> str:
        """Return the identity to act as. "The server must verify that the src_name is authorized" for it."""
        outcome = established(self._context)
        authorize(
            self._context.authority,
            outcome.account,
            outcome.username,
            authzid,
            realm=outcome.realm,
            requirement="RFC4752-3.2-11",
        )
        return authzid


_STEPS: Final[Mapping[_Position, Callable[[_Server, bytes | None], bytes | Question | None]]] = {
    _Position.BEGINNING: _Server._begin,
    _Position.TOKEN: _Server._take_token,
    _Position.EMPTY: _Server._take_empty,
    _Position.CHOICE: _Server._take_choice,
}


class _AfterContext(Driver):
    __slots__ = ()

    def flags(self, package: AnyPackage, side: Side, policy: Policy) -> tuple[int, int]:
        return 0, _needed(side, policy)

    def completed(self, request: Request, side: Side, policy: Policy) -> Request:
        return request._replace(required=0, requested=request.requested | _needed(side, policy))

    def client(
        self, context: SecurityContext, request: Request, policy: Policy, *, max_message: int = 0
    ) -> ClientExchange:
        return _Client(context, request, policy)

    def server(
        self, context: SecurityContext, request: Request, policy: Policy, *, first: First, max_message: int = 0
    ) -> ServerExchange:
        return _Server(context, request, policy)


AFTER_CONTEXT: Final = _AfterContext()
"""Two more messages follow the context, whatever its package (RFC 4752 sections 3.1 and 3.2)."""
