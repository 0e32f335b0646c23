"""An account as it is kept: keys by kind and realm, and the password only where a store is made of passwords."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, Self

from saslsspi.accounts.account import Account, ScramKeys, Secret, derive_ha1, derive_nt_hash
from saslsspi.accounts.scram import derive_scram_keys
from saslsspi.errors import InvalidParameter

__all__ = ["KEYS", "AccountStore", "StoredAccount", "derived"]

KEYS: Final[Mapping[str, Secret]] = {
    kind.name: kind
    for kind in (Secret.SCRAM_SHA_256, Secret.SCRAM_SHA_512, Secret.SCRAM_SHA_1, Secret.HA1, Secret.NT_HASH)
}
"""What can be kept in place of a password, by name."""

_HASHES: Final = {Secret.SCRAM_SHA_1: "SHA-1", Secret.SCRAM_SHA_256: "SHA-256", Secret.SCRAM_SHA_512: "SHA-512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """All that is kept of a user. Its repr omits every secret.

    Attributes:
        username: The name as users type it.
        domain: Its Windows domain, "" without one.
        password: Where the store keeps passwords, or where another one is read.
        ha1: H(user:realm:password), 16 octets, by realm; "" for a store that does not say of which realm.
        nt_hash: 16 octets.
        scram: SCRAM keys by the name of their hash.
        may_act_as: Authorization identities that this user may assume beside its own.
        groups: Names of groups.
    """

    username: str
    domain: str = ""
    password: str | None = field(default=None, repr=False)
    ha1: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    nt_hash: bytes | None = field(default=None, repr=False)
    scram: Mapping[str, ScramKeys] = field(default_factory=dict, repr=False)
    may_act_as: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of the kinds of secrets that it has, as Secret names them."""
        whole = [Secret.PASSWORD.name] if self.password is not None else []
        hashes = [Secret.HA1.name] if self.ha1 else []
        nt = [Secret.NT_HASH.name] if self.nt_hash is not None else []
        return (*whole, *(f"scram-{name.lower()}" for name in self.scram), *hashes, *nt)

    @property
    def accounts(self) -> Iterator[Account]:
        """The same as an acceptor is told it: one account for every realm, and one for each realm with a hash."""
        common = {"username": self.username, "may_act_as": self.may_act_as, "groups": self.groups}
        if self.password is not None or self.nt_hash is not None or self.scram:
            yield Account(
                **common,  # type: ignore[arg-type]  # each is of its field's type
                domain=self.domain,
                password=self.password,
                nt_hash=self.nt_hash,
                scram=self.scram,
            )
        for realm, octets in self.ha1.items():
            yield Account(**common, realm=realm, ha1=octets)  # type: ignore[arg-type]  # as above

    def joined(self, other: Self) -> Self:
        """Return what two entries of one user say together, the other's in preference."""
        return replace(
            self,
            domain=other.domain or self.domain,
            password=other.password if other.password is not None else self.password,
            ha1={**self.ha1, **other.ha1},
            nt_hash=other.nt_hash or self.nt_hash,
            scram={**self.scram, **other.scram},
            may_act_as=self.may_act_as | other.may_act_as,
            groups=tuple(dict.fromkeys((*self.groups, *other.groups))),
        )


def derived(
    username: str,
    password: str,
    *,
    kinds: Iterable[Secret] = (Secret.SCRAM_SHA_256,),
    realms: Collection[str] = (),
    domain: str = "",
    iterations: int = 10_000,
    random: Callable[[int], bytes] = os.urandom,
) -> StoredAccount:
    """Return an account with keys of a password, and without it.

    Args:
        username: The name as users type it.
        password: As users type it.
        kinds: What to keep, of KEYS; each serves its mechanisms, and PLAIN is served by any of SCRAM's.
        realms: The realms for which to keep HA1.
        domain: The Windows domain, "" without one.
        iterations: Of SCRAM's keys.
        random: Where their salts come from.

    Raises:
        InvalidParameter: the password cannot be prepared for SCRAM; HA1 is wanted and no realm is given, or the other
            way round; a kind is not of KEYS.
    """
    wanted = tuple(kinds)
    unknown = [kind.name for kind in wanted if kind not in KEYS.values()]
    if unknown or not wanted:
        raise InvalidParameter(f"kinds to keep are {', '.join(KEYS)}, not {', '.join(unknown) or 'none'}")
    if (Secret.HA1 in wanted) != bool(realms):
        raise InvalidParameter("ha1 is of a realm: give the realms for it, and none without it")
    return StoredAccount(
        username=username,
        domain=domain,
        ha1={realm: derive_ha1(username, realm, password) for realm in realms},
        nt_hash=derive_nt_hash(password) if Secret.NT_HASH in wanted else None,
        scram={
            name: derive_scram_keys(password, name, iterations=iterations, random=random)
            for kind, name in _HASHES.items()
            if kind in wanted
        },
    )


class AccountStore(Protocol):
    """What an administrator may do with the accounts of a place."""

    def read(self) -> Iterator[StoredAccount]:
        """Return every account, a user once, by name.

        Raises:
            NoAuthenticatingAuthority: the place cannot be reached.
            InvalidParameter: what is there is no such store.
        """

    def write(self, changed: Mapping[str, StoredAccount | None]) -> None:
        """Put accounts in the place of those of the same names, or remove them: all of it, or nothing.

        Args:
            changed: The accounts by name; None removes.

        Raises:
            InvalidParameter: the store has no place for what an account has; the text says for what.
        """
