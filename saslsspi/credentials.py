"""What a client authenticates with, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from saslsspi.errors import InvalidParameter
from saslsspi.kinds import check_kind, kinds_checked

__all__ = ["Anonymous", "Credentials", "NtHash", "Password"]


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
class NtHash:
    """A user name and the NT hash of a password, which is all that NTLM needs of it. Its repr omits the hash.

    It serves NTLM, and Negotiate and CredSSP with NTLM inside; Kerberos and all else need the password itself. Keep it
    like a password: whoever has it logs on with it.

    Attributes:
        nt_hash: MD4 of the password in UTF-16LE, 16 octets; 32 hexadecimal digits are taken as well, and "LM:NT" as
            other tools write it, of which the second half counts.
        realm: The domain; None takes the one that the server offers.

    Raises:
        InvalidParameter: it is none of these.
    """

    username: str
    nt_hash: bytes | str = field(repr=False)
    realm: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_hash(self)
        octets = self.nt_hash
        if isinstance(octets, str):
            try:
                octets = bytes.fromhex(octets.rpartition(":")[2])
            except ValueError:
                octets = b""  # and nothing of it in a text
        if len(octets) != 16:
            raise InvalidParameter("an NT hash is 16 octets, or 32 hexadecimal digits, after LM: or without it")
        object.__setattr__(self, "nt_hash", octets)

    @property
    def octets(self) -> bytes:
        """The 16 octets, however they were given."""
        assert isinstance(self.nt_hash, bytes)
        return self.nt_hash


_check_hash: Final = kinds_checked(username=str, nt_hash=(bytes, str), realm=(str, type(None)))


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


Credentials: TypeAlias = Password | NtHash | Anonymous
