r"""NTLM_USER_FILE: the users of an acceptor, and what a client without a password logs on with.

A line is `DOMAIN:USER:PASSWORD`, or smbpasswd's `USER:UID:LM_HASH:NT_HASH:FLAGS:TIME`, where USER may be DOMAIN\USER.
Lines of neither form are passed over. The file is read at each question, so a change counts at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authority import Authority

__all__ = ["UserFileAuthority", "entry_of", "user_file"]

_VARIABLE: Final = "NTLM_USER_FILE"
_NT_HASH_DIGITS: Final = 32


class _Entry(NamedTuple):
    """A line; either a password or an NT hash."""

    domain: str
    username: str
    password: str | None
    nt_hash: bytes | None


def user_file() -> Path | None:
    """Return the file that the environment names, None where there is none."""
    name = os.environ.get(_VARIABLE)
    path = Path(name) if name else None
    return path if path is not None and path.is_file() else None


def entry_of(path: Path, domain: str, username: str) -> _Entry | None:
    """Return the line of a user, without regard to case; with no name the first one. None where there is none."""
    for entry in _entries(path.read_text(encoding="utf-8")):
        if not username:
            return entry
        if (entry.username.upper(), entry.domain.upper()) == (username.upper(), domain.upper()):
            return entry
    return None


def _entries(text: str) -> Iterator[_Entry]:
    for line in text.splitlines():
        words = line.split(":")
        if len(words) == 3:
            yield _Entry(words[0], words[1], words[2], None)
        elif len(words) == 6 and len(words[3]) == _NT_HASH_DIGITS:
            domain, backslash, user = words[0].partition("\\")
            if not backslash:
                domain, user = "", words[0]
            try:
                yield _Entry(domain, user, None, bytes.fromhex(words[3]))
            except ValueError:
                continue


class UserFileAuthority(Authority):
    """Answers for the users of NTLM_USER_FILE; whoever has a Kerberos ticket is let in, as pyspnego does."""

    def lookup(self, question: Question) -> Account | None:
        """See Authority.lookup."""
        if question.secrets == (Secret.EXISTENCE,):
            return Account(username=question.username, realm=question.realm)
        path = user_file()
        found = entry_of(path, question.realm, question.username) if path is not None and question.username else None
        if found is None:
            return None
        return Account(username=found.username, domain=found.domain, password=found.password, nt_hash=found.nt_hash)
