"""Authorization identities in the mail protocols: simple user names, prepared with SASLprep before they are compared.

RFC 4954 section 4 and RFC 5034 section 4: "If the preparation of the authorization identity fails or results in an
empty string (unless it was transmitted as the empty string), the server MUST fail the authentication."
"""

from __future__ import annotations

from saslsspi.accounts.account import Account
from saslsspi.accounts.authority import Delegating
from saslsspi.errors import InvalidParameter
from saslsspi.prep import saslprep

__all__ = ["MailAuthority"]


class MailAuthority(Delegating):
    """Another authority, whose accounts take authorization identities as mail protocols write them."""

    def may_act_as(self, account: Account, authzid: str) -> bool:
        """Compare names in prepared form; what fails to be prepared is nobody's.

        A name that the account lists is asked for as it is listed: the authority has the last word on it.
        """
        prepared, asked = _prepare(authzid), super().may_act_as
        if prepared is None:
            return False
        listed = {name for name in account.may_act_as if _prepare(name) == prepared}
        return prepared == _prepare(account.username) or any(asked(account, name) for name in {prepared, *listed})


def _prepare(name: str) -> str | None:
    try:
        return saslprep(name) or None
    except InvalidParameter:
        return None
