"""Which of the accounts that an authority has found a question means: one rule for all authorities.

* An account with a realm serves that realm alone, one without serves every realm.
* A Windows domain is a part of names as Windows has them (NTLM), and no realm. So it decides where names are compared
  as Windows does it: there it is the one that the client names, where both name one. Elsewhere (SCRAM, PLAIN, Digest)
  it excludes nobody; of two users of one name the one whose domain the realm is goes first, and where no realm tells
  two domains apart, neither is meant.
* It has a secret of a kind that suffices.
"""

from __future__ import annotations

from collections.abc import Iterable

from saslsspi.accounts.account import Account, Question

__all__ = ["fitting"]


def fitting(accounts: Iterable[Account], question: Question) -> Account | None:
    """Return the account that is meant, of those whose names fit, or None.

    Args:
        accounts: Those with the name that is asked for, compared as the question says; the first of equals counts.
        question: What is asked.
    """
    found: Account | None = None
    found_rank, doubtful = -1, False
    any_case, asked = question.any_case, question.realm
    folded = asked.casefold() if any_case else asked
    for account in accounts:
        realm, domain = account.realm, account.domain
        if realm and (realm.casefold() if any_case else realm) != folded:
            continue
        same = bool(domain) and domain.casefold() == asked.casefold()
        if any_case and domain and asked and not same:
            continue
        for kind in question.secrets:
            if account.secret(kind) is not None:
                break
        else:
            continue
        rank = 8 * bool(realm) + (4 if same else 0 if domain else 2) + (account.username == question.username)
        if rank > found_rank:
            found, found_rank, doubtful = account, rank, False
        elif rank == found_rank and found is not None and domain and not same and found.domain != domain:
            doubtful = True
    return None if doubtful else found
