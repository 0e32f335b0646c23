"""The layer that comes with the context: its flags say what there is, and nothing is said about sizes."""

from __future__ import annotations

from functools import partial
from typing import Final

from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Outcome, Request, Side
from saslsspi.engine.flags import IscReq
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import Policy
from saslsspi.engine.security import flags_for
from saslsspi.sasl.drivers.in_exchange import ContextClient, ContextServer
from saslsspi.sasl.mechanism import ClientExchange, Driver, First, ServerExchange

__all__ = ["WITH_CONTEXT"]

_NO_LAYER: Final = int(IscReq.ISC_REQ_NO_INTEGRITY)


class _WithContext(Driver):
    __slots__ = ()
    names_replica = True

    def flags(self, package: AnyPackage, side: Side, policy: Policy) -> tuple[int, int]:
        required, requested = flags_for(policy, side, stream=package.takes_records)
        # MIT's Kerberos asserts integrity unless it is told not to, and the peer would take that for a layer.
        if side is Side.INITIATE and policy.max_ssf == 0:
            requested |= _NO_LAYER
        return required, requested

    def client(
        self, context: SecurityContext, request: Request, policy: Policy, *, max_message: int = 0
    ) -> ClientExchange:
        return ContextClient(context, request, partial(_limited, policy))

    def server(
        self, context: SecurityContext, request: Request, policy: Policy, *, first: First, max_message: int = 0
    ) -> ServerExchange:
        return ContextServer(context, request, first, partial(_limited, policy))


def _limited(policy: Policy, outcome: Outcome | None) -> Outcome | None:
    """Send no buffer that our own policy would not take, and take what it tolerates."""
    protection = outcome.protection if outcome is not None else None
    if outcome is None or protection is None:
        return outcome
    largest = policy.max_buffer - protection.overhead(policy.max_buffer)
    protection.max_payload = max(1, min(protection.max_payload, largest))
    protection.max_receive = min(protection.max_receive, max(policy.max_buffer, policy.max_unannounced))
    return outcome._replace(max_receive=protection.max_receive)


WITH_CONTEXT: Final = _WithContext()
"""The buffers begin when the context stands: NTLM, and SPNEGO without the messages of RFC 4752."""
