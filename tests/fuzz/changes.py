"""Changes to octets, for where no fuzzer that follows the code's branches is installed."""

from __future__ import annotations

from random import Random
from typing import Final

__all__ = ["changed"]

_TELLING: Final = b'",=\\\0\xff\x80{}\r\n\x30\x60\xa0\x7f'


def changed(octets: bytes, choice: Random) -> bytes:
    """Return octets that were changed in one to four places."""
    text = bytearray(octets)
    for _ in range(choice.randint(1, 4)):
        at = choice.randint(0, len(text))
        how = choice.randint(0, 6)
        if how == 0 and at < len(text):
            text[at] ^= 1 << choice.randrange(8)
        elif how == 1 and at < len(text):
            text[at] = choice.choice(_TELLING)
        elif how == 2:
            text[at:at] = choice.randbytes(choice.randint(1, 8))
        elif how == 3:
            del text[at : at + choice.randint(1, 8)]
        elif how == 4:
            text[at:at] = text[at : at + choice.randint(1, 40)]
        elif how == 5:
            del text[at:]
        elif text:
            start = choice.randrange(len(text))
            text[at:at] = text[start : start + choice.randint(1, 40)]
    return bytes(text)
