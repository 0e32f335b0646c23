"""The POP3 door: USER and PASS, and AUTH with PLAIN or LOGIN (RFC 1939 section 7, RFC 5034)."""

from __future__ import annotations

from typing import Final

from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.gateway.mail.session import MECHANISMS, MailDoorSession

__all__ = ["Pop3DoorSession"]

_NOT_PASSED_ON: Final = frozenset({"SASL", "STLS", "USER"})


class Pop3DoorSession(MailDoorSession):
    """A session of POP3."""

    protocol = POP3
    _user: bytes | None = None

    def greeting(self) -> bytes:
        """See MailDoorSession."""
        return POP3.greeting

    def goodbye(self, why: str) -> bytes:
        """See MailDoorSession."""
        return b"-ERR [SYS/TEMP] " + why.encode()

    async def command(self, line: bytes) -> None:
        """See MailDoorSession."""
        name, _, text = line.partition(b" ")
        word = name.upper()
        user, self._user = self._user, None  # PASS comes right behind USER
        if word == b"CAPA":
            await self.say(b"+OK", *self._capabilities(), b".")
        elif word == b"QUIT":
            await self.leave(b"+OK bye")
        elif word == b"STLS" and self.may_start_tls:
            await self.start_tls(b"+OK begin")
        elif word == b"USER" and self.takes_passwords:
            self._user = text
            await self.say(b"+OK")
        elif word == b"PASS" and user is not None:
            await self.log_on("USER and PASS", user, text)  # blanks belong to a password
        elif word == b"AUTH" and not text:
            await self.say(b"+OK", *([name.encode() for name in MECHANISMS] if self.takes_passwords else []), b".")
        elif word in (b"AUTH", b"USER"):
            await self.authenticate(text if word == b"AUTH" else b"LOGIN")
        else:
            await self.say(b"-ERR log on first")

    def _capabilities(self) -> list[bytes]:
        lines = [f"{name} {value}".rstrip() for name, value in self.listed.items() if name not in _NOT_PASSED_ON]
        lines += ["USER", "SASL " + " ".join(MECHANISMS)] if self.takes_passwords else []
        lines += ["STLS"] if self.may_start_tls else []
        return [line.encode("utf-8", "replace") for line in lines]
