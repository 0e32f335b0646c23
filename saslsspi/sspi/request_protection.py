"""The contract of a protection that signs requests which its caller describes, in place of messages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from saslsspi.sspi.package import Protection

__all__ = ["RequestProtection"]


class RequestProtection(Protection):
    """What MakeSignature and VerifySignature need of a package such as Digest for HTTP.

    A request is described by the SECBUFFER_PKG_PARAMS buffers; the signature is what goes to the peer.
    """

    @abstractmethod
    def sign_request(self, parameters: tuple[bytes, ...], require: Callable[[int], None]) -> bytes:
        """Return the signature of a request.

        Args:
            parameters: The SECBUFFER_PKG_PARAMS buffers, in order.
            require: Called with the signature's size before anything is consumed; raises where it does not fit.
        """

    @abstractmethod
    def verify_request(self, parameters: tuple[bytes, ...], signature: bytes) -> None:
        """Verify the signature of a request.

        Raises:
            MessageAltered, OutOfSequence: nothing is consumed.
        """
