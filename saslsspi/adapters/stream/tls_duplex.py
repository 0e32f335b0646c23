"""A TLS socket that one thread may read while others write.

ssl.SSLSocket is not: OpenSSL keeps one state for both directions, and a read that meets a write reports an end of the
stream that is none (one connection in eight with ldap3's ASYNC strategy on Python 3.11). Here each call of OpenSSL is
made under a lock and does not block; the waiting is done outside.
"""

from __future__ import annotations

import errno
import selectors
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["TlsDuplex"]

_RECORD: Final = 16384  # the most that one TLS record holds, RFC 8446 section 5.1

_T = TypeVar("_T")


class TlsDuplex:
    """Takes a TLS socket over; its time-out stays, but only here.

    What the handshake has settled is read at once: while a thread reads a ticket of TLS 1.3, which comes after the
    handshake, OpenSSL counts the handshake as unfinished and tells nobody about it.

    Args:
        tls: The socket, its handshake done; from now on it does not block by itself.
    """

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self._certificate = tls.getpeercert(binary_form=True)
        self._certificate_fields = tls.getpeercert()
        self._cipher = tls.cipher()
        self._version = tls.version()
        self._timeout = tls.gettimeout()
        self._lock = threading.Lock()
        tls.settimeout(0)

    def recv(self, size: int) -> bytes:
        """Receive at most size octets; raises TimeoutError like a socket."""
        return self._run(partial(self._tls.recv, size), selectors.EVENT_READ)

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of data; raises TimeoutError when a part of it does not go out in time."""
        view = memoryview(data).cast("B")
        while view:
            sent = self._run(partial(self._tls.send, view[:_RECORD]), selectors.EVENT_WRITE)
            view = view[sent:]

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the peer's certificate, as ssl.SSLSocket does."""
        return self._certificate if binary_form else self._certificate_fields

    def cipher(self) -> tuple[str, str, int] | None:
        """Return the cipher suite's name, its protocol, and its secret bits."""
        return self._cipher

    def version(self) -> str | None:
        """Return the version of TLS."""
        return self._version

    def gettimeout(self) -> float | None:
        """Return the time-out of one wait, in seconds; None waits without end."""
        return self._timeout

    def settimeout(self, value: float | None) -> None:
        """Set the time-out of one wait, in seconds."""
        self._timeout = value

    def _run(self, operate: Callable[[], _T], usual: int) -> _T:
        """Repeat a call until it need not wait any more."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            with self._lock:
                try:
                    return operate()
                except ssl.SSLWantReadError:
                    event = selectors.EVENT_READ
                except ssl.SSLWantWriteError:
                    event = selectors.EVENT_WRITE
                except BlockingIOError:  # from the socket below, once TLS has been shut down
                    event = usual
            self._wait(event, deadline)

    def _wait(self, event: int, deadline: float | None) -> None:
        remaining = None if deadline is None else deadline - time.monotonic()
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self._tls, event)
            except ValueError as error:
                raise OSError(errno.EBADF, "the socket is closed") from error
            if (remaining is not None and remaining <= 0) or not selector.select(remaining):
                raise TimeoutError("the operation timed out")
