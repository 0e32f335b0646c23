"""How names and passwords become octets in Digest for HTTP (RFC 7616 sections 3.4 and 4).

Our challenges say charset=UTF-8. Clients that know no charset write a name in ISO 8859-1, or in UTF-8 all the same, and
hash one or the other: the same password is tried in both, as one attempt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from saslsspi.engine.policy import Tolerances
from saslsspi.packages.digest.charset import Reading, is_utf8
from saslsspi.packages.digest.http.algorithms import Algorithm
from saslsspi.packages.digest.http.messages import HttpChallenge, HttpResponse

__all__ = ["accepted_keys", "readings", "written_in"]

_BARE_BACKSLASH: Final = int(Tolerances.BARE_BACKSLASH)
_HASH_LATIN1: Final = int(Tolerances.HASH_LATIN1)
_HASH_UTF8: Final = int(Tolerances.HASH_UTF8)
_OTHER_ENCODINGS: Final = int(Tolerances.OTHER_ENCODINGS)
_UTF8_WITHOUT_CHARSET: Final = int(Tolerances.UTF8_WITHOUT_CHARSET)


def readings(response: HttpResponse, realm: str) -> list[Reading]:
    """Return the readings of a client's name, the grammar's own first."""
    names = [(response.username, 0)]
    if response.literal_username is not None:
        names.append((response.literal_username, _BARE_BACKSLASH))
    found = []
    for name, tolerance in names:
        utf8 = is_utf8(name)
        found.append(Reading(name.decode("utf-8" if utf8 else "latin-1"), realm, utf8, tolerance))
    return found


def accepted_keys(
    algorithm: Algorithm, reading: Reading, username: str, password: str, tolerances: int
) -> Iterator[tuple[bytes, int]]:
    """Yield the values of H(user:realm:password) in hex that count as right, and their tolerances, the RFC's own first.

    How many there are, and what they cost, depends on the tolerances and on the client's octets alone.

    Args:
        algorithm: Of the credentials.
        reading: Of the client's name, with the realm.
        username: The name that was hashed, as text.
        password: As text.
        tolerances: Of the policy.
    """
    # RFC 7616 section 4: "user name and password ... Unicode Normalization Form C".
    utf8 = b":".join((username.encode(), reading.realm.encode(), unicodedata.normalize("NFC", password).encode()))
    latin1 = b":".join(
        (username.encode("latin-1", "replace"), reading.realm.encode(), password.encode("latin-1", "replace"))
    )
    # Who wrote the name in ISO 8859-1 has hashed that: what RFC 2617 leaves to clients is no departure.
    first, second, tolerance = (utf8, latin1, _HASH_LATIN1) if reading.utf8 else (latin1, utf8, _HASH_UTF8)
    yield algorithm.digest(first), 0
    if tolerances & (tolerance | _OTHER_ENCODINGS):
        yield algorithm.digest(second), tolerance


def written_in(challenge: HttpChallenge, texts: tuple[str, ...], tolerances: int) -> tuple[str, int]:
    """Return the encoding in which a client writes and hashes its name and password, and the tolerance that it takes.

    A challenge without charset leaves it open. ISO 8859-1 is what RFC 2617 means; where one of the texts does not fit
    into it, there is only UTF-8, which most such servers hash.

    Args:
        challenge: The server's.
        texts: Name and password.
        tolerances: Of the policy; HASH_UTF8 or UTF8_WITHOUT_CHARSET takes UTF-8 in any case.
    """
    if challenge.utf8 or all(text.isascii() for text in texts):
        return "utf-8", 0
    if tolerances & (_HASH_UTF8 | _UTF8_WITHOUT_CHARSET):
        return "utf-8", _UTF8_WITHOUT_CHARSET
    try:
        "".join(texts).encode("latin-1")
    except UnicodeEncodeError:
        return "utf-8", _UTF8_WITHOUT_CHARSET
    return "latin-1", 0
