"""The control tokens of ApplyControlToken (schannel.h): what the next call's token is to tell the peer."""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from saslsspi.errors import UnsupportedFunction

__all__ = ["CLOSE_NOTIFY", "Alert", "read_control"]

_NUMBER: Final = Struct("<I")
_ALERT_TOKEN: Final = Struct("<III")  # SCHANNEL_ALERT_TOKEN: the type, the alert's level and its number
_SHUTDOWN: Final = 1
_ALERT: Final = 2
_NAMES: Final = {0: "SCHANNEL_RENEGOTIATE", 3: "SCHANNEL_SESSION"}


class Alert(NamedTuple):
    """An alert of TLS (RFC 8446 section 6)."""

    level: int
    number: int

    def to_record(self) -> bytes:
        """Return the record in clear, as it goes before there are keys (RFC 8446 section 5.1)."""
        return bytes((21, 3, 3, 0, 2, self.level, self.number))


CLOSE_NOTIFY: Final = Alert(1, 0)


def read_control(token: bytes) -> Alert:
    """Return the alert that a control token calls for; octets behind the token are ignored, as Windows does.

    Raises:
        UnsupportedFunction: it is neither SCHANNEL_SHUTDOWN nor SCHANNEL_ALERT, or is cut short.
    """
    kind = _NUMBER.unpack_from(token)[0] if len(token) >= _NUMBER.size else None
    if kind == _SHUTDOWN:
        return CLOSE_NOTIFY
    if kind == _ALERT and len(token) >= _ALERT_TOKEN.size:
        _, level, number = _ALERT_TOKEN.unpack_from(token)
        if level in (1, 2) and number < 256:
            return Alert(level, number)
    what = _NAMES.get(kind, "this") if kind is not None else "this"
    raise UnsupportedFunction(f"Schannel takes SCHANNEL_SHUTDOWN and SCHANNEL_ALERT as control tokens, not {what}")
