"""What an acceptor asks about a user, and what it is told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import ClassVar, Final, NamedTuple, Protocol

from saslsspi.crypto.md4 import md4
from saslsspi.errors import InvalidParameter

__all__ = [
    "Account",
    "AccountLookup",
    "Pending",
    "Question",
    "ScramKeys",
    "Secret",
    "derive_ha1",
    "derive_nt_hash",
    "scram_secret",
    "user_hash",
]

_HASH_SIZE: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A kind of secret that an acceptor can verify with. Two kinds are the same only where they are one object.

    The kinds that the mechanisms of this library verify with are attributes of the class. A mechanism of one's own
    that verifies with something else makes one more, `OTP = Secret("otp", "the seed of a one-time password")`, asks
    for it, and finds it in the account: `Account(username="alice", other={OTP: seed})`, `account.secret(OTP)`. Every
    authority of this library passes it on.

    Attributes:
        name: What a file of accounts calls it.
        meaning: In words for a person.
        read: Makes a secret of what stands in a file of accounts; raises ValueError where it is none.
        presented: Whether it is nothing that an account has, but what a client presents and the authority verifies:
            who has no other kind knows nobody before that.
    """

    name: str
    meaning: str
    read: Callable[[object], object] = field(default=lambda value: value, repr=False)
    presented: bool = False

    HA1: ClassVar[Secret]
    NT_HASH: ClassVar[Secret]
    SCRAM_SHA_1: ClassVar[Secret]
    SCRAM_SHA_256: ClassVar[Secret]
    SCRAM_SHA_512: ClassVar[Secret]
    PASSWORD: ClassVar[Secret]
    EXISTENCE: ClassVar[Secret]
    TOKEN: ClassVar[Secret]
    VERIFIED: ClassVar[Secret]


Secret.HA1 = Secret("ha1", "H(user:realm:password)")
Secret.NT_HASH = Secret("nt_hash", "MD4 of the UTF-16LE password")
Secret.SCRAM_SHA_1 = Secret("scram-sha-1", "SCRAM stored and server key, of SHA-1")
Secret.SCRAM_SHA_256 = Secret("scram-sha-256", "SCRAM stored and server key, of SHA-256")
Secret.SCRAM_SHA_512 = Secret("scram-sha-512", "SCRAM stored and server key, of SHA-512")
Secret.PASSWORD = Secret("password", "the password")
Secret.EXISTENCE = Secret("existence", "that the account exists")
Secret.TOKEN = Secret("token", "the token of OAuth that is valid now", presented=True)
Secret.VERIFIED = Secret("verified", "the password that somebody else has verified", presented=True)

_SCRAM: Final[Mapping[str, Secret]] = {
    "SHA-1": Secret.SCRAM_SHA_1,
    "SHA-256": Secret.SCRAM_SHA_256,
    "SHA-512": Secret.SCRAM_SHA_512,
}


def scram_secret(hash_name: str) -> Secret:
    """Return the kind of a SCRAM hash: SHA-1, SHA-256 or SHA-512."""
    return _SCRAM[hash_name]


def user_hash(username: str, realm: str, hash_name: str) -> str:
    """Return H(user:realm) in hex, by which HTTP Digest hides a name (RFC 7616 section 3.4.4).

    An authority that serves userhash stores it beside the name, in a column with an index: see Question.hashed_with.

    Args:
        username: The name as the authority has it.
        realm: The realm of the server.
        hash_name: As hashlib spells it: md5, sha256, sha512_256.
    """
    return hashlib.new(hash_name, f"{username}:{realm}".encode()).hexdigest()


def derive_ha1(username: str, realm: str, password: str) -> bytes:
    """Return H(user:realm:password), 16 octets: what DIGEST-MD5 and HTTP Digest verify with (RFC 2831 section 2.1.2.1).

    It is as good as the password to who has it, for this realm. Values that fit into ISO 8859-1 are hashed so.
    """
    # "If ... all the characters of the value are in the ISO 8859-1 character set, then it must be converted to
    # ISO 8859-1 before being hashed."
    fitting = (value.encode("latin-1" if _fits(value) else "utf-8") for value in (username, realm, password))
    return hashlib.md5(b":".join(fitting), usedforsecurity=False).digest()


def derive_nt_hash(password: str) -> bytes:
    """Return the NT hash, 16 octets: what NTLM verifies with (MS-NLMP section 3.3.1). It is as good as the password."""
    return md4(password.encode("utf-16-le", "surrogatepass"))


def _fits(value: str) -> bool:
    return all(ord(character) < 256 for character in value)


class Question(NamedTuple):
    """What an acceptor must know of a user before it can go on.

    Attributes:
        username: The name as the client sent it, decoded.
        realm: The realm or domain that the client named, or that the server has; "" without one.
        secrets: Which kinds of secrets suffice, the weakest first.
        any_case: Whether names are compared without regard to case, as Windows does.
        hashed_with: Name of a hash of hashlib: username is not a name but user_hash(name, realm, hashed_with); ""
            for a username as it is.
        token: The token of OAuth that the client presents, where that is to be verified; the answer is an account with
            the same token as its Secret.TOKEN, and then username is whom the client wants to be, or "". Its repr
            omits it.
        password: The password that the client presents, as it came, where the mechanism shows it; "" where it does not.
            Who can only verify it answers with an account with the same password as its Secret.VERIFIED. Its repr
            omits it.
    """

    username: str
    realm: str
    secrets: tuple[Secret, ...]
    any_case: bool = False
    hashed_with: str = ""
    token: str = ""
    password: str = ""

    def __repr__(self) -> str:
        kinds = ", ".join(kind.name for kind in self.secrets)
        return f"<Question about {self.username!r} in {self.realm!r}: {kinds}>"

    def means(self, username: str) -> bool:
        """Whether an account of this name is the one that is asked for."""
        if self.hashed_with:
            return hmac.compare_digest(
                user_hash(username, self.realm, self.hashed_with).encode(), self.username.encode()
            )
        return self.username == username or (self.any_case and self.username.casefold() == username.casefold())


class Pending(NamedTuple):
    """An acceptor's step that waits for an answer about an account; pass the answer to resume."""

    question: Question


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a SCRAM server stores (RFC 5802 section 3): no password, and nothing that logs on elsewhere."""

    hash_name: str
    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an authority knows of a user. Its repr omits every secret.

    Attributes:
        username: The name as the authority has it.
        realm: The only realm that the account serves; "" for all.
        domain: Its Windows domain, "" without one.
        ha1: H(user:realm:password), 16 octets, for the realm that was asked.
        nt_hash: MD4 of the UTF-16LE password, 16 octets.
        scram: SCRAM keys by hash name.
        may_act_as: Authorization identities that this user may assume beside its own.
        other: Secrets of other kinds.
        source: The authority that the account came from, where several are asked; a chain sets it.

    Raises:
        InvalidParameter: a secret is not of its type or size; the text names the user and the field.
    """

    username: str
    realm: str = ""
    domain: str = ""
    password: str | None = field(default=None, repr=False)
    ha1: bytes | None = field(default=None, repr=False)
    nt_hash: bytes | None = field(default=None, repr=False)
    scram: Mapping[str, ScramKeys] = field(default_factory=dict, repr=False)
    may_act_as: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    other: Mapping[Secret, object] = field(default_factory=dict, repr=False)
    source: AccountLookup | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in (("ha1", self.ha1), ("nt_hash", self.nt_hash)):
            if value is not None and (not isinstance(value, bytes) or len(value) != _HASH_SIZE):
                raise InvalidParameter(f"{name} of the account {self.username!r} is not {_HASH_SIZE} octets")
        if self.password is not None and not isinstance(self.password, str):
            raise InvalidParameter(f"the password of the account {self.username!r} is not a string")

    @property
    def shown(self) -> Account:
        """What a result holds of the account, without its secrets and the authority that it came from."""
        return Account(
            username=self.username,
            realm=self.realm,
            domain=self.domain,
            may_act_as=self.may_act_as,
            groups=self.groups,
        )

    def secret(self, kind: Secret) -> object | None:
        """Return the secret of a kind, or None where the account has none such."""
        reader = _READERS.get(kind)
        return self.other.get(kind) if reader is None else reader(self)

    @property
    def secrets(self) -> frozenset[Secret]:
        """The kinds of secrets that the account has."""
        return frozenset(kind for kind in (*_READERS, *self.other) if self.secret(kind) is not None)


class AccountLookup(Protocol):
    """What alone is asked of an authority of one's own; `Authority` is the base class that has the rest."""

    def lookup(self, question: Question) -> Account | Awaitable[Account | None] | None:
        """Return what is known of a user, or None for an unknown one.

        `async def` works wherever there is an event loop to await it.

        Raises:
            NoAuthenticatingAuthority: the store cannot be reached.
        """


_READERS: Final[Mapping[Secret, Callable[[Account], object | None]]] = {
    Secret.HA1: attrgetter("ha1"),
    Secret.NT_HASH: attrgetter("nt_hash"),
    Secret.SCRAM_SHA_1: lambda account: account.scram.get("SHA-1"),
    Secret.SCRAM_SHA_256: lambda account: account.scram.get("SHA-256"),
    Secret.SCRAM_SHA_512: lambda account: account.scram.get("SHA-512"),
    Secret.PASSWORD: attrgetter("password"),
    Secret.EXISTENCE: attrgetter("username"),
}
