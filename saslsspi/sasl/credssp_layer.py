"""CREDSSP over SASL: a stream of TLS in messages, and the layer that is agreed on inside it (docs/credssp-sasl.md).

The messages, both ways, are consecutive pieces of one stream; where one ends says only whose turn it is. When the
context stands, the server offers layers and the client chooses one, each in one record of TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.accounts.authorization import authorize
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.policy import Policy
from saslsspi.errors import (
    IncompleteMessage,
    InvalidParameter,
    InvalidToken,
    QopNotSupported,
    SaslError,
)
from saslsspi.sasl.gssapi_layer import negotiated, permitted_layers
from saslsspi.sasl.gssapi_messages import LayerChosen, LayerOffer, SecurityLayer
from saslsspi.sasl.mechanism import ClientExchange, ServerExchange

__all__ = ["ChannelClient", "ChannelServer", "context_flags"]

_LARGEST_CHOICE: Final = 16384  # one record
_STRONGEST_FIRST: Final = (SecurityLayer.CONFIDENTIALITY, SecurityLayer.INTEGRITY, SecurityLayer.NONE)
_FLAGS: Final[Mapping[Side, int]] = {
    Side.INITIATE: int(IscReq.ISC_REQ_EXTENDED_ERROR | IscReq.ISC_REQ_STREAM),
    Side.ACCEPT: int(AscReq.ASC_REQ_EXTENDED_ERROR | AscReq.ASC_REQ_STREAM),
}


def context_flags(side: Side, policy: Policy) -> int:
    """Return what to ask of the context."""
    delegates = side is Side.INITIATE and policy.credssp.delegate
    return _FLAGS[side] | (int(IscReq.ISC_REQ_DELEGATE) if delegates else 0)


class _Stream:
    """What came and was not taken yet, and what is to go out and does not fit into one message."""

    __slots__ = ("_limit", "_quiet", "_unsent", "untaken")

    def __init__(self, limit: int) -> None:
        self.untaken = b""
        self._limit = limit
        self._unsent = b""
        self._quiet = False

    @property
    def sending(self) -> bool:
        """Whether a flight is cut, and its rest goes out before anything else happens."""
        return bool(self._unsent)

    def take(self, message: bytes) -> None:
        """Take a message of the peer.

        Raises:
            InvalidToken: both sides have nothing to say, or the peer speaks where it is still our turn.
        """
        if message and self._unsent:
            raise InvalidToken("an empty message was due, the flight of this side goes on")
        if not message and self._quiet:
            raise InvalidToken("two empty messages in a row: neither side has anything to say")
        self.untaken += message

    def send(self, octets: bytes = b"") -> bytes:
        """Return the next message, of octets or of what is left of earlier ones."""
        octets = self._unsent + octets
        size = self._limit or len(octets)
        self._unsent = octets[size:]
        self._quiet = not octets
        return octets[:size]

    def advance(self, context: SecurityContext, request: Request) -> StepResult | Question:
        """Take the context one step further with what has come."""
        octets = self.untaken
        try:
            reply = context.begin(octets, request)
        except IncompleteMessage:
            return StepResult(Event.CONTINUE, b"")
        return self.follow(octets, reply)

    def follow(self, octets: bytes, reply: StepResult | Question) -> StepResult | Question:
        """Keep what a step did not take."""
        if not isinstance(reply, Question):
            self.untaken = octets[len(octets) - reply.extra :] if reply.extra else b""
        return reply

    def open(self, context: SecurityContext) -> bytes | None:
        """Return the text of the one record that is due, None while it is not whole.

        Raises:
            InvalidToken: octets follow the record.
        """
        protection = context.protection()
        while self.untaken:
            try:
                opened = protection.open_record(self.untaken)
            except IncompleteMessage:
                return None
            self.untaken = self.untaken[opened.used :]
            if opened.closed:
                raise InvalidToken("the peer closed the channel in the middle of the exchange")
            if opened.text:
                if self.untaken:
                    raise InvalidToken(f"{len(self.untaken)} octets follow the record that was due")
                return opened.text
        return None


def _seal(context: SecurityContext, text: bytes) -> bytes:
    return b"".join(context.protection().seal(text))


class ChannelClient(ClientExchange):
    """The client's side: the context's steps, then the choice; the carrier's success completes it."""

    __slots__ = ("_chosen", "_context", "_policy", "_request", "_started", "_stream", "outcome")

    def __init__(self, context: SecurityContext, request: Request, policy: Policy, max_message: int) -> None:
        if "\0" in request.authzid or len(request.authzid.encode()) > _LARGEST_CHOICE - 4:
            raise InvalidParameter("an authorization identity has no NUL and fits into one record of TLS")
        self.outcome: Outcome | None = None
        self._chosen: Outcome | None = None
        self._context = context
        self._request = request
        self._policy = policy
        self._started = False
        self._stream = _Stream(max_message)

    def step(self, challenge: bytes | None) -> bytes:
        """See ClientExchange.step."""
        stream = self._stream
        if not self._started:
            if challenge:
                raise InvalidToken("the client goes first, and the server has spoken")
            self._started = True
        else:
            stream.take(challenge or b"")
            if stream.sending:
                return stream.send()
        if self._chosen is not None:
            if stream.untaken:
                raise InvalidToken(f"{len(stream.untaken)} octets came after the choice of a layer")
            return stream.send()
        if self._context.outcome is None:
            step = stream.advance(self._context, self._request)
            assert not isinstance(step, Question), "a client asks no authority"
            return stream.send(step.token or b"")
        text = stream.open(self._context)
        return stream.send(b"" if text is None else self._choose(LayerOffer.from_bytes(text)))

    def succeed(self) -> None:
        """Be done when the whole choice is sent; see ClientExchange.succeed."""
        if self._chosen is not None and not self._stream.sending:
            self.outcome = self._chosen

    def _choose(self, offer: LayerOffer) -> bytes:
        permitted = permitted_layers(self._context, self._policy)
        refused = QopNotSupported(
            f"the server offers the layers {int(offer.layers):#04x}, and the policy permits {int(permitted):#04x} "
            "(1 none, 2 integrity, 4 confidentiality)"
        )
        for layer in _STRONGEST_FIRST:
            if not offer.layers & permitted & layer:
                continue
            layered = layer is not SecurityLayer.NONE
            send, receive = (offer.max_size, self._policy.max_buffer) if layered else (0, 0)
            try:
                self._chosen = negotiated(self._context, layer, send, receive, self._request.authzid)
            except QopNotSupported as error:  # its size leaves no room
                refused = error
                continue
            return _seal(self._context, LayerChosen(layer, receive, self._request.authzid).to_bytes())
        raise refused


class ChannelServer(ServerExchange):
    """The server's side: the context's steps, the offer, and what the client makes of it."""

    __slots__ = (
        "_asked", "_context", "_failure", "_offer", "_policy", "_request", "_started", "_stream", "outcome",
    )  # fmt: skip

    def __init__(self, context: SecurityContext, request: Request, policy: Policy, max_message: int) -> None:
        self.outcome: Outcome | None = None
        self._context = context
        self._request = request
        self._policy = policy
        self._stream = _Stream(max_message)
        self._offer: LayerOffer | None = None
        self._failure: SaslError | None = None
        self._asked = b""
        self._started = False

    def step(self, response: bytes | None) -> bytes | Question | None:
        """See ServerExchange.step."""
        if response is None and not self._started:
            self._started = True
            return b""  # RFC 4422 section 5: the client goes first, and its carrier brought no initial response
        self._started = True
        stream = self._stream
        if self._failure is not None and not stream.sending:
            raise self._failure
        stream.take(response or b"")
        if stream.sending:
            return stream.send()
        if self._offer is not None:
            return self._take_choice(self._offer)
        self._asked = stream.untaken
        return self._telling(lambda: stream.advance(self._context, self._request))

    def resume(self, account: Account | None) -> bytes | Question | None:
        """See ServerExchange.resume."""
        return self._telling(lambda: self._stream.follow(self._asked, self._context.resume(account)))

    def _telling(self, run: Callable[[], StepResult | Question]) -> bytes | Question | None:
        """Go on; a failure with something to say is said first, and raised when the client has heard it."""
        try:
            reply = run()
        except SaslError as error:
            if not error.token:
                raise
            self._failure, token = error, error.token
            error.token = None
            self._stream.untaken = b""
            return self._stream.send(token)
        if isinstance(reply, Question):
            return reply
        octets = reply.token or b""
        if reply.event is Event.COMPLETE:
            octets += self._make_offer()
        return self._stream.send(octets)

    def _make_offer(self) -> bytes:
        layers = permitted_layers(self._context, self._policy)
        size = 0 if layers == SecurityLayer.NONE else self._policy.max_buffer
        self._offer = LayerOffer(layers, size)
        return _seal(self._context, self._offer.to_bytes())

    def _take_choice(self, offer: LayerOffer) -> bytes | None:
        text = self._stream.open(self._context)
        if text is None:
            return self._stream.send()
        chosen = LayerChosen.from_bytes(text)
        if not chosen.layer & offer.layers:
            raise InvalidToken(f"the client chose {chosen.layer.name}, which was not offered")
        layered = chosen.layer is not SecurityLayer.NONE
        self._check_identity(chosen.authzid)
        receive = offer.max_size if layered else 0
        self.outcome = negotiated(self._context, chosen.layer, chosen.max_size, receive, chosen.authzid)
        return None

    def _check_identity(self, authzid: str) -> None:
        outcome = self._context.outcome
        assert outcome is not None
        if authzid != f"{outcome.username}@{outcome.realm}":
            authorize(outcome.account, outcome.username, authzid)
