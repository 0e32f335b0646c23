"""A listener with what is behind it, and what a logon through it costs and leaves behind."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from saslsspi.accounts.account import Question
from saslsspi.accounts.failures import Throttle
from saslsspi.adapters.stream import beside_loop
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.hooks.audit import Attempt
from saslsspi.engine.security import Security
from saslsspi.errors import InternalError, InvalidParameter, LogonDenied, NoAuthenticatingAuthority, SaslError
from saslsspi.gateway.settings import GatewayLimits, GatewayListener, Tls
from saslsspi.gateway.watch import ABANDONED

__all__ = ["GatewayDoor", "guesses", "serving_tls"]

_LOG: Final = logging.getLogger("saslsspi.gateway")

_T = TypeVar("_T")


def serving_tls(listener: GatewayListener) -> ssl.SSLContext | None:
    """Return the context of a listener's TLS, None where it speaks none.

    Raises:
        InvalidParameter: its certificate cannot be used.
    """
    if listener.begins is Tls.NONE:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(listener.certificate, listener.key or None)
    except OSError as error:
        raise InvalidParameter(
            f"{listener.shown}: certificate {listener.certificate} cannot be used: {error}"
        ) from None
    return context


def guesses(error: SaslError) -> bool:
    """Whether an error says that a password was wrong, or a name: what costs the client something."""
    return isinstance(error, LogonDenied)


@dataclass(frozen=True)
class GatewayDoor:
    """A listener with the limits of its clients.

    Attributes:
        throttle: Counts failed logons, for all listeners of this process.
        context: Of TLS with clients; None speaks none.
    """

    listener: GatewayListener
    limits: GatewayLimits
    throttle: Throttle
    context: ssl.SSLContext | None

    async def audited(
        self, how: str, username: str, peer: str, work: Callable[[], Awaitable[tuple[_T, Security]]]
    ) -> _T:
        """Do a logon's work and leave its record; a refusal is held back for as long as it costs.

        Args:
            how: How the client logs on.
            username: Who it says it is.
            peer: Where it is.
            work: Returns what the logon is for, and what was negotiated with the server.

        Raises:
            SaslError: the work's own. No logon takes longer than the limits say.
        """
        began = asyncio.get_running_loop().time()
        attempt = Attempt(how, clock=DEFAULT_ENVIRONMENT.clock)
        attempt.asked(Question(username, "", ()))
        try:
            async with asyncio.timeout(self.limits.logon_seconds):
                made, security = await work()
        except TimeoutError:
            refusal: SaslError = _too_long(self.limits.logon_seconds)
        except SaslError as error:
            refusal = error
        except asyncio.CancelledError:
            attempt.refused(LogonDenied(ABANDONED))
            raise
        except Exception as error:
            _LOG.exception("a logon failed")
            refusal = InternalError(f"the logon failed: {type(error).__name__}")
        else:
            attempt.accepted(_outcome(username, security))
            return made
        attempt.refused(refusal)
        _forget(refusal)
        if guesses(refusal):
            delay = await beside_loop(self.throttle.failed, username, peer)
            # From its beginning: how long it took says whether there is such a user.
            await asyncio.sleep(max(0.0, began + delay - asyncio.get_running_loop().time()))
        try:
            raise refusal
        finally:
            del refusal  # else it and this frame keep one another


def _forget(error: BaseException | None) -> None:
    """Empty the frames that an error and its causes have come through: a password stands in them."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _too_long(seconds: float) -> SaslError:
    return NoAuthenticatingAuthority(f"the logon has taken longer than {seconds:g} s")


def _outcome(username: str, security: Security) -> Outcome:
    """Return what the audit log is told: who logged on here, and with what it went on."""
    return Outcome(
        username=username, negotiated=security.mechanism, channel_binding=security.channel_binding, ssf=security.ssf
    )
