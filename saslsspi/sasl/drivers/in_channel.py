"""CREDSSP over SASL: a stream of TLS in messages, and the layer that is agreed on inside it (docs/credssp-sasl.md).

The messages, both ways, are consecutive pieces of one stream; where one ends says only whose turn it is. When the
context stands, the server offers layers and the client chooses one, each in one record of TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.accounts.authorization import authorize
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Outcome, Request, Side, StepResult
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import Policy, Tolerances
from saslsspi.engine.protection import Records
from saslsspi.engine.security import flags_for
from saslsspi.errors import IncompleteMessage, InvalidParameter, InvalidToken, SaslError
from saslsspi.sasl.drivers.layer_choice import accepted, chosen, established, offered
from saslsspi.sasl.drivers.layer_messages import LayerChosen, LayerOffer
from saslsspi.sasl.mechanism import ClientExchange, Driver, First, ServerExchange

__all__ = ["IN_CHANNEL"]

_LARGEST_CHOICE: Final = 16384  # one record


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
        assert isinstance(protection, Records), "CredSSP's context is a stream"
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


class _Client(ClientExchange):
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
        choice, self._chosen = chosen(self._context, offer, self._policy, self._request.authzid, Tolerances.NONE)
        return _seal(self._context, choice.to_bytes())


class _Server(ServerExchange):
    """The server's side: the context's steps, the offer, and what the client makes of it."""

    __slots__ = (
        "_asked", "_context", "_offer", "_policy", "_request", "_started", "_stream", "failure", "outcome",
    )  # fmt: skip

    def __init__(self, context: SecurityContext, request: Request, policy: Policy, max_message: int) -> None:
        self.outcome: Outcome | None = None
        self._context = context
        self._request = request
        self._policy = policy
        self._stream = _Stream(max_message)
        self._offer: LayerOffer | None = None
        self.failure: SaslError | None = None
        self._asked = b""
        self._started = False

    def step(self, response: bytes | None) -> bytes | Question | None:
        """See ServerExchange.step."""
        if response is None and not self._started:
            self._started = True
            return b""  # RFC 4422 section 5: the client goes first, and its carrier brought no initial response
        self._started = True
        stream = self._stream
        if self.failure is not None and not stream.sending:
            raise self.failure
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
            self.failure, token = error, error.token
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
        self._offer = offered(self._context, self._policy)
        return _seal(self._context, self._offer.to_bytes())

    def _take_choice(self, offer: LayerOffer) -> bytes | None:
        text = self._stream.open(self._context)
        if text is None:
            return self._stream.send()
        choice = LayerChosen.from_bytes(text)
        self._check_identity(choice.authzid)
        self.outcome = accepted(self._context, offer, choice, self._policy, choice.authzid, Tolerances.NONE)
        return None

    def _check_identity(self, authzid: str) -> None:
        outcome = established(self._context)
        # The domain that NTLM's client claims is not verified; only the account's own one is.
        account = outcome.account
        verified = (account.domain or account.realm) if account is not None else ""
        authorize(self._context.authority, account, outcome.username, authzid, realm=verified)


class _InChannel(Driver):
    __slots__ = ()

    def flags(self, package: AnyPackage, side: Side, policy: Policy) -> tuple[int, int]:
        return flags_for(policy, side, stream=True)

    def completed(self, request: Request, side: Side, policy: Policy) -> Request:
        required, needed = flags_for(policy, side, stream=True)
        return request._replace(required=required, requested=request.requested | needed)

    def client(
        self, context: SecurityContext, request: Request, policy: Policy, *, max_message: int = 0
    ) -> ClientExchange:
        return _Client(context, request, policy, max_message)

    def server(
        self, context: SecurityContext, request: Request, policy: Policy, *, first: First, max_message: int = 0
    ) -> ServerExchange:
        return _Server(context, request, policy, max_message)


IN_CHANNEL: Final = _InChannel()
"""Offer and choice travel inside the TLS channel that the context has made (docs/credssp-sasl.md)."""
