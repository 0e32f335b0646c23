"""The client's steps of SPNEGO (RFC 4178 sections 3.2 and 5, MS-SPNG section 3.3)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final

from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Request, Side, StepResult
from saslsspi.engine.flags import IscReq, NegotiationState
from saslsspi.errors import (
    AlgorithmMismatch,
    InvalidToken,
    LogonDenied,
    MutualAuthFailed,
    NoAuthenticatingAuthority,
    SaslError,
)
from saslsspi.packages.negotiate.away import AWAY, hasty, realm_of_tickets
from saslsspi.packages.negotiate.credential import Candidate, NegotiateCredential, explain
from saslsspi.packages.negotiate.messages import NegState, NegTokenInit, NegTokenResp
from saslsspi.packages.negotiate.negotiation import Negotiation

__all__ = ["NegotiateClient"]

_MUTUAL: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH)


class _Position(enum.Enum):
    """Which message of the peer is due."""

    BEGINNING = enum.auto()
    FIRST_REPLY = enum.auto()
    BARE = enum.auto()
    LATER_REPLY = enum.auto()

    __hash__ = object.__hash__


class NegotiateClient(Negotiation):
    """One client's negotiation."""

    __slots__ = ("_offered", "_position", "_started")

    def __init__(self, credential: NegotiateCredential, environment: Environment) -> None:
        super().__init__(Side.INITIATE, credential, environment)
        self._position = _Position.BEGINNING
        self._offered = credential.candidates
        self._started = False

    def step(self, token: bytes, request: Request) -> StepResult:
        """Take the server's message; see Exchange.step."""
        whole = self._assembly.feed(token)
        if whole is None:
            return StepResult(Event.CONTINUE, b"")
        # MS-SPNG section 3.3.3: "The client MUST request Mutual Authentication services".
        return _STEPS[self._position](self, whole, request._replace(requested=request.requested | _MUTUAL))

    def _begin(self, token: bytes, request: Request) -> StepResult:
        """Make the offer; a server's NegTokenInit2 before it says what there is no use in offering."""
        if self._environment.policy.negotiate.bare_ntlm:
            return self._begin_bare(request)
        if token:
            theirs = NegTokenInit.from_bytes(token).mech_types
            for candidate in self._offered:
                if not set(candidate.oids) & set(theirs):
                    self._refused[candidate.name] = "the server does not offer it"
            self._offered = tuple(c for c in self._offered if set(c.oids) & set(theirs))
        first = self._first_token(request)
        oids = tuple(oid for candidate in self._offered for oid in candidate.oids)
        self._mech_list = self._credential.mech_list(oids)
        self._position = _Position.FIRST_REPLY
        self._state = NegotiationState.OPTIMISTIC
        return StepResult(Event.CONTINUE, NegTokenInit(oids, self._mech_list, first).to_bytes())

    def _begin_bare(self, request: Request) -> StepResult:
        """Begin NTLM without SPNEGO around it."""
        for candidate in self._offered:
            if candidate.name == "NTLM":
                self._position = _Position.BARE
                self._state = NegotiationState.OPTIMISTIC
                self._open(candidate)
                return self._bare(b"", request)
        raise AlgorithmMismatch(f"NTLM is to be used without SPNEGO, and is not there: {explain(self._refused)}")

    def _bare(self, token: bytes, request: Request) -> StepResult:
        assert self._context is not None
        step = self._context.advance(token, request)
        if step.event is Event.COMPLETE:
            self._finish()
        return step

    def _first_token(self, request: Request) -> bytes | None:
        """Begin the first package that can begin, and drop those before it."""
        policy = self._environment.policy.negotiate
        while self._offered:
            candidate = self._offered[0]
            self._candidate = candidate
            if not policy.optimistic:
                return None
            try:
                step = self._begun(candidate, request)
            except SaslError as error:
                self._refused[candidate.name] = error.text
                if not policy.fallback:
                    raise
                self._offered = self._offered[1:]
                continue
            self._started = True
            return step.token
        raise AlgorithmMismatch(f"no package is left to negotiate: {explain(self._refused)}")

    def _begun(self, candidate: Candidate, request: Request) -> StepResult:
        """Take the first step of a package; where others are left, Kerberos is not waited for long, nor asked often."""
        environment = self._environment
        if candidate.name != "Kerberos" or len(self._offered) == 1 or not environment.policy.negotiate.fallback:
            return self._open(candidate).advance(b"", request)
        realm = realm_of_tickets(candidate.credential)
        if reason := AWAY.reason(realm, environment.clock()):
            raise NoAuthenticatingAuthority(reason)
        try:
            return self._open(candidate, hasty(environment)).advance(b"", request)
        except NoAuthenticatingAuthority as error:
            AWAY.note(realm, environment.clock(), error.text)
            raise

    def _first_reply(self, token: bytes, request: Request) -> StepResult:
        reply = NegTokenResp.from_bytes(token)
        self._check_state(reply)
        # RFC 4178 section 4.2.2: request-mic in the first reply demands the MICs.
        if reply.state is NegState.REQUEST_MIC:
            self._mic_needed = True
        self._position = _Position.LATER_REPLY
        self._choose(reply)
        return self._go_on(reply, request)

    def _later_reply(self, token: bytes, request: Request) -> StepResult:
        reply = NegTokenResp.from_bytes(token)
        self._check_state(reply)
        if reply.state is NegState.REQUEST_MIC:
            raise InvalidToken("request-mic is for the first reply", requirement="RFC4178-4.2.2-02")
        # MS-SPNG section 3.3.5: a later supportedMech is accepted, "but MUST ignore the new supportedMech field".
        return self._go_on(reply, request)

    def _check_state(self, reply: NegTokenResp) -> None:
        if reply.state is NegState.REJECT:
            raise LogonDenied(
                f"the server rejected the negotiation with {self._candidate.name}", requirement="RFC4178-4.2.2-06"
            )

    def _choose(self, reply: NegTokenResp) -> None:
        """Take the server's choice; without one it is the first that was offered."""
        mech = reply.supported_mech
        if mech is None or mech in self._offered[0].oids:
            return
        for candidate in self._offered[1:]:
            if mech in candidate.oids:
                for passed in self._offered[: self._offered.index(candidate)]:
                    self._refused[passed.name] = f"the server prefers {candidate.name}"
                # Section 5: the choice is not our favourite, so the list has to be protected.
                self._mic_needed = True
                self._context, self._started = None, False
                self._candidate = candidate
                return
        raise InvalidToken("the server chose a mechanism that was not offered", requirement="RFC4178-4.2.2-04")

    def _go_on(self, reply: NegTokenResp, request: Request) -> StepResult:
        """Give the chosen package its token, and answer."""
        ours = None
        if self._established() is None:
            ours = self._run(reply, request)
            if self._established() is None:
                if reply.state is NegState.ACCEPT_COMPLETED:
                    raise MutualAuthFailed(f"the server has finished, and {self._candidate.name} has not")
                return StepResult(Event.CONTINUE, NegTokenResp(NegState.ACCEPT_INCOMPLETE, token=ours).to_bytes())
            self._settle()
        elif reply.token:
            raise InvalidToken(f"a token came after {self._candidate.name} was complete")
        self._verify(reply.mic)
        if reply.state is NegState.ACCEPT_COMPLETED:
            return self._conclude(ours)
        return self._answer(ours)

    def _run(self, reply: NegTokenResp, request: Request) -> bytes | None:
        if not self._started:
            if reply.token:
                raise InvalidToken(f"a token came for {self._candidate.name}, which was not begun")
            self._started = True
            return self._open(self._candidate).advance(b"", request).token
        assert self._context is not None
        if reply.token is None:
            raise InvalidToken(f"{self._candidate.name} waits for a token, and the reply has none")
        return self._context.advance(reply.token, request).token

    def _conclude(self, ours: bytes | None) -> StepResult:
        """The server expects nothing more."""
        if ours:
            raise InvalidToken(f"the server has finished, and {self._candidate.name} has a token to send")
        # "If the MIC token is missing and required, the negotiation is terminated" (section 5).
        if self._mic_needed and not self._mic_received:
            raise InvalidToken(
                "the server did not protect the list of mechanisms, which is needed here",
                requirement="RFC4178-5-10",
            )
        self._finish()
        return StepResult(Event.COMPLETE, None)

    def _answer(self, ours: bytes | None) -> StepResult:
        """The server expects something: our last token, our MIC, or both."""
        needed = (self._mic_needed or self._mic_received) and not self._mic_sent
        mic = self._sign() if needed else None
        if self._mic_received or (ours is None and not self._mic_needed):
            # Section 5 (c): "the initiator completes and sends its MIC with accept-completed".
            self._finish()
            return StepResult(Event.COMPLETE, NegTokenResp(NegState.ACCEPT_COMPLETED, token=ours, mic=mic).to_bytes())
        return StepResult(Event.CONTINUE, NegTokenResp(NegState.ACCEPT_INCOMPLETE, token=ours, mic=mic).to_bytes())


_STEPS: Final[Mapping[_Position, Callable[[NegotiateClient, bytes, Request], StepResult]]] = {
    _Position.BEGINNING: NegotiateClient._begin,
    _Position.FIRST_REPLY: NegotiateClient._first_reply,
    _Position.BARE: NegotiateClient._bare,
    _Position.LATER_REPLY: NegotiateClient._later_reply,
}
