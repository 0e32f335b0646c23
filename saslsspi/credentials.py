"""What a client authenticates with, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from saslsspi.kinds import check_kind, kinds_checked

__all__ = ["Anonymous", "Credentials", "Password"]


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and a password. Its repr omits the password.

    Attributes:
        realm: The realm (Digest, Kerberos) or domain (NTLM); None takes the one that the server offers.
    """

    username: str
    password: str = field(repr=False)
    realm: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_password(self)


_check_password: Final = kinds_checked(username=str, password=str, realm=(str, type(None)))


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody, who may leave a trace for the server's log (RFC 4505).

    Attributes:
        trace: An email address, or a text without "@" of at most 255 characters; "" leaves none. Nothing is put
            here that the user did not ask to be told (section 5).
    """

    trace: str = ""

    def __post_init__(self) -> None:
        check_kind("trace", self.trace, str)


Credentials: TypeAlias = Password | Anonymous
