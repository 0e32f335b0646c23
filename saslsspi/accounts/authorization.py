"""Who may act as whom: the last check of a server, after authentication (RFC 4422 section 2)."""

from __future__ import annotations

from saslsspi.accounts.account import Account
from saslsspi.errors import NoImpersonation

__all__ = ["authorize"]


def authorize(account: Account | None, authcid: str, authzid: str, *, token: bytes | None = None) -> None:
    """Raise unless an authenticated user may act as an authorization identity; "" is the user's own.

    Args:
        account: What the authority knows of the user, if anything.
        authcid: The user who was authenticated.
        authzid: Whom it asks to act as.
        token: What goes to the client with the error.

    Raises:
        NoImpersonation: it may not.
    """
    if authzid and authzid != authcid and (account is None or authzid not in account.may_act_as):
        raise NoImpersonation(
            "the user may not act as the authorization identity it asks for", token=token, requirement="RFC4422-2-02"
        )
