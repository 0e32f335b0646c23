"""Who may act as whom: the last check of a server, after authentication (RFC 4422 section 2).

It is one rule, whatever the mechanism: a user may act as itself, and as whom its authority allows. Itself is the name
that was authenticated, alone or with the realm that was verified: a realm that the client merely claims is none.
"""

from __future__ import annotations

from saslsspi.accounts.account import Account, AccountLookup
from saslsspi.accounts.authority import may_act_as
from saslsspi.errors import NoImpersonation

__all__ = ["authorize"]


def authorize(
    authority: AccountLookup | None,
    account: Account | None,
    authcid: str,
    authzid: str,
    *,
    realm: str = "",
    token: bytes | None = None,
    requirement: str = "RFC4422-2-02",
) -> None:
    """Raise unless an authenticated user may act as an authorization identity; "" is the user's own.

    Args:
        authority: Where the account came from; None where the caller of the server answered.
        account: What the authority knows of the user, if anything.
        authcid: The user who was authenticated.
        authzid: Whom it asks to act as.
        realm: The realm or domain that authcid was verified in: the server's own, the account's, or the one of a
            ticket; "" where none was.
        token: What goes to the client with the error.
        requirement: Which rule of the mechanism demands the check.

    Raises:
        NoImpersonation: it may not.
    """
    if authzid in ("", authcid) or (realm and authzid == f"{authcid}@{realm}"):
        return
    if account is None or not may_act_as(authority, account, authzid):
        raise NoImpersonation(
            "the user may not act as the authorization identity it asks for", token=token, requirement=requirement
        )
