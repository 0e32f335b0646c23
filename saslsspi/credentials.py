"""What a client authenticates with, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from saslsspi.errors import InvalidParameter
from saslsspi.kinds import check_kind, kinds_checked

__all__ = ["Anonymous", "Credentials", "NtHash", "Password", "PerPackage", "Tickets"]


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
class Tickets:
    """Kerberos tickets, or a keytab that gets them, by name: this process's own (KRB5CCNAME) are not looked at.

    With a user's name alone they are this process's own of that user.

    Attributes:
        username: Whose: `alice`, or `alice@REALM`; "" takes the cache's own, or the keytab's first.
        cache: The cache that holds the tickets, such as "FILE:/run/user/1000/tickets"; "" with a keytab is one that
            nobody else sees.
        keytab: The keys that get tickets where the cache has none, such as "FILE:/etc/svc.keytab"; "" has none.
        realm: Of the user; None is in the name, or krb5.conf's default one.

    Raises:
        InvalidParameter: nothing is named.
    """

    username: str = ""
    cache: str = field(default="", kw_only=True)
    keytab: str = field(default="", kw_only=True)
    realm: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_tickets(self)
        if not (self.username or self.cache or self.keytab):
            raise InvalidParameter("Tickets are somebody's, in a cache= or by a keytab=; name one of these")


_check_tickets: Final = kinds_checked(username=str, cache=str, keytab=str, realm=(str, type(None)))


@dataclass(frozen=True, slots=True)
class PerPackage:
    """For Negotiate, and CredSSP with it inside: one thing for Kerberos and another for NTLM.

    PerPackage({"Kerberos": Tickets(cache="FILE:/run/tickets"), "NTLM": Password("alice", "wonderland")})

    Attributes:
        packages: By the package's name, the preferred first; None is what the user has. A package that is not named
            is not offered.

    Raises:
        InvalidParameter: it names no package.
    """

    packages: Mapping[str, Password | NtHash | Tickets | None]

    def __post_init__(self) -> None:
        check_kind("packages", self.packages, Mapping)
        if not self.packages:
            raise InvalidParameter('PerPackage names at least one package: "Kerberos" or "NTLM"')
        for name, credentials in self.packages.items():
            check_kind("a package's name", name, str)
            check_kind(f"credentials for {name}", credentials, Password, NtHash, Tickets, type(None))
        object.__setattr__(self, "packages", MappingProxyType(dict(self.packages)))

    @property
    def username(self) -> str:
        """Of the first that names anybody."""
        return next((one.username for one in self.packages.values() if one is not None and one.username), "")

    def __hash__(self) -> int:
        return hash(tuple(self.packages.items()))

    def __reduce__(self) -> tuple[type[PerPackage], tuple[dict[str, Password | NtHash | Tickets | None]]]:
        return PerPackage, (dict(self.packages),)


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


Credentials: TypeAlias = Password | NtHash | Tickets | PerPackage | Anonymous
