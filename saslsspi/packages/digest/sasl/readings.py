"""How the names in a digest-response may be read, the grammar's own way first.

Two things make another reading: a backslash that nobody doubled (MS-DPSP 2.2), and UTF-8 that the client did not
announce, which ISO 8859-1 reads as well. Each reading is asked for by itself; all of them are one attempt.
"""

from __future__ import annotations

from typing import Final

from saslsspi.engine.policy import Tolerances
from saslsspi.packages.digest.charset import Reading, decode, is_utf8
from saslsspi.packages.digest.sasl.messages import DigestResponse

__all__ = ["readings"]

_BARE_BACKSLASH: Final = int(Tolerances.BARE_BACKSLASH)
_UTF8_WITHOUT_CHARSET: Final = int(Tolerances.UTF8_WITHOUT_CHARSET)
_SILENT_UTF8: Final = int(Tolerances.UTF8_WITHOUT_CHARSET | Tolerances.OTHER_ENCODINGS)


def readings(response: DigestResponse, allowed: int, realms: tuple[str, ...]) -> list[Reading]:
    """Return the readings of a response under the allowed tolerances, those in a realm that is served.

    Realms are compared as they are: section 2.1.2 gives them no case folding. Where none is offered, clients may
    "compute a default" (section 2.1.1), as Cyrus SASL does; whether it is served, the authority says.

    Raises:
        InvalidToken: a name is not the UTF-8 that was announced.
    """
    names = [(response.username, 0)]
    if response.literal_username is not None:
        names.append((response.literal_username, _BARE_BACKSLASH))
    realm, utf8 = response.realm or b"", response.utf8
    found = []
    for name, tolerance in names:
        if not utf8 and allowed & _SILENT_UTF8 and not (name + realm).isascii() and is_utf8(name + realm):
            found.append(Reading(name.decode(), realm.decode(), utf8, tolerance | _UTF8_WITHOUT_CHARSET))
        found.append(Reading(decode(name, utf8=utf8), decode(realm, utf8=utf8), utf8, tolerance))
    return [reading for reading in found if reading.realm in realms] if realms else found
