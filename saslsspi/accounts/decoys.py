"""What users without an account are shown, so that nobody can ask who has one (RFC 5802 section 9).

A user without an account sees what one with an account sees: a salt that is the same each time, an iteration count
that users here have, and a refusal behind the same work. Known and unknown users go through the functions here alike;
what an authority holds decides how much work that is, and never who asks.

A count is shown before anything is proved. Where accounts have different ones, an unknown name gets one of them by
chance, as often as accounts have it; the choice depends on the name and a key, and stays. An authority that does not
say which counts it has is observed: what it was not yet seen to have, no unknown name is shown. Until its first account
with keys was seen nobody here can know what that will be, so a count that nobody expected is a warning in the log.
"""

from __future__ import annotations

import hmac
import logging
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, Self
from weakref import WeakKeyDictionary

from saslsspi.accounts.account import Account, ScramKeys, Secret, scram_secret
from saslsspi.crypto.scram import HASHES, client_keys
from saslsspi.errors import InvalidParameter
from saslsspi.prep import Preparation, prepare, saslprep

__all__ = ["DecoyMemory", "Decoys", "ShownKeys"]

_LOG: Final = logging.getLogger("saslsspi.accounts")
_LOG.addHandler(logging.NullHandler())
_STORED_ITERATIONS: Final = 10_000  # what derive_scram_keys makes
_DERIVED_ITERATIONS: Final = 4096  # RFC 7677 section 3: "at least 4096"; it is spent in each logon
_SALT_SIZE: Final = 16
_MAX_SHAPES: Final = 16
_BEYOND_ASCII: Final = "p\u00e4ssword"
_WITHIN_ASCII: Final = "password"
_STRONGEST_FIRST: Final = ("SHA-512", "SHA-256", "SHA-1")


class _Shape(NamedTuple):
    """How stored keys look from outside."""

    iterations: int
    salt_size: int


class ShownKeys(NamedTuple):
    """What the server shows of a user in its first message, and what it may verify with.

    Attributes:
        stored: The stored keys, None where there are none.
    """

    salt: bytes
    iterations: int
    stored: ScramKeys | None


Holds = Callable[[bytes], bool]
"""Whether a client's proof holds for a stored key."""


class Decoys:
    """What an authority's unknown users are shown, and the work that each of its users costs. Safe under threads.

    Args:
        key: The secret behind the salts, at least 16 octets. Servers behind one name share it.
        secrets: The kinds that the store holds; None does not say.
        iterations: The counts of its stored keys; empty where they are learned.
        learns: Whether accounts that are looked up tell more.

    Raises:
        InvalidParameter: the key is too short.
    """

    _KEPT: Final = 1024

    def __init__(
        self,
        key: bytes,
        *,
        secrets: frozenset[Secret] | None = None,
        iterations: Sequence[int] = (),
        learns: bool = True,
    ) -> None:
        if len(key) < _SALT_SIZE:
            raise InvalidParameter(f"the key behind SCRAM salts has {len(key)} octets, expected at least {_SALT_SIZE}")
        self._key = key
        self._learns = learns
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, str, int], tuple[bytes, ScramKeys | None]] = OrderedDict()
        # Which hashes have stored keys: where nobody says, those that derive_scram_keys makes.
        stored = {name for name in HASHES if secrets is not None and scram_secret(name) in secrets}
        self._derives = secrets is None or Secret.PASSWORD in secrets
        expected: Sequence[int] = iterations or (
            _STORED_ITERATIONS if secrets is None or stored else _DERIVED_ITERATIONS,
        )
        self._expected = [_Shape(count, _SALT_SIZE) for count in expected]
        self._counts = set(expected)
        self._shapes: dict[str, Counter[_Shape]] = {}
        # What PLAIN spends on every try: by hash the largest count that an account may have.
        self._most: dict[str, int] = {}
        if secrets is None or stored:
            # An account may have keys of any of the hashes, and of that one alone.
            self._most = dict.fromkeys(stored or {"SHA-256"}, max(expected))

    @classmethod
    def of_accounts(cls, key: bytes, accounts: Iterable[Account]) -> Self:
        """Return what fits a store of which all accounts are known."""
        known = list(accounts)
        secrets = frozenset[Secret]().union(*(account.secrets for account in known))
        made = cls(key, secrets=secrets or frozenset({Secret.PASSWORD}))
        made._most.clear()
        for account in known:
            made._learn(account, 1)
        made._learns = False
        made._counts = {shape.iterations for shapes in made._shapes.values() for shape in shapes}
        return made

    @classmethod
    def joined(cls, key: bytes, parts: Sequence[Decoys]) -> Self:
        """Return what fits several stores together."""
        made = cls(key, secrets=frozenset())
        made._learns = any(part._learns for part in parts)
        made._derives = any(part._derives for part in parts)
        made._expected = [max(shape for part in parts for shape in part._expected)]
        made._counts = set[int]().union(*(part._counts for part in parts))
        for part in parts:
            for name, shapes in part._shapes.items():
                made._shapes.setdefault(name, Counter()).update(shapes)
            for name, most in part._most.items():
                made._most[name] = max(most, made._most.get(name, 0))
        return made

    def observe(self, account: Account | None) -> None:
        """Learn from an account that was looked up, where the authority did not say what it has."""
        if account is None:
            return
        for keys in account.scram.values():
            if keys.iterations not in self._counts:
                self._surprised(keys.iterations)
        if self._learns:
            self._learn(account, 0)

    def _surprised(self, count: int) -> None:
        with self._lock:
            if count in self._counts or len(self._counts) > _MAX_SHAPES:
                return
            shown = ", ".join(str(known) for known in sorted(self._counts))
            self._counts.add(count)
        _LOG.warning(
            "an account has SCRAM keys of %d iterations, and unknown names are shown %s: who asks can tell them apart. "
            "Say which counts there are with the authority's attribute or argument iterations",
            count, shown,
        )  # fmt: skip

    def _learn(self, account: Account, weight: int) -> None:
        with self._lock:
            for name, keys in account.scram.items():
                shape, shapes = _Shape(keys.iterations, len(keys.salt)), self._shapes.setdefault(name, Counter())
                if shape in shapes or len(shapes) < _MAX_SHAPES:
                    # Who logs on often counts once: how many have such keys is known only where all accounts are.
                    shapes[shape] = shapes[shape] + weight or 1
            used = None if account.password is not None else _strongest(account)
            if used is not None:
                self._most[used.hash_name] = max(used.iterations, self._most.get(used.hash_name, 0))

    def show(self, account: Account | None, username: str, hash_name: str, counts: range) -> ShownKeys:
        """Return what is shown of a user who may have no account.

        Args:
            account: What the authority knows of the user, if anything.
            username: The name as it was looked up.
            hash_name: SHA-1, SHA-256 or SHA-512.
            counts: The iteration counts that the policy allows; stored keys with another one are not used.
        """
        self.observe(account)
        shape = self._shape(username, hash_name)
        salt = self._salt(username, hash_name, shape.salt_size)
        stored = account.scram.get(hash_name) if account is not None else None
        if stored is not None and stored.iterations in counts:
            return ShownKeys(stored.salt, stored.iterations, stored)
        return ShownKeys(salt, max(shape.iterations, counts.start), None)

    def verified(
        self,
        shown: ShownKeys,
        account: Account | None,
        username: str,
        hash_name: str,
        holds: Holds,
        preparation: Preparation = Preparation.REQUIRED,
    ) -> ScramKeys | None:
        """Return the keys for which a proof holds; None for a wrong proof, which costs the same for every name.

        Args:
            shown: What show returned, for the same account, username and hash_name.
            account: What the authority knows of the user, if anything.
            username: The name as it was looked up.
            hash_name: SHA-1, SHA-256 or SHA-512.
            holds: Whether the client's proof holds for a stored key.
            preparation: Of the account's password.
        """
        prepared = self._prepared(account.password if account is not None else None, username, hash_name, preparation)
        place = (hash_name, username, shown.iterations)
        nothing = self._secret("stored key", username, hash_name)
        with self._lock:
            made_of, kept = self._made.get(place, (nothing, None))
        # Who logged on here before is not derived anew, and a wrong proof does not tell that: it goes on below.
        known = kept if hmac.compare_digest(made_of, prepared) else None
        if shown.stored is not None:
            known = shown.stored
        right = holds(known.stored_key if known is not None else nothing)
        if (right and known is not None) or not self._derives:
            return known if right else None
        # From here on nothing depends on what is known of the user but the answer.
        derived = client_keys(hash_name, prepared, shown.salt, shown.iterations)
        keys = ScramKeys(hash_name, shown.salt, shown.iterations, derived.stored_key, derived.server_key)
        right = holds(keys.stored_key)
        if shown.stored is not None or account is None or account.password is None:
            return None
        self._keep(place, prepared, keys)
        return keys if right else None

    def _keep(self, place: tuple[str, str, int], prepared: bytes, keys: ScramKeys) -> None:
        with self._lock:
            self._made[place] = prepared, keys
            self._made.move_to_end(place)
            while len(self._made) > self._KEPT:
                self._made.popitem(last=False)

    def password_holds(
        self,
        account: Account | None,
        username: str,
        given: bytes,
        preparation: Preparation = Preparation.REQUIRED,
    ) -> bool:
        """Whether a prepared password is the user's; a wrong one costs the same for every name.

        What each try costs is what the dearest account here costs: two derivations for each hash of stored keys, of as
        many iterations together, whoever asks.
        """
        self.observe(account)
        own = _strongest(account) if account is not None and account.password is None else None
        has_password = account is not None and account.password is not None
        prepared = self._prepared(account.password if account is not None else None, username, "", preparation)
        right = hmac.compare_digest(given, prepared) and has_password
        for name, most in tuple(self._most.items()):
            shape = self._shape(username, name)
            salt, count = self._salt(username, name, shape.salt_size), min(shape.iterations, most)
            expected = self._secret("stored key", username, name)
            mine = own is not None and own.hash_name == name
            if mine and own is not None:
                salt, count, expected = own.salt, own.iterations, own.stored_key
            made = client_keys(name, given, salt, count)
            client_keys(name, given, salt, max(most - count, 0) + 1)
            right |= hmac.compare_digest(made.stored_key, expected) and mine
        return right

    def _prepared(self, password: str | None, username: str, hash_name: str, preparation: Preparation) -> bytes:
        """Return the password of an account prepared; where there is none that anybody could type, a secret."""
        secret = self._secret("password", username, hash_name)
        text = secret.hex() if password is None else password
        # One preparation each of a text within ASCII and of one beyond, whichever the password is.
        saslprep(_BEYOND_ASCII if text.isascii() else _WITHIN_ASCII, stored=True)
        try:
            prepared = prepare(text, preparation, stored=True).encode()
        except (InvalidParameter, UnicodeEncodeError):
            return secret
        # "If the preparation ... results in an empty string" nobody gets in.
        return prepared or secret

    def _shape(self, username: str, hash_name: str) -> _Shape:
        """Return how the keys of a user would look: each shape as often as accounts have it, the same each time."""
        with self._lock:
            shapes = list(self._shapes.get(hash_name, {}).items())
        if not shapes:
            shapes = [(shape, 1) for shape in self._expected]
        if len(shapes) == 1:
            return shapes[0][0]

        # Each shape draws a number, and the lowest wins: a new shape changes what few names are shown.
        def drawn(entry: tuple[_Shape, int]) -> float:
            shape, weight = entry
            octets = self._secret(f"shape {shape.iterations} {shape.salt_size}", username, hash_name)
            return -math.log((int.from_bytes(octets[:6]) + 1) / (1 << 48)) / weight

        return min(shapes, key=drawn)[0]

    def _salt(self, username: str, hash_name: str, size: int) -> bytes:
        material = b""
        while len(material) < size:
            material += self._secret(f"salt {len(material)}", username, hash_name)
        return material[:size]

    def _secret(self, purpose: str, username: str, hash_name: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{hash_name}\0{username}".encode(), sha256)


def _strongest(account: Account) -> ScramKeys | None:
    return next((account.scram[name] for name in _STRONGEST_FIRST if name in account.scram), None)


class DecoyMemory:
    """Keeps the decoys of authorities that have lookup alone, as long as each of them lives. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: WeakKeyDictionary[object, Decoys] = WeakKeyDictionary()
        self._of_all_others: Decoys | None = None

    def of(self, authority: object | None, random: Callable[[int], bytes]) -> Decoys:
        """Return the decoys of an authority, the same object each time.

        Args:
            authority: None where the caller of the server answers for it.
            random: Where the key of new ones comes from.
        """
        with self._lock:
            try:
                if authority is not None:
                    kept = self._kept.get(authority)
                    if kept is None:
                        kept = self._kept[authority] = Decoys(random(32))
                    return kept
            except TypeError:  # it has no hash, or takes no weak reference
                pass
            if self._of_all_others is None:
                self._of_all_others = Decoys(random(32))
            return self._of_all_others
