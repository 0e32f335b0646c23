"""Whom a session acts as: authorization identities in LDAP's form (RFC 4513 section 5.2.1.8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Self

from saslsspi.accounts.account import Account
from saslsspi.errors import InvalidParameter, InvalidToken, SaslError
from saslsspi.prep import saslprep
from saslsspi.testbed.ldap.directory import Directory
from saslsspi.testbed.ldap.names import parse_name

__all__ = ["in_ldap_form", "read_identity"]

Identity = tuple[str, object]
"""An authorization identity in comparable form: "u" and a prepared name, or "dn" and a Name."""


def read_identity(authzid: str) -> Identity:
    """Return an authzId in comparable form.

    Raises:
        InvalidToken: it is neither "dn:" and a name nor "u:" and a user.
    """
    kind, _, value = authzid.partition(":")
    try:
        if kind == "dn":
            return kind, parse_name(value)
        if kind == "u":
            # "each uAuthzId value MUST be prepared as a "query" string using the SASLprep algorithm"
            return kind, saslprep(value)
    except InvalidParameter as error:
        raise InvalidToken(f"the authorization identity is malformed: {error.text}") from error
    raise InvalidToken('an authorization identity in LDAP begins with "dn:" or "u:"', requirement="LDAP4513-5.2.1.8-05")


class _Identities(frozenset[str]):
    """What an account may act as, compared as LDAP compares it and not as strings."""

    __slots__ = ("_allowed",)
    _allowed: frozenset[Identity]

    @classmethod
    def of(cls, account: Account, directory: Directory) -> Self:
        """Allow the account's own name in both forms; a listed name without a prefix is a user's, in both forms."""
        allowed: set[Identity] = set(_both_forms(account.username, directory))
        for listed in account.may_act_as:
            allowed.update(
                [read_identity(listed)] if listed.startswith(("u:", "dn:")) else _both_forms(listed, directory)
            )
        made = cls(account.may_act_as)
        made._allowed = frozenset(allowed)
        return made

    def __contains__(self, authzid: object) -> bool:
        try:
            return read_identity(str(authzid)) in self._allowed
        except SaslError:
            return False


def _both_forms(user: str, directory: Directory) -> Iterable[Identity]:
    try:
        return [read_identity(f"u:{user}"), ("dn", directory.person(user))]
    except SaslError:
        return [("dn", directory.person(user))]


def in_ldap_form(account: Account, directory: Directory) -> Account:
    """Return an account whose may_act_as takes authorization identities in LDAP's form."""
    return replace(account, may_act_as=_Identities.of(account, directory))
