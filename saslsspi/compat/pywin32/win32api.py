"""The two functions of pywin32's win32api that its SSPI programs ask who they are."""

from __future__ import annotations

import getpass
from typing import Final

from saslsspi.compat.pywin32.pywintypes import error
from saslsspi.sspi.tokens import current_token

__all__ = ["GetUserName", "GetUserNameEx", "NameSamCompatible", "error"]

NameSamCompatible: Final = 2


def GetUserName() -> str:
    """Return whom this task or thread acts as: the client that is impersonated, or the user of the process."""
    token = current_token()
    return getpass.getuser() if token is None else token.username.rpartition("\\")[2]


def GetUserNameEx(NameFormat: int = NameSamCompatible) -> str:
    """Return the same with the domain before it, where one is known."""
    token = current_token()
    if token is None:
        return getpass.getuser()
    user = token.username.rpartition("\\")[2]
    return f"{token.realm}\\{user}" if token.realm else user
