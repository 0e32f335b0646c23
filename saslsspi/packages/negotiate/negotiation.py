"""What both sides of a negotiation have in common: the chosen context, the list's MICs, the attributes."""

from __future__ import annotations

from typing import Final, cast

from saslsspi.engine.attributes import (
    SecPkgContextEstablished,
    SecPkgContextNegotiationInfo,
    SecPkgContextPackageInfo,
    SecPkgContextSizes,
)
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Exchange, Outcome, Side
from saslsspi.engine.flags import AscRet, IscRet, NegotiationState
from saslsspi.engine.protection import Signing, SignsMechList
from saslsspi.errors import ContextMisuse, UnsupportedFunction
from saslsspi.packages.negotiate.assembly import Assembly
from saslsspi.packages.negotiate.credential import Candidate, NegotiateCredential

__all__ = ["Negotiation"]

_INTEGRITY: Final = {Side.INITIATE: int(IscRet.ISC_RET_INTEGRITY), Side.ACCEPT: int(AscRet.ASC_RET_INTEGRITY)}


class Negotiation(Exchange):
    """One side of a running negotiation.

    The MIC of the list of mechanisms (RFC 4178 section 5) is needed when the choice is not the favourite of both
    sides, and when the chosen package protected its own messages (MS-SPNG section 6 note 8); a context without
    integrity makes none.
    """

    __slots__ = (
        "_assembly", "_candidate", "_context", "_credential", "_environment", "_mech_list", "_mic_needed",
        "_mic_received", "_mic_sent", "_refused", "_side", "_state", "outcome",
    )  # fmt: skip

    def __init__(self, side: Side, credential: NegotiateCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._side = side
        self._credential = credential
        self._environment = environment
        self._assembly = Assembly()
        self._candidate = credential.candidates[0]
        self._context: SecurityContext | None = None
        self._refused = dict(credential.refused)
        self._mech_list = b""
        self._mic_needed = self._mic_received = self._mic_sent = False
        self._state = NegotiationState.IN_PROGRESS

    def _open(self, candidate: Candidate, environment: Environment | None = None) -> SecurityContext:
        """Begin a context of a package; one that was begun before is discarded."""
        self._candidate = candidate
        self._context = SecurityContext(
            candidate.package, candidate.credential, self._side, environment or self._environment
        )
        return self._context

    def _established(self) -> Outcome | None:
        """Return the outcome of the chosen package's context, None before it has one."""
        outcome = self._context.outcome if self._context is not None else None
        return None if outcome is None else outcome._replace(negotiated=self._candidate.package.info.name)

    def _settle(self) -> None:
        """See what the established context says about MICs."""
        signing = self._signing()
        if signing is None:
            self._mic_needed = False
        elif isinstance(signing, SignsMechList) and signing.must_sign_list:
            self._mic_needed = True

    def _sign(self) -> bytes | None:
        """Return our MIC of the list; None where the context has no integrity."""
        signing = self._signing()
        if signing is None:
            return None
        self._mic_sent = True
        if isinstance(signing, SignsMechList):
            return signing.sign_mech_list(self._mech_list)
        return signing.sign(self._mech_list, 0)

    def _verify(self, mic: bytes | None) -> None:
        """Verify the peer's MIC where there is one; where the context has no integrity it says nothing."""
        signing = self._signing()
        if mic is None or signing is None:
            return
        if isinstance(signing, SignsMechList):
            signing.verify_mech_list(self._mech_list, mic)
        else:
            signing.verify(self._mech_list, mic, 0)
        self._mic_received = True

    def _signing(self) -> Signing | SignsMechList | None:
        """Return what signs the list; None where the context has no integrity."""
        outcome = self._established()
        assert outcome is not None
        protection, integrity = outcome.protection, outcome.flags & _INTEGRITY[self._side]
        if isinstance(protection, SignsMechList):
            return protection if integrity or protection.signs_list_alone else None
        return protection if integrity and isinstance(protection, Signing) else None

    def _finish(self) -> None:
        self._state = NegotiationState.COMPLETE
        self.outcome = self._established()

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """How the negotiation went; everything else is the chosen package's."""
        if kind is SecPkgContextNegotiationInfo:
            info = SecPkgContextNegotiationInfo(
                self._candidate.package.info,
                self._state,
                dict(self._refused),
                self._mic_received and self._mic_sent,
            )
            return cast(Attribute, info)
        if kind is SecPkgContextPackageInfo or self._context is None:
            return None
        if kind is SecPkgContextEstablished:
            outcome = self._established()
            return None if outcome is None else cast(Attribute, SecPkgContextEstablished(outcome))
        try:
            value = self._context.query(kind)
        except (ContextMisuse, UnsupportedFunction):
            return None
        if isinstance(value, SecPkgContextSizes):
            return cast(Attribute, value)
        return value
