"""What an exchange costs, counted and not timed: look-ups, hashes, key derivations and the octets of each message."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Counted", "counting"]

_REAL_DERIVATION = hashlib.pbkdf2_hmac
_HASHING = ("_hashlib", "_md5", "_sha1", "_sha2", "_sha256", "_sha512", "_hmac", "_operator._compare_digest")
_OURS = ("saslsspi.crypto", "saslsspi.prep")


class Counted:
    """What was done between two points of a program.

    Attributes:
        work: How often each hash function, each function of saslsspi.crypto and saslsspi.prep, and each look-up of an
            authority was called; a key derivation counts its iterations.
    """

    def __init__(self) -> None:
        self.work: Counter[str] = Counter()

    def _event(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            owner = getattr(argument, "__self__", None)
            module = getattr(argument, "__module__", None) or type(owner).__module__
            if module in _HASHING:
                self.work[f"{module}.{argument.__name__}"] += 1
        elif event == "call":
            module = frame.f_globals.get("__name__", "")
            # How many characters a password has is not counted.
            if module.startswith(_OURS) and not frame.f_code.co_name.startswith("<"):
                self.work[f"{module}.{frame.f_code.co_qualname}"] += 1
            elif frame.f_code.co_name == "lookup":
                self.work["lookup"] += 1

    def derive(self, name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
        self.work[f"iterations of {name}"] += iterations
        self.work[f"derivations by {name}"] += 1
        self.work["octets of salt"] += len(salt)
        return _REAL_DERIVATION(name, password, salt, iterations)


@contextmanager
def counting() -> Iterator[Counted]:
    """Count what this thread does."""
    counted = Counted()
    hashlib.pbkdf2_hmac = counted.derive  # type: ignore[assignment]  # looked up at each call
    sys.setprofile(counted._event)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        hashlib.pbkdf2_hmac = _REAL_DERIVATION


def work_of(action: Callable[[], object]) -> Counter[str]:
    """Return what an action costs."""
    with counting() as counted:
        action()
    return counted.work
