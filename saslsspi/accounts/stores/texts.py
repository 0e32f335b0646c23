"""Forms of secrets as other programs write them: Dovecot, PostgreSQL, OpenLDAP, RFC 5803."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64, unhexlify
from collections.abc import Callable, Mapping
from typing import Final
from unicodedata import category

from saslsspi.accounts.account import ScramKeys
from saslsspi.accounts.scram import format_scram_keys, parse_scram_keys
from saslsspi.accounts.stores.stored import StoredAccount
from saslsspi.errors import InvalidParameter

__all__ = ["dovecot_secret", "fits_between_colons", "postgresql_secret", "read_secret"]

_SCHEME: Final = re.compile(r"\{([A-Za-z0-9.-]{1,32})\}(.*)\Z", re.S)
_COMMAS: Final = re.compile(r"([1-9][0-9]{0,8}),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+)\Z")


def fits_between_colons(text: str) -> bool:
    """Whether a name can stand in a file of lines with colons between fields, and comes out of it as it was.

    What some reader or other takes for the end of a line is refused with all control characters, and what begins a
    comment.
    """
    odd = any(category(one) in ("Cc", "Zl", "Zp", "Cs") for one in text)
    return bool(text.strip()) and not (odd or ":" in text or text.startswith("#"))


def read_secret(username: str, realm: str, text: str) -> StoredAccount:
    """Return an account with the secret that a text of another program says.

    Args:
        username: Whose it is.
        realm: Of a {DIGEST-MD5}.
        text: `{SCHEME}data` (Dovecot's passwd-files, userPassword of LDAP), or SCRAM keys as RFC 5803 and PostgreSQL
            write them.

    Raises:
        InvalidParameter: nothing here can verify with it; the text says what it is, and shows nothing of it.
    """
    found = _SCHEME.match(text)
    if found is None:
        return _scram(username, realm, text)
    scheme = found[1].upper()
    reader = _SCHEMES.get(scheme)
    if reader is None:
        raise InvalidParameter(
            f"{scheme} of {username} is none of {', '.join(_SCHEMES)}: no mechanism but PLAIN could verify with it"
        )
    return reader(username, realm, f"{scheme}${found[2]}" if scheme.startswith("SCRAM-") else found[2])


def dovecot_secret(account: StoredAccount) -> str:
    """Return the one secret that Dovecot verifies most with.

    Raises:
        InvalidParameter: Dovecot has no scheme for what there is.
    """
    for name in ("SHA-256", "SHA-1"):
        keys = account.scram.get(name)
        if keys is not None:
            parts = (b2a_base64(octets, newline=False).decode() for octets in _parts(keys))
            return f"{{SCRAM-{name}}}{keys.iterations},{','.join(parts)}"
    for octets in account.ha1.values():
        return f"{{DIGEST-MD5}}{octets.hex()}"
    if account.password is not None:
        return f"{{PLAIN}}{account.password}"
    raise InvalidParameter(
        f"Dovecot verifies with SCRAM of SHA-1 and SHA-256 and with ha1; {account.username} has none"
    )


def _parts(keys: ScramKeys) -> tuple[bytes, bytes, bytes]:
    return keys.salt, keys.stored_key, keys.server_key


def _scram(username: str, realm: str, text: str) -> StoredAccount:
    scheme, _, rest = text.partition("$")
    commas = _COMMAS.match(rest)
    if commas is not None:  # Dovecot's
        text = f"{scheme}${commas[1]}:{commas[2]}${commas[3]}:{commas[4]}"
    elif rest.startswith("SCRAM-"):  # {SCRAM-SHA-256}SCRAM-SHA-256$...
        text = rest
    keys = parse_scram_keys(text)
    return StoredAccount(username=username, scram={keys.hash_name: keys})


def _password(username: str, realm: str, text: str) -> StoredAccount:
    return StoredAccount(username=username, password=text)


def _digest(username: str, realm: str, text: str) -> StoredAccount:
    return StoredAccount(username=username, ha1={realm: _sixteen(username, text)})


def _nt(username: str, realm: str, text: str) -> StoredAccount:
    return StoredAccount(username=username, nt_hash=_sixteen(username, text))


def _sixteen(username: str, text: str) -> bytes:
    try:
        octets = unhexlify(text.strip()) if len(text.strip()) != 24 else a2b_base64(text, strict_mode=True)
    except (Error, ValueError):
        octets = b""
    if len(octets) != 16:
        raise InvalidParameter(f"the hash of {username} is not 16 octets in hex or base64")
    return octets


_SCHEMES: Final[Mapping[str, Callable[[str, str, str], StoredAccount]]] = {
    "SCRAM-SHA-256": _scram,
    "SCRAM-SHA-512": _scram,
    "SCRAM-SHA-1": _scram,
    "DIGEST-MD5": _digest,
    "NT": _nt,
    "NTLM": _nt,
    "PLAIN": _password,
    "CLEAR": _password,
    "CLEARTEXT": _password,
}


def postgresql_secret(account: StoredAccount) -> str:
    """Return what PostgreSQL keeps in pg_authid.rolpassword.

    Raises:
        InvalidParameter: the account has no SCRAM keys of SHA-256, the only ones it knows.
    """
    keys = account.scram.get("SHA-256")
    if keys is None:
        raise InvalidParameter(f"PostgreSQL verifies with SCRAM of SHA-256; {account.username} has no such keys")
    return format_scram_keys(keys)
