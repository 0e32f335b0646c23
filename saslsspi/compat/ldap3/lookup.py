"""Whose a DN is: a look-up by an account of the configuration, on a connection of its own, sealed like every other."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import ldap3
from ldap3.core.exceptions import LDAPException

from saslsspi.adapters.ldap import Connection
from saslsspi.adapters.ldap.refusal import not_tried
from saslsspi.compat.ldap3.translation import named_logon
from saslsspi.credentials import Password
from saslsspi.errors import LogonDenied, NoAuthenticatingAuthority
from saslsspi.sasl.logon import Logon, options_of

__all__ = ["owner_logon"]

_INVALID_CREDENTIALS: Final = 49
_SAM_NAME: Final = "sAMAccountName"
_UID: Final = "uid"
# Active Directory's own answer to the question; then what a directory of Windows has, and any other one.
_PRINCIPAL: Final = "msDS-PrincipalName"
_NAMES: Final = (_PRINCIPAL, _SAM_NAME, _UID)


def owner_logon(connection: Any, dn: str, password: str, account: Password) -> Logon:
    """Return the logon of the user whose entry a DN names.

    Args:
        connection: The connection that binds: the look-up goes to the same server.
        dn: The name.
        password: The user's password, which is not used for the look-up.
        account: Who looks it up.

    Raises:
        BindRefused: there is no such user, or the look-up failed; nothing of the password was sent.
    """
    names = _names(connection, dn, account)
    if _PRINCIPAL in names:
        return named_logon(names[_PRINCIPAL], password)
    if _SAM_NAME in names:
        # The server's own domain: that is where the entry is.
        return replace(named_logon("@", password), credentials=Password(names[_SAM_NAME], password))
    if _UID in names:
        return named_logon(names[_UID], password)
    raise not_tried(f"the entry {dn} has none of {', '.join(_NAMES)}: nobody can log on with it")


def _names(connection: Any, dn: str, account: Password) -> Mapping[str, str]:
    options = options_of(named_logon(account.username, account.password))
    here = Connection(
        connection.server,
        mechanism=named_logon(account.username, account.password).mechanism,
        receive_timeout=connection.receive_timeout,
        check_names=False,
        **options,
    )
    try:
        if not here.bind(read_server_info=False):
            raise not_tried(
                f'the lookup account of install("ldap3", lookup=...) was refused: {here.refusal}',
                NoAuthenticatingAuthority,
            )
        # A name that is none, or not there, is an answer like any other: it is nobody's.
        here.search(dn, "(objectClass=*)", ldap3.BASE, attributes=list(_NAMES))
        entries = [each for each in here.response or () if each.get("type") == "searchResEntry"]
    except LDAPException as error:
        raise not_tried(f"the look-up of {dn} failed: {error}", NoAuthenticatingAuthority) from error
    finally:
        with contextlib.suppress(Exception):
            here.unbind()
    if not entries:
        raise not_tried(f"there is no entry {dn}", LogonDenied, _INVALID_CREDENTIALS)
    return {name: value for name in _NAMES if (value := _first(entries[0]["raw_attributes"], name))}


def _first(attributes: Mapping[str, Sequence[bytes]], wanted: str) -> str:
    for name, values in attributes.items():
        if name.lower() == wanted.lower() and values:
            return values[0].decode("utf-8", "replace")
    return ""
