"""What a SCRAM server keeps of an account, and what it shows for accounts that it keeps nothing of.

Stored keys are made from a password once, by derive_scram_keys, and written down as RFC 5803 has it. Who has no stored
keys, or no account at all, gets a salt that depends on the name and on a secret of the authority: the same one each
time, so that nobody can tell which names exist (RFC 5802 section 9).
"""

from __future__ import annotations

import hmac
import os
import re
import threading
from binascii import Error, a2b_base64, b2a_base64
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, Self
from weakref import WeakKeyDictionary

from saslsspi.accounts.account import Account, ScramKeys
from saslsspi.accounts.authority import Authority
from saslsspi.crypto.scram import HASHES, client_keys, size_of
from saslsspi.errors import InvalidParameter
from saslsspi.prep import saslprep

__all__ = ["ScramDeriver", "derive_scram_keys", "deriver_of", "format_scram_keys", "parse_scram_keys"]

_STORED_ITERATIONS: Final = 10_000
_DERIVED_ITERATIONS: Final = 4096  # RFC 7677 section 3: "at least 4096"; it is spent in each logon
_MAX_ITERATIONS: Final = 10_000_000
_SALT_SIZE: Final = 16
_WRITTEN: Final = re.compile(
    r"SCRAM-(?P<hash>SHA-[0-9]+)\$(?P<iterations>[1-9][0-9]{0,8}):(?P<salt>[A-Za-z0-9+/=]+)"
    r"\$(?P<stored>[A-Za-z0-9+/=]+):(?P<server>[A-Za-z0-9+/=]+)\Z"
)


def derive_scram_keys(
    password: str,
    hash_name: str = "SHA-256",
    *,
    iterations: int = _STORED_ITERATIONS,
    salt: bytes | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> ScramKeys:
    """Return the keys to store for a password (RFC 5802 section 3).

    Args:
        password: As the user types it; it is prepared here, as a stored string.
        hash_name: SHA-1, SHA-256 or SHA-512.
        iterations: At least 4096; more make guessing dearer, and each of the client's logons.
        salt: None makes one of 16 octets.
        random: Where that comes from.

    Raises:
        InvalidParameter: the password cannot be prepared, or an argument is out of its range.
    """
    if hash_name not in HASHES:
        raise InvalidParameter(f"SCRAM with hash {hash_name!r} is not known; there are {', '.join(HASHES)}")
    if not _DERIVED_ITERATIONS <= iterations <= _MAX_ITERATIONS:
        raise InvalidParameter(
            f"iterations must lie between {_DERIVED_ITERATIONS} and {_MAX_ITERATIONS}, not {iterations}"
        )
    prepared = saslprep(password, stored=True)
    if not prepared or salt == b"":
        raise InvalidParameter("SCRAM keys need a password and a salt that are not empty")
    used = random(_SALT_SIZE) if salt is None else salt
    keys = client_keys(hash_name, prepared.encode(), used, iterations)
    return ScramKeys(hash_name, used, iterations, keys.stored_key, keys.server_key)


def format_scram_keys(keys: ScramKeys) -> str:
    """Write keys down as `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` (RFC 5803), as PostgreSQL does too."""
    salt, stored, server = (
        b2a_base64(octets, newline=False).decode() for octets in (keys.salt, keys.stored_key, keys.server_key)
    )
    return f"SCRAM-{keys.hash_name}${keys.iterations}:{salt}${stored}:{server}"


def parse_scram_keys(text: str) -> ScramKeys:
    """Read what format_scram_keys wrote.

    Raises:
        InvalidParameter: it is something else; the text of the error shows nothing of it.
    """
    found = _WRITTEN.match(text)
    if found is None or found["hash"] not in HASHES:
        raise InvalidParameter("SCRAM keys are not of the form SCRAM-<hash>$<iterations>:<salt>$<key>:<key>")
    try:
        salt, stored, server = (a2b_base64(found[part], strict_mode=True) for part in ("salt", "stored", "server"))
    except Error:
        raise InvalidParameter("the salt or a key of SCRAM keys is not base64") from None
    size = size_of(found["hash"])
    if len(stored) != size or len(server) != size:
        raise InvalidParameter(f"keys of SCRAM-{found['hash']} have {size} octets, not {len(stored)} and {len(server)}")
    return ScramKeys(found["hash"], salt, int(found["iterations"]), stored, server)


class ScramDeriver:
    """Makes salts and keys for users without stored keys, whether there is a password or nobody at all.

    Both cost the same: the same work, and the same place among the few results that are kept.

    Args:
        key: The secret behind the salts, at least 16 octets. Servers behind one name share it.
        iterations: The iteration count to announce; that of the stored keys, where there are any.
        stored: Whether the accounts that exist have stored keys, so that a known user costs no derivation.
    """

    _KEPT: Final = 1024

    def __init__(self, key: bytes, *, iterations: int = _DERIVED_ITERATIONS, stored: bool = False) -> None:
        if len(key) < _SALT_SIZE:
            raise InvalidParameter(f"the key behind SCRAM salts has {len(key)} octets, expected at least {_SALT_SIZE}")
        self._key = key
        self.iterations = iterations
        self.stored = stored
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, str, int], tuple[bytes, ScramKeys]] = OrderedDict()

    @classmethod
    def for_accounts(cls, accounts: Iterable[Account], key: bytes) -> Self:
        """Return one whose inventions look like the given accounts."""
        counts = Counter(keys.iterations for account in accounts for keys in account.scram.values())
        if not counts:
            return cls(key)
        return cls(key, iterations=counts.most_common(1)[0][0], stored=True)

    def salt(self, username: str, hash_name: str) -> bytes:
        """Return the salt of a user, the same one each time."""
        return self._secret("salt", username, hash_name)[:_SALT_SIZE]

    def keys(self, username: str, hash_name: str, password: str | None, iterations: int) -> ScramKeys:
        """Return the keys of a user with that salt; without a password, keys that nobody can have a proof for.

        An empty password is none: "If the preparation ... results in an empty string" nobody gets in.

        Raises:
            InvalidParameter: the password cannot be prepared.
        """
        prepared = b"" if password is None else saslprep(password, stored=True).encode()
        if not prepared:
            prepared = self._secret("password", username, hash_name)
        place = (hash_name, username, iterations)
        with self._lock:
            made = self._made.get(place)
            if made is not None and hmac.compare_digest(made[0], prepared):
                self._made.move_to_end(place)
                return made[1]
        salt = self.salt(username, hash_name)
        derived = client_keys(hash_name, prepared, salt, iterations)
        keys = ScramKeys(hash_name, salt, iterations, derived.stored_key, derived.server_key)
        with self._lock:
            self._made[place] = prepared, keys
            self._made.move_to_end(place)
            while len(self._made) > self._KEPT:
                self._made.popitem(last=False)
        return keys

    def _secret(self, purpose: str, username: str, hash_name: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{hash_name}\0{username}".encode(), sha256)


_lock: Final = threading.Lock()
_derivers: Final[WeakKeyDictionary[Authority, ScramDeriver]] = WeakKeyDictionary()
_of_everybody: Final[list[ScramDeriver]] = []


def deriver_of(authority: Authority | None, random: Callable[[int], bytes]) -> ScramDeriver:
    """Return the deriver of an authority: its attribute `scram_deriver`, or one that is made at first use and kept.

    Args:
        authority: None where the caller of the server answers for it.
        random: Where the key of a new one comes from.
    """
    own = getattr(authority, "scram_deriver", None)
    if isinstance(own, ScramDeriver):
        return own
    with _lock:
        try:
            found = _derivers.get(authority) if authority is not None else None
            if found is None and authority is not None:
                found = _derivers[authority] = ScramDeriver(random(32))
        except TypeError:  # it has no hash, or takes no weak reference
            found = None
        if found is None:
            if not _of_everybody:
                _of_everybody.append(ScramDeriver(random(32)))
            found = _of_everybody[0]
    return found
