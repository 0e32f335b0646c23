"""What the face of ldap3 can be told beside ldap3's own arguments."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from saslsspi.credentials import Password
from saslsspi.errors import InvalidParameter

__all__ = ["BindSettings"]


@dataclass(frozen=True, slots=True)
class BindSettings:
    """How binds are made.

    Attributes:
        clear: Whether a bind that cannot be sealed goes to ldap3's own, which sends the password in clear.
        lookup: The account that looks up whose a DN is, for simple binds with a DN where there is no TLS.
    """

    clear: bool = False
    lookup: Password | None = None

    @classmethod
    def of(cls, clear: Any = False, lookup: Any = None) -> Self:
        """Understand what install was given.

        Args:
            clear: Whether unsealed binds are permitted; True or False.
            lookup: A pair of user and password, a saslsspi.Password, or the name of a file with the two on a line each.

        Raises:
            InvalidParameter: they are something else.
        """
        if not isinstance(clear, bool):
            raise InvalidParameter("clear is True or False (without a value on the command line)")
        if lookup is None or isinstance(lookup, Password):
            return cls(clear, lookup)
        if isinstance(lookup, str | os.PathLike):
            lookup = _lines(Path(lookup))
        if isinstance(lookup, tuple | list) and len(lookup) == 2 and all(isinstance(one, str) for one in lookup):
            return cls(clear, Password(*lookup))
        raise InvalidParameter(
            "lookup is a pair of user and password, or the name of a file with the two on a line each"
        )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()[:2]
    except OSError as error:
        raise InvalidParameter(f"the lookup account cannot be read: {error}") from error
    except UnicodeDecodeError:
        raise InvalidParameter(f"the lookup account in {path} is not UTF-8") from None
