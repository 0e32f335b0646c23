"""What WWW-Authenticate and Proxy-Authenticate offer (RFC 9110 section 11.6.1): challenges, in one field or more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from saslsspi.errors import InvalidToken

__all__ = ["Challenge", "challenges"]

_LONGEST: Final = 1 << 18
_MOST: Final = 64
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# An element of the list, up to its comma: quoted strings may hold commas.
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_BEGINNING: Final = re.compile(rf"({_TOKEN})(?: +(?!=)(.*))?\Z", re.DOTALL)
_PARAMETER: Final = re.compile(rf"{_TOKEN}[ \t]*=[ \t]*(?!=|\Z)", re.DOTALL)


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
    found: list[Challenge] = []
    for field in fields:
        if len(field) > _LONGEST:
            raise InvalidToken(f"a challenge of {len(field)} characters, at most {_LONGEST} are taken")
        begun = False
        for element in _ELEMENT.findall(field):
            stripped = element.strip(" \t")
            if not stripped:
                continue
            beginning = None if begun and _PARAMETER.match(stripped) else _BEGINNING.match(stripped)
            if beginning is not None:
                found.append(Challenge(beginning[1].lower(), (beginning[2] or "").strip(" \t")))
                begun = True
            elif begun:
                last = found.pop()
                found.append(last._replace(text=f"{last.text}, {stripped}"))
            else:
                raise InvalidToken("a challenge does not begin with a scheme")
            if len(found) > _MOST:
                raise InvalidToken(f"more than {_MOST} challenges")
    return found
