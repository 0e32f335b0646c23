"""The context inside CredSSP that both of the tester's ends need: Negotiate with NTLM, or NTLM alone."""

from __future__ import annotations

from saslsspi.accounts import MemoryAuthority
from saslsspi.accounts.account import Account
from saslsspi.engine.attributes import SecPkgContextEstablished
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Request, Side, StepResult
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.identity import WinNTAuthIdentity
from saslsspi.engine.policy import NegotiatePolicy, Policy
from saslsspi.engine.protection import Protection
from saslsspi.engine.registry import find_package
from saslsspi.errors import ContextMisuse, UnsupportedFunction
from saslsspi_conformance.outcome import CaseError

__all__ = ["Inside"]

_POLICY = Policy(negotiate=NegotiatePolicy(packages="ntlm"))
_INITIATES = int(
    IscReq.ISC_REQ_INTEGRITY
    | IscReq.ISC_REQ_CONFIDENTIALITY
    | IscReq.ISC_REQ_SEQUENCE_DETECT
    | IscReq.ISC_REQ_REPLAY_DETECT
)
_ACCEPTS = int(
    AscReq.ASC_REQ_INTEGRITY
    | AscReq.ASC_REQ_CONFIDENTIALITY
    | AscReq.ASC_REQ_SEQUENCE_DETECT
    | AscReq.ASC_REQ_REPLAY_DETECT
)


class Inside:
    """One side of the context."""

    def __init__(self, context: SecurityContext, request: Request) -> None:
        self._context = context
        self._request = request

    @classmethod
    def initiating(cls, target: str, user: str, password: str, *, bare: bool) -> Inside:
        """The client's side; bare is NTLM without Negotiate."""
        package, environment = find_package("NTLM" if bare else "Negotiate"), Environment(policy=_POLICY)
        identity = WinNTAuthIdentity(user, "", password)
        credential = package.acquire(None, identity, frozenset({Side.INITIATE}), environment)
        context = SecurityContext(package, credential, Side.INITIATE, environment)
        return cls(context, Request(target=target, required=_INITIATES, requested=_INITIATES))

    @classmethod
    def accepting(cls, user: str, password: str, *, bare: bool) -> Inside:
        """The server's side."""
        authority = MemoryAuthority([Account(username=user, password=password)])
        package = find_package("NTLM" if bare else "Negotiate")
        environment = Environment(policy=_POLICY, authority=authority)
        credential = package.acquire(None, None, frozenset({Side.ACCEPT}), environment)
        context = SecurityContext(package, credential, Side.ACCEPT, environment)
        return cls(context, Request(required=_ACCEPTS, requested=_ACCEPTS))

    def step(self, token: bytes) -> StepResult:
        """Take a token."""
        return self._context.advance(token, self._request)

    @property
    def complete(self) -> bool:
        """Whether no more tokens are due."""
        return self._context.outcome is not None

    @property
    def protection(self) -> Protection:
        """What seals, also where Negotiate still owes or awaits a token."""
        outcome = self._context.outcome
        if outcome is None:
            try:
                outcome = self._context.query(SecPkgContextEstablished).outcome  # type: ignore[assignment]
            except (ContextMisuse, UnsupportedFunction):
                outcome = None
        if outcome is None or outcome.protection is None:
            raise CaseError("the context inside is not established")
        return outcome.protection

    @property
    def established(self) -> bool:
        """Whether there is a key."""
        try:
            return self.protection is not None
        except CaseError:
            return False

    def seal(self, text: bytes) -> bytes:
        """Signature, and hidden text."""
        return b"".join(self.protection.seal(text))

    def unseal(self, octets: bytes) -> bytes:
        """The text."""
        return self.protection.unseal(octets)
