"""The exception of pywin32's functions, and how an error of ours becomes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from saslsspi.errors import SaslError

__all__ = ["error", "translated"]


class error(Exception):
    """A failed call: number, function, words. It can be unpacked into these three, as older programs do.

    Attributes:
        winerror: The status, signed 32-bit.
        funcname: The function that failed.
        strerror: Why.
        token: Ours: what still goes to the peer, or None.
    """

    def __init__(self, winerror: int, funcname: str = "", strerror: str = "") -> None:
        super().__init__(winerror, funcname, strerror)
        self.winerror, self.funcname, self.strerror = winerror, funcname, strerror
        self.token: bytes | None = None

    def __iter__(self) -> Iterator[int | str]:
        return iter((self.winerror, self.funcname, self.strerror))


@contextmanager
def translated(function: str) -> Iterator[None]:
    """Turn an error of ours into pywin32's, under the name of the function that was called."""
    try:
        yield
    except SaslError as failure:
        made = error(failure.winerror, function, str(failure))
        made.token = failure.token
        raise made from failure
