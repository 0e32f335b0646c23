"""Passwords that only somebody else can verify: another directory, PAM, a function of the program's own.

Such a one knows nobody before it is shown the password, and answers yes or no. So it serves mechanisms that show the
password to the server, PLAIN and LOGIN, and no others; and what a wrong one costs is the other's doing.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authority import Authority
from saslsspi.accounts.coming import Coming
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, SaslError

__all__ = ["PasswordVerifier"]

_TIMEOUT: Final = 10.0
_AT_ONCE: Final = 64

Verdict = Account | str | bool | None
"""Whose password it is: an account, its name, True for the name that was asked; None or False: nobody's."""

Verify = Callable[[str, str], Verdict | Awaitable[Verdict]]
"""Takes a user name and a password, neither of them empty."""


class PasswordVerifier(Authority):
    """An authority that can do nothing but verify passwords. It may stand in a Chain. Safe under threads and tasks.

    A function that blocks runs in a thread of its own, and who asks waits until it answers or the time is over. One
    that is an `async def` serves where there is an event loop.

    Args:
        verify: Takes a user name and a password, and returns an Account, a name that stands for one, or True for the
            name that it was given; None or False where the password is wrong or the user unknown. It should take the
            same time for both.
        timeout: How long it may take, in seconds; afterwards the client is told to try again.
        at_once: How many may run. Whoever comes when they are all busy waits, and no longer than that.
        monotonic: Seconds that only go up.

    Raises:
        InvalidParameter: there can be no such timeout or number.
    """

    secrets = frozenset({Secret.VERIFIED})

    def __init__(
        self,
        verify: Verify,
        *,
        timeout: float = _TIMEOUT,
        at_once: int = _AT_ONCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if timeout <= 0 or at_once < 1:
            raise InvalidParameter("a verifier has some time, and at least one may run")
        self._verify = verify
        self._timeout = timeout
        self._monotonic = monotonic
        self._room = threading.BoundedSemaphore(at_once)

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """Return the account whose password is presented, with it; see Authority.lookup."""
        # An empty password is the unauthenticated bind of LDAP, which succeeds (RFC 4513 section 5.1.2).
        if not question.password or not question.username or Secret.VERIFIED not in question.secrets:
            return None
        awaited = inspect.iscoroutinefunction(self._verify)
        verdict = self._verify(question.username, question.password) if awaited else self._in_time(question)
        if isinstance(verdict, Awaitable):
            return Coming(verdict, partial(self._awaited, question))
        return _account(verdict, question)

    async def _awaited(self, question: Question, coming: Awaitable[Verdict]) -> Account | None:
        import asyncio  # who awaits this has it; who has no loop does without

        try:
            async with asyncio.timeout(self._timeout):
                verdict = await coming
        except SaslError:
            raise
        except TimeoutError:
            raise self._late() from None
        except Exception as error:
            raise NoAuthenticatingAuthority(f"the verifier failed with {type(error).__name__}") from error
        return _account(verdict, question)

    def _in_time(self, question: Question) -> Verdict | Awaitable[Verdict]:
        deadline = self._monotonic() + self._timeout
        if not self._room.acquire(timeout=self._timeout):
            raise self._late()
        answer: Future[Verdict | Awaitable[Verdict]] = Future()
        asked = partial(self._verify, question.username, question.password)
        work = partial(contextvars.copy_context().run, self._run, asked, answer)
        # A thread of a pool would be waited for when the program ends, and one that hangs would keep it there.
        threading.Thread(target=work, name="saslsspi-verifier", daemon=True).start()
        try:
            return answer.result(max(0.0, deadline - self._monotonic()))
        except SaslError:
            raise
        except Exception as error:
            if not answer.done():
                raise self._late() from None
            raise NoAuthenticatingAuthority(f"the verifier failed with {type(error).__name__}") from error

    def _run(
        self, asked: Callable[[], Verdict | Awaitable[Verdict]], answer: Future[Verdict | Awaitable[Verdict]]
    ) -> None:
        try:
            result = asked()
        except BaseException as error:
            answer.set_exception(error)
        else:
            answer.set_result(result)
        finally:
            self._room.release()

    def _late(self) -> NoAuthenticatingAuthority:
        return NoAuthenticatingAuthority(f"the verifier has not answered within {self._timeout:g} s")


def _account(verdict: object, question: Question) -> Account | None:
    if verdict is None or verdict is False:
        return None
    if verdict is True:
        verdict = question.username
    if isinstance(verdict, str) and verdict:
        verdict = Account(username=verdict)
    if not isinstance(verdict, Account) or not verdict.username:
        raise NoAuthenticatingAuthority(
            f"a verifier answered with a {type(verdict).__name__}, no account, name, True, False or None"
        )
    return replace(verdict, other={**verdict.other, Secret.VERIFIED: question.password})
