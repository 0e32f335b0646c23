"""Handles: what a program holds of a credential and of a context."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from saslsspi.engine.context import SecurityContext, State
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Credential, Event, Side, StepResult
from saslsspi.engine.flags import AscRet, IscRet, SaslOption
from saslsspi.engine.package import AnyPackage
from saslsspi.errors import ContextMisuse, NoCredentials
from saslsspi.sasl.mechanism import SaslExchange
from saslsspi.status import SecurityStatus

__all__ = [
    "AcceptContextResult",
    "AcquireCredentialsResult",
    "CredHandle",
    "CtxtHandle",
    "InitializeContextResult",
]


class CredHandle:
    """A credential. Empty until acquire_credentials_handle fills it; may be subclassed.

    Any number of contexts, threads and tasks may use one at once; free it when none does.
    """

    _package: AnyPackage | None = None
    _credential: Credential | None = None
    _sides: frozenset[Side] = frozenset()
    _environment: Environment = DEFAULT_ENVIRONMENT
    _principal: str | None = None

    def _assign(
        self, package: AnyPackage, credential: Credential, sides: frozenset[Side], environment: Environment
    ) -> None:
        self._package = package
        self._credential = credential
        self._sides = sides
        self._environment = environment

    def _open_context(self, side: Side, environment: Environment | None = None) -> SecurityContext:
        """Begin a context with this credential, in its own environment unless there is another."""
        if self._package is None or self._credential is None:
            text = "the credential handle is empty or was freed; acquire one"
            # AcceptSecurityContext (General): "SEC_E_NO_CREDENTIALS: The handle specified in the phCredential parameter
            # is not valid."
            raise NoCredentials(text) if side is Side.ACCEPT else ContextMisuse(text)
        if side not in self._sides:
            wanted = "OUTBOUND" if side is Side.INITIATE else "INBOUND"
            raise NoCredentials(f"the credential was not acquired with SECPKG_CRED_{wanted} or SECPKG_CRED_BOTH")
        context = SecurityContext(self._package, self._credential, side, environment or self._environment)
        context.recorded()
        return context

    def _held(self) -> tuple[AnyPackage, Credential]:
        if self._package is None or self._credential is None:
            raise ContextMisuse("the credential handle is empty or was freed; acquire one")
        return self._package, self._credential

    def _release(self) -> None:
        self._held()
        self._package = None
        self._credential = None


class CtxtHandle:
    """A security context. Empty until the first call fills it; may be subclassed.

    One thread or task at a time; once it is established, one may encrypt while another decrypts.
    """

    _context: SecurityContext | None = None
    _undelivered: StepResult | None = None
    _sasl: SaslExchange | None = None
    _sasl_options: Mapping[SaslOption, int | str] = MappingProxyType({})

    def _opened(self, *, unfinished: bool = False) -> SecurityContext:
        """The context behind the handle, unless it is empty, deleted, or in a SASL exchange that must be over first."""
        context = self._context
        if context is None or context.state is State.DELETED:
            raise ContextMisuse("the context handle is empty or was deleted")
        if self._sasl is not None and not (self._sasl.done or unfinished):
            raise ContextMisuse("the SASL exchange of this context is not over")
        return context


class AcquireCredentialsResult(NamedTuple):
    """The credential, and when it expires as a FILETIME."""

    credential: CredHandle
    expiry: int


class InitializeContextResult(NamedTuple):
    """The context, what it has, when it expires as a FILETIME, and what to do next."""

    context: CtxtHandle
    attributes: IscRet
    expiry: int
    status: SecurityStatus


class AcceptContextResult(NamedTuple):
    """The context, what it has, when it expires as a FILETIME, and what to do next."""

    context: CtxtHandle
    attributes: AscRet
    expiry: int
    status: SecurityStatus


STATUS_OF_EVENT = {
    Event.CONTINUE: SecurityStatus.SEC_I_CONTINUE_NEEDED,
    Event.ASK_COMPLETION: SecurityStatus.SEC_I_COMPLETE_NEEDED,
    Event.ASK_COMPLETION_AND_CONTINUE: SecurityStatus.SEC_I_COMPLETE_AND_CONTINUE,
    Event.ASK_CREDENTIALS: SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS,
    Event.COMPLETE: SecurityStatus.SEC_E_OK,
}
