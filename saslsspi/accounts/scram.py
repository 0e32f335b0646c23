"""What a SCRAM server keeps of an account: keys, made from a password once and written down as RFC 5803 has it."""

from __future__ import annotations

import os
import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Final

from saslsspi.accounts.account import ScramKeys
from saslsspi.crypto.scram import HASHES, SIZES, client_keys
from saslsspi.errors import InvalidParameter
from saslsspi.prep import Preparation, encode_field, prepare

__all__ = ["derive_scram_keys", "format_scram_keys", "parse_scram_keys"]

_STORED_ITERATIONS: Final = 10_000
_MIN_ITERATIONS: Final = 4096  # RFC 7677 section 3: "at least 4096"
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
    preparation: Preparation = Preparation.REQUIRED,
) -> ScramKeys:
    """Return the keys to store for a password (RFC 5802 section 3).

    Args:
        password: As the user types it; it is prepared here, as a stored string.
        hash_name: SHA-1, SHA-256 or SHA-512.
        iterations: At least 4096; more make guessing dearer, and each of the client's logons.
        salt: None makes one of 16 octets.
        random: Where that comes from.
        preparation: What is done with the password; the server's policy has the same.

    Raises:
        InvalidParameter: the password cannot be prepared, or an argument is out of its range.
    """
    if hash_name not in HASHES:
        raise InvalidParameter(f"SCRAM with hash {hash_name!r} is not known; there are {', '.join(HASHES)}")
    if not _MIN_ITERATIONS <= iterations <= _MAX_ITERATIONS:
        raise InvalidParameter(f"iterations must lie between {_MIN_ITERATIONS} and {_MAX_ITERATIONS}, not {iterations}")
    prepared = encode_field(prepare(password, preparation, stored=True), "a password")
    if not prepared or salt == b"":
        raise InvalidParameter("SCRAM keys need a password and a salt that are not empty")
    used = random(_SALT_SIZE) if salt is None else salt
    keys = client_keys(hash_name, prepared, used, iterations)
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
    size = SIZES[found["hash"]]
    if len(stored) != size or len(server) != size:
        raise InvalidParameter(f"keys of SCRAM-{found['hash']} have {size} octets, not {len(stored)} and {len(server)}")
    return ScramKeys(found["hash"], salt, int(found["iterations"]), stored, server)
