r"""Whom a name means that a program logs on with: DOMAIN\user, user@domain, a name alone, or (LDAP) a DN."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from saslsspi.credentials import Password
from saslsspi.sasl.client import Client
from saslsspi.sasl.logon import Logon
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["KERBEROS", "client_for", "credentials_for", "is_dn"]

_DN: Final = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9.-]{0,99}|[0-9][0-9.]{0,99})\s*=")
# What takes a name and a realm apart, in place of user@domain as it is.
_SPLIT: Final = frozenset({"DIGEST-MD5"})
# Realms are written in capitals, by whom domains are written in small letters.
KERBEROS: Final = frozenset({"GSSAPI", "GS2-KRB5", "GS2-KRB5-PLUS"})


def is_dn(name: str) -> bool:
    """Whether a name is a DN (RFC 4514), as far as it can be told from a user's name."""
    return _DN.match(name) is not None


def client_for(logon: Logon, plain: str = "") -> Callable[[Mechanism], Client]:
    """Return what makes the client of an exchange, with the user's name as the mechanism wants it.

    Args:
        logon: A logon whose credentials are a Password with the name as a program gave it, or as a directory has it.
        plain: The user's name without a domain, where that is known to be the server's own: Kerberos knows no short
            names of domains.
    """
    given = logon.credentials
    assert isinstance(given, Password)

    def make(mechanism: Mechanism) -> Client:
        known = plain if plain and mechanism.name in KERBEROS else given.username
        return replace(logon, credentials=credentials_for(known, given.password, mechanism.name)).client(mechanism)

    return make


def credentials_for(name: str, password: str, mechanism: str) -> Password:
    """Return credentials with the user's name as a mechanism wants it; "" for one that is not known yet."""
    domain, backslash, user = name.rpartition("\\")
    if backslash:
        return Password(user, password, realm=domain)
    user, at, domain = name.rpartition("@")
    if at and mechanism in _SPLIT:
        return Password(user, password, realm=domain)
    if at and mechanism in KERBEROS:
        return Password(user, password, realm=domain.upper())
    return Password(name, password)
