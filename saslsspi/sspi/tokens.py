"""Who the client of an accepted context is: QuerySecurityContextToken and impersonation.

Windows hands out an access token and lets the thread act under it. Off Windows nothing in the system changes: the
identity of the running task or thread is a context variable, which the program's own checks ask for.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from saslsspi.engine.attributes import SecPkgContextNames
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Side
from saslsspi.engine.flags import AscRet
from saslsspi.engine.identity import Delegated, HandedOver
from saslsspi.errors import ContextMisuse, NoImpersonation, NotImpersonating
from saslsspi.sspi.handles import CtxtHandle

__all__ = [
    "ImpersonationLevel",
    "SecurityToken",
    "current_token",
    "impersonate_security_context",
    "impersonated",
    "query_security_context_token",
    "revert_security_context",
]


class ImpersonationLevel(enum.IntEnum):
    """What a server may do as its client (SECURITY_IMPERSONATION_LEVEL)."""

    SECURITY_ANONYMOUS = 0
    SECURITY_IDENTIFICATION = 1
    SECURITY_IMPERSONATION = 2
    SECURITY_DELEGATION = 3


@dataclass(frozen=True, slots=True)
class SecurityToken:
    """The client of an accepted context. Its repr shows no credential.

    Attributes:
        username: Who was authenticated, as the package names it.
        realm: The realm or domain that vouched for it.
        authzid: Whom the client acts as, where that is another.
        package: The package that authenticated it; with Negotiate, the one that it chose.
        groups: The groups that the authority knows.
        level: What may be done as this client.
        handed_over: The credentials that the client has handed over; see delegated.
    """

    username: str
    realm: str
    authzid: str
    package: str
    groups: tuple[str, ...]
    level: ImpersonationLevel
    handed_over: HandedOver | None = field(default=None, repr=False)

    @property
    def delegated(self) -> Delegated | None:
        """The credentials that the client has handed over, or None."""
        return None if self.handed_over is None else self.handed_over.credentials


_CURRENT: Final[ContextVar[tuple[SecurityContext, SecurityToken] | None]] = ContextVar(
    "saslsspi_identity", default=None
)


def query_security_context_token(context: CtxtHandle) -> SecurityToken:
    """Return who the client of an accepted context is (QuerySecurityContextToken).

    Raises:
        ContextMisuse: the context is not established.
        NoImpersonation: it is the client's own side.
    """
    return _token(context._opened())


def _token(context: SecurityContext) -> SecurityToken:
    if context.side is not Side.ACCEPT:
        raise NotImpersonating("only a server's context has a client")
    outcome = context.outcome
    if outcome is None:
        raise ContextMisuse("the client is known only after the final success")
    if not outcome.username:
        level = ImpersonationLevel.SECURITY_ANONYMOUS
    elif outcome.delegated is not None or outcome.flags & AscRet.ASC_RET_DELEGATE:
        level = ImpersonationLevel.SECURITY_DELEGATION
    elif outcome.flags & AscRet.ASC_RET_IDENTIFY:
        level = ImpersonationLevel.SECURITY_IDENTIFICATION
    else:
        level = ImpersonationLevel.SECURITY_IMPERSONATION
    return SecurityToken(
        username=context.query(SecPkgContextNames).username,
        realm=outcome.realm,
        authzid=outcome.authzid,
        package=outcome.negotiated or context.package.info.name,
        groups=outcome.account.groups if outcome.account is not None else (),
        level=level,
        handed_over=None if outcome.delegated is None else HandedOver(outcome.delegated),
    )


def impersonate_security_context(context: CtxtHandle) -> None:
    """Let this task or thread act as the client of a context (ImpersonateSecurityContext).

    Tasks that are started meanwhile inherit the identity; another impersonation takes the place of this one.

    Raises:
        NotImpersonating: it is the client's own side.
        NoImpersonation: the client allows no more than to be identified.
    """
    opened = context._opened()
    token = _token(opened)
    if token.level < ImpersonationLevel.SECURITY_IMPERSONATION:
        raise NoImpersonation(f"the client allows {token.level.name}, which is less than impersonation")
    _CURRENT.set((opened, token))


def revert_security_context(context: CtxtHandle) -> None:
    """End the impersonation of a context's client (RevertSecurityContext).

    Raises:
        NotImpersonating: this task or thread does not act as that client.
    """
    current = _CURRENT.get()
    if current is None or current[0] is not context._context:
        raise NotImpersonating("this task does not impersonate the context's client")
    _CURRENT.set(None)


@contextlib.contextmanager
def impersonated(context: CtxtHandle) -> Iterator[SecurityToken]:
    """Act as the client of a context while the block runs; who was impersonated before is so again after it."""
    before = _CURRENT.get()
    impersonate_security_context(context)
    try:
        token = current_token()
        assert token is not None
        yield token
    finally:
        _CURRENT.set(before)


def current_token() -> SecurityToken | None:
    """Return whom this task or thread acts as, or None for itself."""
    current = _CURRENT.get()
    return None if current is None else current[1]
