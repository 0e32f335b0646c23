"""What a client authenticates with, as values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar, cast

from saslsspi.errors import InvalidParameter, NoCredentials, SaslError
from saslsspi.kinds import check_kind, kinds_checked

__all__ = ["Anonymous", "Credentials", "NtHash", "Password", "PerPackage", "Tickets", "Token"]

_T = TypeVar("_T")
_MOST_DERIVED: Final = 8


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and a password. Its repr omits the password.

    What is expensive to derive of a password stays with the object, and goes with it: with the same one, a second SCRAM
    logon at a server derives no keys.

    Attributes:
        realm: The realm (Digest, Kerberos) or domain (NTLM); None takes the one that the server offers.
    """

    username: str
    password: str = field(repr=False)
    realm: str | None = field(default=None, kw_only=True)
    _derived: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_password(self)

    def derived(self, what: Hashable, derive: Callable[[], _T]) -> _T:
        """Return what was derived of the password before, or derive it; the last few are kept.

        Args:
            what: Says what it is, with all that it depends on but the password.
            derive: Does.
        """
        known = self._derived
        if what not in known:
            value = derive()
            while len(known) >= _MOST_DERIVED:
                known.pop(next(iter(known), what), None)
            known[what] = value
            return value
        return cast(_T, known[what])


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


class _Last:
    """The token that a function gave last, for every logon with it. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""

    def current(self, ask: Callable[[], object]) -> tuple[str, bool]:
        with self._lock:  # whoever comes meanwhile waits for the answer, and does not ask as well
            if self._token:
                return self._token, True
            self._token = _answer(ask)
            return self._token, False

    def give_up(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = ""

    def __reduce__(self) -> tuple[type[_Last], tuple[()]]:
        return _Last, ()  # a copy in another process asks anew


def _answer(ask: Callable[[], object]) -> str:
    try:
        answer = ask()
    except SaslError:
        raise
    except Exception as error:
        raise NoCredentials(f"the function that gives tokens failed with {type(error).__name__}: {error}") from error
    if not isinstance(answer, str) or not answer:
        raise NoCredentials(f"the function that gives tokens gave {type(answer).__name__}, and no text with a token")
    return answer


@dataclass(frozen=True, slots=True)
class Token:
    """A user name and an access token of OAuth 2.0, for OAUTHBEARER and XOAUTH2. Its repr omits the token.

    Attributes:
        username: Whose mailbox or account; "" leaves that to the token, which OAUTHBEARER can.
        token: The token, or a function that returns one. The function is asked when a token is needed first, and
            again when the server says that it has expired: once in each logon, and once for all logons that use this
            object at the same time. It may block.

    Raises:
        InvalidParameter: it is neither.
    """

    username: str
    token: str | Callable[[], str] = field(repr=False)
    _last: _Last = field(init=False, repr=False, compare=False, default_factory=_Last)

    def __post_init__(self) -> None:
        check_kind("username", self.username, str)
        if not isinstance(self.token, str) and not callable(self.token):
            raise InvalidParameter(
                f"a token is a text, or a function that returns one, not {type(self.token).__name__}"
            )

    @property
    def renewable(self) -> bool:
        """Whether there is a function that can be asked for another token."""
        return not isinstance(self.token, str)

    def current(self) -> tuple[str, bool]:
        """Return the token, and whether an earlier logon had it already.

        Raises:
            NoCredentials: the function failed, or gave none.
        """
        return (self.token, False) if isinstance(self.token, str) else self._last.current(self.token)

    def give_up(self, token: str) -> bool:
        """Use a token no longer, which a server has refused; whether another one can be had."""
        self._last.give_up(token)
        return self.renewable


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


Credentials: TypeAlias = Password | NtHash | Tickets | PerPackage | Token | Anonymous
