"""The acceptor's steps of SPNEGO (RFC 4178 sections 3.2 and 5, MS-SPNG section 3.2).

Raw NTLM and raw Kerberos tokens are taken as well: then there is no list, and nothing of SPNEGO around the tokens.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.der import encode_oid
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, NegotiationState
from saslsspi.errors import AlgorithmMismatch, ContextMisuse, InvalidToken, LogonDenied, SaslError
from saslsspi.packages.negotiate.credential import KERBEROS, MS_KERBEROS, Candidate, NegotiateCredential, explain
from saslsspi.packages.negotiate.messages import HINT, NegState, NegTokenInit, NegTokenResp
from saslsspi.packages.negotiate.negotiation import Negotiation

__all__ = ["NegotiateServer"]

_EXTENDED_ERROR: Final = int(AscReq.ASC_REQ_EXTENDED_ERROR)
_REJECTION: Final = NegTokenResp(NegState.REJECT).to_bytes()
_NTLM_SIGNATURE: Final = b"NTLMSSP\0"
_KERBEROS_OIDS: Final = tuple(bytes((6, len(o))) + o for o in map(encode_oid, (KERBEROS, MS_KERBEROS)))


class _Position(enum.Enum):
    """What is due: a message of the peer, or the authority's answer."""

    BEGINNING = enum.auto()
    RUNNING = enum.auto()
    RAW = enum.auto()
    LAST_MIC = enum.auto()

    __hash__ = object.__hash__


class NegotiateServer(Negotiation):
    """One acceptor's negotiation."""

    __slots__ = ("_chosen", "_first", "_mic", "_position", "_request")

    def __init__(self, credential: NegotiateCredential, environment: Environment) -> None:
        super().__init__(Side.ACCEPT, credential, environment)
        self._position = _Position.BEGINNING
        self._first = True
        self._chosen = ""
        self._mic: bytes | None = None

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the client's message; see Exchange.step."""
        whole = self._assembly.feed(token)
        if whole is None:
            return StepResult(Event.CONTINUE, b"")
        self._request = request
        return self._rejecting(lambda: _STEPS[self._position](self, whole, request))

    def resume(self, account: Account | None) -> StepResult | Question:
        """Go on with what the authority answered to the chosen package's question."""
        context = self._context
        if context is None:
            raise ContextMisuse("no question is open")
        return self._rejecting(lambda: self._follow(context.resume(account)))

    def _rejecting(self, run: Callable[[], StepResult | Question]) -> StepResult | Question:
        try:
            return run()
        except SaslError as error:
            self.unanswered(error)
            raise

    def unanswered(self, error: SaslError) -> None:
        """See Exchange.unanswered: a reject, for who has asked to be told."""
        if error.token is None and self._request.requested & _EXTENDED_ERROR and self._position is not _Position.RAW:
            error.token = _REJECTION

    def _begin(self, token: bytes, request: Request) -> StepResult | Question:
        if not token:
            return self._speak_first()
        if token.startswith(_NTLM_SIGNATURE):
            return self._take_raw("NTLM", token, request)
        header = 2 + (token[1] & 0x7F if len(token) > 1 and token[1] > 0x7F else 0)
        if any(token.startswith(oid, header) for oid in _KERBEROS_OIDS):
            return self._take_raw("Kerberos", token, request)
        init = NegTokenInit.from_bytes(token)
        self._mech_list = init.mech_list
        candidate = self._choose(init)
        self._position = _Position.RUNNING
        self._state = NegotiationState.IN_PROGRESS
        context = self._open(candidate)
        if self._chosen == init.mech_types[0] and init.token is not None:
            self._mic = init.mic
            return self._follow(context.begin(init.token, request))
        # Section 3.2: an optimistic token for another mechanism is discarded, and the client begins with the right one.
        return self._reply(None, Event.CONTINUE)

    def _speak_first(self) -> StepResult:
        """MS-SPNG section 3.2.5.2: a token with hints when there is no token of the client."""
        oids = tuple(oid for candidate in self._credential.candidates for oid in candidate.oids)
        return StepResult(Event.CONTINUE, NegTokenInit(oids, self._credential.mech_list(oids), hint=HINT).to_bytes())

    def _take_raw(self, name: str, token: bytes, request: Request) -> StepResult | Question:
        for candidate in self._credential.candidates:
            if candidate.name == name:
                self._position = _Position.RAW
                self._open(candidate)
                return self._raw(token, request)
        raise AlgorithmMismatch(f"the client speaks {name} without SPNEGO: {explain(self._refused)}")

    def _raw(self, token: bytes, request: Request) -> StepResult | Question:
        assert self._context is not None
        return self._follow(self._context.begin(token, request))

    def _choose(self, init: NegTokenInit) -> Candidate:
        """Take the first of the client's mechanisms that we have (RFC 4178 section 3.1)."""
        favourite = self._credential.candidates[0]
        for oid in init.mech_types:
            for candidate in self._credential.candidates:
                if oid in candidate.oids:
                    self._chosen = oid
                    # Section 5: no MIC is needed only for "the most preferred mechanism of both". Section 6: an
                    # acceptor that would prefer something that is not in the list demands it, too.
                    self._mic_needed = oid != init.mech_types[0] or candidate is not favourite
                    return candidate
        offered = ", ".join(init.mech_types)
        raise AlgorithmMismatch(
            f"the client offers {offered}, and none is usable here: {explain(self._refused)}",
            requirement="RFC4178-3.2-01",
        )

    def _go_on(self, token: bytes, request: Request) -> StepResult | Question:
        message = self._read(token)
        context = self._context
        assert context is not None
        self._mic = message.mic
        if message.token is None:
            raise InvalidToken(f"{self._candidate.name} waits for a token, and the message has none")
        return self._follow(context.begin(message.token, request))

    def _last_mic(self, token: bytes, request: Request) -> StepResult:
        """The client's MIC after ours; it completes the negotiation."""
        message = self._read(token)
        if message.mic is None:
            raise InvalidToken("the client did not protect the list of mechanisms", requirement="RFC4178-5-15")
        self._verify(message.mic)
        self._finish()
        return StepResult(Event.COMPLETE, None)

    def _read(self, token: bytes) -> NegTokenResp:
        message = NegTokenResp.from_bytes(token)
        if message.state is NegState.REJECT:
            raise LogonDenied("the client rejected the negotiation", requirement="RFC4178-4.2.2-06")
        return message

    def _follow(self, inner: StepResult | Question) -> StepResult | Question:
        """Put what the chosen package answered into a token of ours."""
        if isinstance(inner, Question):
            return inner
        if self._position is _Position.RAW:
            if inner.event is Event.COMPLETE:
                self._finish()
            return inner
        if inner.event is not Event.COMPLETE:
            return self._reply(inner.token, Event.CONTINUE)
        self._settle()
        self._verify(self._mic)
        if self._mic_needed and not self._mic_received:
            # The client spoke last and sent no MIC with it.
            if inner.token is None and not self._first:
                raise InvalidToken(
                    "the client did not protect the list of mechanisms, which is needed here",
                    requirement="RFC4178-5-15",
                )
            self._position = _Position.LAST_MIC
            return self._reply(inner.token, Event.CONTINUE, self._sign())
        mic = self._sign() if self._mic_received else None
        self._finish()
        return self._reply(inner.token, Event.COMPLETE, mic)

    def _reply(self, token: bytes | None, event: Event, mic: bytes | None = None) -> StepResult:
        if event is Event.COMPLETE:
            state = NegState.ACCEPT_COMPLETED
        else:
            # Section 4.2.2: request-mic and supportedMech are for the first reply only.
            state = NegState.REQUEST_MIC if self._first and self._mic_needed else NegState.ACCEPT_INCOMPLETE
        mech = self._chosen if self._first else None
        self._first = False
        return StepResult(event, NegTokenResp(state, mech, token, mic).to_bytes())


_STEPS: Final[Mapping[_Position, Callable[[NegotiateServer, bytes, Request], StepResult | Question]]] = {
    _Position.BEGINNING: NegotiateServer._begin,
    _Position.RUNNING: NegotiateServer._go_on,
    _Position.RAW: NegotiateServer._raw,
    _Position.LAST_MIC: NegotiateServer._last_mic,
}
