"""The SMTP door: AUTH with PLAIN or LOGIN (RFC 4954)."""

from __future__ import annotations

from typing import Final

from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.gateway.mail.session import MECHANISMS, MailDoorSession

__all__ = ["SmtpDoorSession"]

_NOT_PASSED_ON: Final = frozenset({"AUTH", "STARTTLS"})
_HOST: Final = b"localhost"


class SmtpDoorSession(MailDoorSession):
    """A session of SMTP."""

    protocol = SMTP

    def greeting(self) -> bytes:
        """See MailDoorSession."""
        return SMTP.greeting

    def goodbye(self, why: str) -> bytes:
        """See MailDoorSession."""
        return b"421 4.3.2 " + why.encode()

    async def command(self, line: bytes) -> None:
        """See MailDoorSession."""
        name, _, text = line.partition(b" ")
        word = name.upper()
        if word == b"EHLO":
            lines = [_HOST, *self._extensions()]
            await self.say(*(b"250-" + each for each in lines[:-1]), b"250 " + lines[-1])
        elif word == b"HELO":
            await self.say(b"250 " + _HOST)
        elif word in (b"NOOP", b"RSET"):
            await self.say(SMTP.okay)
        elif word == b"QUIT":
            await self.leave(b"221 2.0.0 bye")
        elif word == b"STARTTLS" and self.may_start_tls:
            await self.start_tls(b"220 2.0.0 begin")
        elif word == b"AUTH":
            await self.authenticate(text)
        elif word in (b"MAIL", b"RCPT", b"DATA", b"BDAT", b"VRFY", b"EXPN"):
            await self.say(b"530 5.7.0 Authentication required")
        else:
            await self.say(b"500 5.5.1 no such command here")

    def _extensions(self) -> list[bytes]:
        lines = [f"{name} {value}".rstrip() for name, value in self.listed.items() if name not in _NOT_PASSED_ON]
        lines += ["AUTH " + " ".join(MECHANISMS)] if self.takes_passwords else []
        lines += ["STARTTLS"] if self.may_start_tls else []
        return [line.encode("utf-8", "replace") for line in lines]
