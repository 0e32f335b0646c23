"""RC4 with a known position in its key stream, for the layers of DIGEST-MD5 and NTLM."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, Self, TypeAlias

from saslsspi.errors import InvalidParameter, StrongCryptoNotSupported

__all__ = ["Rc4", "key_stream"]

_Octets: TypeAlias = bytes | bytearray | memoryview
_Update: TypeAlias = Callable[[_Octets], bytes]

_SKIP: Final = bytes(1 << 16)


class Rc4:
    """An RC4 key stream; enciphering and deciphering are the same.

    Attributes:
        update: Enciphers the octets given and moves on by as many; it stays valid over restore, so bind it once.
    """

    __slots__ = ("_key", "_seek", "_tell", "update")

    update: Callable[[_Octets], bytes]

    def __init__(self, key: bytes) -> None:
        """Begin at position 0.

        Raises:
            InvalidParameter: the key is not 5, 7, 8, 10, 16, 20, 24 or 32 octets.
            StrongCryptoNotSupported: the platform forbids RC4.
        """
        self._key: Final = key
        self.update, self._tell, self._seek = _counted(key)

    @property
    def position(self) -> int:
        """How many octets of the key stream are used."""
        return self._tell()

    def restore(self, position: int) -> None:
        """Go to a position, earlier or later.

        A state cannot be copied, so going back makes the cipher anew and skips: about a nanosecond an octet.
        """
        self._seek(position)

    def fresh(self) -> Self:
        """Return another cipher under the same key, at position 0."""
        return type(self)(self._key)

    def __repr__(self) -> str:
        return f"<Rc4 {len(self._key) * 8} bits, position {self.position}>"


def _counted(key: bytes) -> tuple[_Update, Callable[[], int], Callable[[int], None]]:
    # A closure, not methods: the count costs a wrap 30 ns this way and 50 ns as an attribute of self.
    encipher = key_stream(key)
    position = 0

    def update(data: _Octets) -> bytes:
        nonlocal position
        position += len(data)
        return encipher(data)

    def tell() -> int:
        return position

    def seek(target: int) -> None:
        nonlocal encipher, position
        if target < 0:
            raise InvalidParameter(f"key stream position {target} is below 0")
        if target < position:
            encipher, position = key_stream(key), 0
        while position < target:
            update(_SKIP[: target - position])

    return update, tell, seek


def key_stream(key: bytes) -> _Update:
    """Return a function that enciphers and moves on, for who never goes back: no position is kept."""
    make, sizes = _library()
    if len(key) * 8 not in sizes:
        raise InvalidParameter(f"RC4 key of {len(key)} octets")
    return make(key)


@functools.cache
def _library() -> tuple[Callable[[bytes], _Update], frozenset[int]]:
    # Imported with the first key: `cryptography` costs more than all of this library's own start.
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

    def make(key: bytes) -> _Update:
        try:
            return Cipher(ARC4(key), mode=None).encryptor().update
        except (UnsupportedAlgorithm, InternalError) as error:
            raise StrongCryptoNotSupported("this platform forbids RC4") from error

    return make, ARC4.key_sizes
