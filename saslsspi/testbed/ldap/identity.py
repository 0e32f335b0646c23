"""Whom a session acts as: authorization identities in LDAP's form (RFC 4513 section 5.2.1.8)."""

from __future__ import annotations

from collections.abc import Iterable

from saslsspi.accounts.account import Account, AccountLookup
from saslsspi.accounts.authority import Delegating
from saslsspi.errors import InvalidParameter, InvalidToken, SaslError
from saslsspi.prep import saslprep
from saslsspi.testbed.ldap.directory import Directory
from saslsspi.testbed.ldap.names import parse_name

__all__ = ["LdapAuthority", "read_identity"]

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


class LdapAuthority(Delegating):
    """Another authority, whose accounts take authorization identities as LDAP writes and compares them."""

    def __init__(self, authority: AccountLookup, directory: Directory) -> None:
        super().__init__(authority)
        self._directory = directory

    def may_act_as(self, account: Account, authzid: str) -> bool:
        """Allow the account's own name in both forms; a listed name without a prefix is a user's, in both forms.

        A listed name is asked for as it is listed: the authority has the last word on it.
        """
        asked = super().may_act_as
        try:
            wanted = read_identity(authzid)
        except SaslError:
            return False
        if wanted in _both_forms(account.username, self._directory):
            return True
        listed = {name for name in account.may_act_as if wanted in self._forms(name)}
        return any(asked(account, name) for name in {authzid, *listed})

    def _forms(self, listed: str) -> Iterable[Identity]:
        return [read_identity(listed)] if listed.startswith(("u:", "dn:")) else _both_forms(listed, self._directory)


def _both_forms(user: str, directory: Directory) -> Iterable[Identity]:
    try:
        return [read_identity(f"u:{user}"), ("dn", directory.person(user))]
    except SaslError:
        return [("dn", directory.person(user))]
