"""Classes that give SASLClient the names of Cyrus's wrapper, as PyHive and impyla derive one for thrift_sasl.

Their `encode` opens and their `decode` protects, so that with pure-sasl no layer works; neither puts the length before
a message, which thrift_sasl leaves to `encode`; and thrift_sasl counts the octets of answers that may be None.
"""

from __future__ import annotations

from typing import Any, Protocol

from saslsspi.compat.puresasl import SASLError
from saslsspi.errors import SaslError
from saslsspi.sasl.layer import Layer

__all__ = ["Wrapped", "set_right"]


class Wrapped(Protocol):
    """What an object of such a class has: what went wrong last, and the layer of SASLClient."""

    error: str | None

    def agreed_layer(self) -> Layer | None:
        """Return the layer, None where there is none; raise before the end."""
        ...


def set_right(derived: type) -> bool:
    """Replace encode and decode of a class where they are swapped; return whether they were.

    Args:
        derived: A class that derives from SASLClient. One that has them right keeps its own.
    """
    own = vars(derived)
    if not (_calls(own.get("encode"), "unwrap") and _calls(own.get("decode"), "wrap")):
        return False
    own_names: Any = derived
    own_names.encode, own_names.decode = _encode, _decode
    return True


def _calls(method: Any, name: str) -> bool:
    code = getattr(method, "__code__", None)
    return code is not None and name in code.co_names


def _encode(self: Wrapped, outgoing: bytes) -> tuple[bool, bytes | None]:
    """Protect octets, with the length of each buffer before it; without a layer they stay as they are."""
    return _told(self, outgoing, Layer.wrap)


def _decode(self: Wrapped, incoming: bytes) -> tuple[bool, bytes | None]:
    """Open what came, lengths and all."""
    return _told(self, incoming, Layer.unwrap)


def _told(self: Wrapped, octets: bytes, turn: Any) -> tuple[bool, bytes | None]:
    self.error = None
    try:
        layer = self.agreed_layer()
        return True, octets if layer is None else turn(layer, octets)
    except (SaslError, SASLError) as error:
        self.error = str(error)
        return False, None
