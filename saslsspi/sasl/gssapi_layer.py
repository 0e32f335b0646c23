"""The security layer that is agreed on after the context: the last two messages of GSSAPI (RFC 4752 section 3).

Once the context stands, the server wraps an offer of layers with the size it takes, and the client wraps its one
choice, its own size and the authorization identity. Both are signed and never encrypted. A mechanism whose
description says LayerChoice.AFTER_CONTEXT gets these exchanges from contextual.py, whatever its package.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.policy import Policy, Tolerances
from saslsspi.engine.protection import Protection
from saslsspi.errors import InvalidParameter, InvalidToken, NoImpersonation, QopNotSupported
from saslsspi.sasl.gssapi_messages import (
    LARGEST_SIZE,
    NO_LAYER,
    QOP_OF_LAYER,
    LayerChosen,
    LayerOffer,
    SecurityLayer,
)
from saslsspi.sasl.mechanism import ClientExchange, ServerExchange

__all__ = ["LayerNegotiatingClient", "LayerNegotiatingServer", "context_flags"]


_STRONGEST_FIRST: Final = (SecurityLayer.CONFIDENTIALITY, SecurityLayer.INTEGRITY, SecurityLayer.NONE)


def context_flags(side: Side, policy: Policy) -> int:
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


def permitted_layers(context: SecurityContext, policy: Policy) -> SecurityLayer:
    """Return the layers that the context makes possible and the policy permits.

    Raises:
        QopNotSupported: there is none.
    """
    ssf = _outcome(context).ssf
    layers = SecurityLayer(0)
    if policy.min_ssf == 0:
        layers |= SecurityLayer.NONE
    # "if the integ_avail flag is not set in the context, then no security layer can be offered or accepted"
    if ssf >= 1 and policy.min_ssf <= 1 <= policy.max_ssf:
        layers |= SecurityLayer.INTEGRITY
    if ssf > 1 and policy.min_ssf <= ssf <= policy.max_ssf:
        layers |= SecurityLayer.CONFIDENTIALITY
    if not layers:
        raise QopNotSupported(
            f"the context's strength is {ssf}, and the policy permits {policy.min_ssf} to {policy.max_ssf}"
        )
    return layers


def _outcome(context: SecurityContext) -> Outcome:
    assert context.outcome is not None, "the context is established"
    return context.outcome


def negotiated(
    context: SecurityContext, layer: SecurityLayer, max_send: int, max_receive: int, authzid: str
) -> Outcome:
    """Return the context's outcome with the layer that was agreed on."""
    before = _outcome(context)
    protection: Protection | None = None
    encrypt = layer is SecurityLayer.CONFIDENTIALITY
    if layer is not SecurityLayer.NONE:
        protection = context.layer(encrypt=encrypt, max_send=max_send, max_receive=max_receive)
    return before._replace(
        protection=protection,
        qop=QOP_OF_LAYER[layer],
        cipher=before.cipher if encrypt else "",
        ssf=before.ssf if encrypt else int(layer is SecurityLayer.INTEGRITY),
        max_send=max_send,
        max_receive=max_receive,
        authzid=authzid,
    )


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


class LayerNegotiatingClient(ClientExchange):
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
        tolerances = self._policy.tolerances
        offer = LayerOffer.from_bytes(signer.unwrap(challenge), tolerances)
        layers = offer.layers & permitted_layers(self._context, self._policy)
        self.outcome, size = self._first_usable(layers, offer)
        layer = next(layer for layer, qop in QOP_OF_LAYER.items() if qop == self.outcome.qop)
        if not int(offer.layers) & ~NO_LAYER and offer.max_size:
            self.outcome = _tolerated(self.outcome)
        return signer.wrap(LayerChosen(layer, size, self._request.authzid).to_bytes())

    def _first_usable(self, layers: SecurityLayer, offer: LayerOffer) -> tuple[Outcome, int]:
        """Return the outcome with the strongest layer whose size leaves room for a message, and our own size."""
        refused: QopNotSupported | None = None
        for layer in _STRONGEST_FIRST:
            if not layers & layer:
                continue
            # "the maximum size output_message the client is able to receive (which MUST be 0 if the client does not
            # support any security layer)"
            size = 0 if layer is SecurityLayer.NONE else self._policy.max_buffer
            peer = 0 if layer is SecurityLayer.NONE else offer.max_size
            try:
                return negotiated(self._context, layer, peer, size, self._request.authzid), size
            except QopNotSupported as error:
                refused = error
        if refused is not None:
            raise refused
        raise QopNotSupported(
            f"the server offers the layers {int(offer.layers):#04x}, and context and policy permit "
            f"{int(permitted_layers(self._context, self._policy)):#04x} (1 none, 2 integrity, 4 confidentiality)"
        )


class _Position(enum.Enum):
    """Which message of the client is due."""

    BEGINNING = enum.auto()
    TOKEN = enum.auto()
    EMPTY = enum.auto()
    CHOICE = enum.auto()


class LayerNegotiatingServer(ServerExchange):
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
        layers = permitted_layers(self._context, self._policy)
        # "(which MUST be 0 if the server does not support any security layer)"
        size = 0 if layers == SecurityLayer.NONE else self._policy.max_buffer
        self._offer = LayerOffer(layers, size)
        self._signer = _Signer(self._context)
        self._position = _Position.CHOICE
        return self._signer.wrap(self._offer.to_bytes())

    def _take_choice(self, response: bytes | None) -> None:
        chosen = LayerChosen.from_bytes(self._signer.unwrap(response), self._policy.tolerances)
        # "The server verifies that the client has selected a security layer that was offered".
        if not chosen.layer & self._offer.layers:
            raise InvalidToken(
                f"the client chose {chosen.layer.name}, which was not offered", requirement="RFC4752-3.2-09"
            )
        layered = chosen.layer is not SecurityLayer.NONE
        authzid = self._authorize(chosen.authzid)
        outcome = negotiated(
            self._context,
            chosen.layer,
            chosen.max_size if layered else 0,
            self._offer.max_size if layered else 0,
            authzid,
        )
        self.outcome = outcome if layered or not chosen.max_size else _tolerated(outcome)
        # "The server is not expected to return any additional data with the success indicator."

    def _authorize(self, authzid: str) -> str:
        """Return the identity to act as. "The server must verify that the src_name is authorized" for it."""
        outcome = _outcome(self._context)
        own = {"", outcome.username, f"{outcome.username}@{outcome.realm}"}
        if authzid in own or (outcome.account is not None and authzid in outcome.account.may_act_as):
            return authzid
        raise NoImpersonation(
            "the user may not act as the authorization identity it asks for", requirement="RFC4752-3.2-11"
        )


def _tolerated(outcome: Outcome) -> Outcome:
    name = Tolerances.SIZE_WITHOUT_LAYER.name or ""
    return outcome._replace(tolerances=(*outcome.tolerances, name))


_STEPS: Final[Mapping[_Position, Callable[[LayerNegotiatingServer, bytes | None], bytes | Question | None]]] = {
    _Position.BEGINNING: LayerNegotiatingServer._begin,
    _Position.TOKEN: LayerNegotiatingServer._take_token,
    _Position.EMPTY: LayerNegotiatingServer._take_empty,
    _Position.CHOICE: LayerNegotiatingServer._take_choice,
}
