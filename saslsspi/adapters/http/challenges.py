"""What WWW-Authenticate and Proxy-Authenticate offer (RFC 9110 section 11.6.1): challenges, in one field or more.

A field is a peer's text: each octet of it is looked at a fixed number of times. The expressions are possessive, so that
nothing which was matched is given back and tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from saslsspi.errors import InvalidToken

__all__ = ["Challenge", "challenges", "octets_of"]

_LONGEST: Final = 1 << 18
_MOST: Final = 64
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
# An element of the list, up to its comma: quoted strings may hold commas; one without an end runs to the field's.
_ELEMENT: Final = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_BEGINNING: Final = re.compile(rf"({_TOKEN})(?: ++(?!=)(.*))?\Z", re.DOTALL)
_PARAMETER: Final = re.compile(rf"{_TOKEN}[ \t]*+=[ \t]*+(?!=|\Z)", re.DOTALL)


class Challenge(NamedTuple):
    """One challenge.

    Attributes:
        scheme: In lower case.
        text: What stands behind it: a token68, or parameters.
    """

    scheme: str
    text: str


def challenges(fields: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all fields of a response, in their order.

    Raises:
        InvalidToken: there are too many, they are too long, or one begins without a scheme.
    """
    found: list[tuple[str, list[str]]] = []
    left = _LONGEST
    for field in fields:
        left -= len(field)
        if left < 0:
            raise InvalidToken(f"challenges of more than {_LONGEST} characters")
        begun = False
        for element in _ELEMENT.findall(field):
            stripped = element.strip(" \t")
            if not stripped:
                continue
            beginning = None if begun and _PARAMETER.match(stripped) else _BEGINNING.match(stripped)
            if beginning is not None:
                text = (beginning[2] or "").strip(" \t")
                found.append((beginning[1].lower(), [text]))
                begun = True
            elif begun:
                found[-1][1].append(stripped)
            else:
                raise InvalidToken("a challenge does not begin with a scheme")
            if len(found) > _MOST:
                raise InvalidToken(f"more than {_MOST} challenges")
    return [Challenge(scheme, ", ".join(texts)) for scheme, texts in found]


def octets_of(text: str) -> bytes:
    """Return the octets of a header field: as a rule each character stands for one (PEP 3333 has them so)."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # a library has decoded them
        return text.encode("utf-8", "replace")
