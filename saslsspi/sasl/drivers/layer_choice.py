"""What two sides make of a layer that is offered and chosen when the context stands (RFC 4752 sections 3.1 to 3.3)."""

from __future__ import annotations

from typing import Final

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Policy, Tolerances
from saslsspi.engine.protection import Protection
from saslsspi.errors import InvalidToken, QopNotSupported
from saslsspi.sasl.drivers.layer_messages import NO_LAYER, QOP_OF_LAYER, LayerChosen, LayerOffer, SecurityLayer

__all__ = ["accepted", "chosen", "established", "offered"]

_STRONGEST_FIRST: Final = (SecurityLayer.CONFIDENTIALITY, SecurityLayer.INTEGRITY, SecurityLayer.NONE)


def established(context: SecurityContext) -> Outcome:
    """Return the outcome of a context that stands."""
    assert context.outcome is not None, "the context is established"
    return context.outcome


def _permitted(context: SecurityContext, policy: Policy) -> SecurityLayer:
    """Return the layers that the context makes possible and the policy permits."""
    ssf = established(context).ssf
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


def offered(context: SecurityContext, policy: Policy) -> LayerOffer:
    """Return what a server offers.

    Raises:
        QopNotSupported: context and policy leave nothing.
    """
    layers = _permitted(context, policy)
    # "(which MUST be 0 if the server does not support any security layer)"
    size = 0 if layers == SecurityLayer.NONE else policy.max_buffer
    return LayerOffer(layers, size)


def chosen(
    context: SecurityContext, offer: LayerOffer, policy: Policy, authzid: str, tolerances: Tolerances
) -> tuple[LayerChosen, Outcome]:
    """Return what a client chooses, the strongest layer that both sides permit, and the outcome with it.

    A layer that could be had and whose size is no use is an error: going on without one, which nobody would notice, is
    for the policy to say (max_ssf=0).

    Raises:
        QopNotSupported: the sides have nothing in common, or the server can receive nothing.
    """
    permitted = _permitted(context, policy)
    layer = next((layer for layer in _STRONGEST_FIRST if offer.layers & permitted & layer), None)
    if layer is None:
        raise QopNotSupported(
            f"the server offers the layers {int(offer.layers):#04x}, and context and policy permit "
            f"{int(permitted):#04x} (1 none, 2 integrity, 4 confidentiality)"
        )
    if layer is SecurityLayer.NONE:
        # "the maximum size output_message the client is able to receive (which MUST be 0 if the client does not
        # support any security layer)"
        choice, outcome = LayerChosen(layer, 0, authzid), _agreed(context, layer, 0, 0, authzid)
        sized = not int(offer.layers) & ~NO_LAYER and offer.max_size
        return choice, _tolerated(outcome, Tolerances.SIZE_WITHOUT_LAYER) if sized else outcome
    size = policy.max_buffer
    outcome = _layered(context, layer, offer.max_size, size, authzid, policy, tolerances)
    return LayerChosen(layer, size, authzid), outcome


def accepted(
    context: SecurityContext,
    offer: LayerOffer,
    choice: LayerChosen,
    policy: Policy,
    authzid: str,
    tolerances: Tolerances,
) -> Outcome:
    """Return what a server's exchange ends in with the client's choice.

    Raises:
        InvalidToken: the layer was not offered.
        QopNotSupported: the client can receive nothing under it.
    """
    layer = choice.layer
    # "The server verifies that the client has selected a security layer that was offered".
    if not layer & offer.layers:
        raise InvalidToken(f"the client chose {layer.name}, which was not offered", requirement="RFC4752-3.2-09")
    if layer is SecurityLayer.NONE:
        outcome = _agreed(context, layer, 0, 0, authzid)
        return _tolerated(outcome, Tolerances.SIZE_WITHOUT_LAYER) if choice.max_size else outcome
    return _layered(context, layer, choice.max_size, offer.max_size, authzid, policy, tolerances)


def _layered(
    context: SecurityContext,
    layer: SecurityLayer,
    max_send: int,
    max_receive: int,
    authzid: str,
    policy: Policy,
    tolerances: Tolerances,
) -> Outcome:
    if max_send:
        return _agreed(context, layer, max_send, max_receive, authzid)
    # RFC 4752 has a size of 0 where there is no layer, and says nothing of one with a layer. Read to the letter, the
    # peer can receive nothing; those that send it (Cyrus SASL before 2.1.27, 389-ds with it) receive everything.
    if not tolerances & Tolerances.LAYER_WITHOUT_SIZE:
        raise QopNotSupported(
            "the peer agrees to a layer and receives 0 octets at once under it; the tolerance LAYER_WITHOUT_SIZE takes "
            "that for no limit"
        )
    outcome = _agreed(context, layer, policy.max_buffer, max_receive, authzid)
    return _tolerated(outcome, Tolerances.LAYER_WITHOUT_SIZE)


def _agreed(context: SecurityContext, layer: SecurityLayer, max_send: int, max_receive: int, authzid: str) -> Outcome:
    """Return the context's outcome with the layer that was agreed on."""
    before = established(context)
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


def _tolerated(outcome: Outcome, tolerance: Tolerances) -> Outcome:
    return outcome._replace(tolerances=(*outcome.tolerances, tolerance.name or ""))
