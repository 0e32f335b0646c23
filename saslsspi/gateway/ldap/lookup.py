"""Whose a DN is: asked by an account of the configuration, on a connection that is sealed like every other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeAlias

from saslsspi.adapters.ldap.refusal import BindRefused
from saslsspi.errors import InvalidParameter, LogonDenied, NoAuthenticatingAuthority
from saslsspi.gateway.settings import AuthoritySettings

__all__ = ["LookUp", "Lookups", "Owner"]

_SECONDS: Final = 60.0
_MOST: Final = 4096  # answers that are remembered
_AT_ONCE: Final = 8
# Active Directory's own answer to the question; then what a directory of Windows has, and any other one.
_ATTRIBUTES: Final = ("msDS-PrincipalName", "sAMAccountName", "uid")

LookUp: TypeAlias = Callable[[str, tuple[str, str], tuple[str, ...]], Awaitable[tuple[str, ...] | None]]
"""Asks for an entry: its DN, the user and password that ask, attributes; returns its DN and a value for each."""


class Owner(NamedTuple):
    """The user whose entry a DN names.

    Attributes:
        dn: As the server writes it.
        username: As the user logs on; "" where nobody can with it.
        plain: The same without a domain.
    """

    dn: str
    username: str
    plain: str


class Lookups:
    """Looks DNs up, and remembers each answer for a minute.

    Args:
        account: Who asks: the user, and the file whose first line is the password.
        ask: Does.
    """

    def __init__(self, account: tuple[str, Path], ask: LookUp) -> None:
        self._user, self._file = account
        self._ask = ask
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._answers: dict[str, tuple[float, Owner | None]] = {}
        self._running: dict[str, asyncio.Lock] = {}

    @classmethod
    def of(cls, authority: AuthoritySettings, ask: LookUp) -> Self:
        """Return what looks up for an authority.

        Raises:
            InvalidParameter: its password cannot be read.
        """
        made = cls((authority.lookup_user, Path(authority.lookup_password_file)), ask)
        made.password()
        return made

    def password(self) -> str:
        """Read the password; it may change while the service runs.

        Raises:
            InvalidParameter: it cannot be read.
        """
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidParameter(f"lookup_password_file cannot be read: {error}") from error
        if not lines or not lines[0]:
            raise InvalidParameter(f"lookup_password_file {self._file} has no password in its first line")
        return lines[0]

    async def owner(self, dn: str) -> Owner:
        """Return whose a DN is.

        Raises:
            LogonDenied: nobody's.
            NoAuthenticatingAuthority: it cannot be looked up now.
        """
        known = self._known(dn)
        if known is None:
            # Whoever asks for the same meanwhile waits for the answer.
            lock = self._running.setdefault(dn.lower(), asyncio.Lock())
            try:
                async with lock:
                    known = self._known(dn) or await self._looked_up(dn)
            finally:
                if not lock.locked():
                    self._running.pop(dn.lower(), None)
        _, found = known
        if found is None:
            raise LogonDenied(f"there is no entry {dn}")
        if not found.username:
            raise LogonDenied(f"the entry {dn} has none of {', '.join(_ATTRIBUTES)}: nobody can log on with it")
        return found

    def _known(self, dn: str) -> tuple[float, Owner | None] | None:
        answer = self._answers.get(dn.lower())
        return answer if answer is not None and answer[0] > asyncio.get_running_loop().time() else None

    async def _looked_up(self, dn: str) -> tuple[float, Owner | None]:
        try:
            async with self._turns:
                entry = await self._ask(dn, (self._user, self.password()), _ATTRIBUTES)
        except BindRefused as error:
            raise NoAuthenticatingAuthority(f"the lookup account {self._user} is refused: {error.text}") from error
        except InvalidParameter as error:
            raise NoAuthenticatingAuthority(error.text) from error
        found = (
            None
            if entry is None
            else Owner(entry[0], next(filter(None, entry[1:]), ""), next(filter(None, entry[2:]), ""))
        )
        while len(self._answers) >= _MOST:
            del self._answers[next(iter(self._answers))]
        answer = asyncio.get_running_loop().time() + _SECONDS, found
        self._answers.pop(dn.lower(), None)
        self._answers[dn.lower()] = answer
        return answer
