"""The messages of an established TLS connection."""

from __future__ import annotations

import functools
import ssl
import threading
from collections.abc import Callable
from typing import Final

from saslsspi.engine.attributes import SecPkgContextSizes, SecPkgContextStreamSizes
from saslsspi.engine.protection import Octets, Opened, Records
from saslsspi.errors import ContextExpired, ContextUsedUp, IllegalMessage, IncompleteMessage, InvalidToken
from saslsspi.packages.schannel.failures import translated
from saslsspi.packages.schannel.records import HEADER_SIZE, MAX_TEXT, record_size, whole_records

__all__ = ["TlsProtection"]

_LARGEST: Final = 0xFFFFFF
_MAX_TOKEN: Final = 1 << 17
_HANDSHAKE: Final = 22
_ALERT: Final = 2  # octets of an alert
_KEY_UPDATE: Final = 5  # octets of the message (RFC 8446 section 4.6.3)


class TlsProtection(Records):
    """Seals into records of TLS and opens them. seal and unseal take messages of any size.

    Args:
        connection: After the handshake.
        incoming: Where it reads from.
        outgoing: Where it writes to.
        on_silence: Called after a record without text, such as a session ticket; it may refer back to us, and so it is
            left out where nobody needs it: a connection in a cycle lives until the collector finds it.
    """

    encrypts = True
    recovers = False
    header_size = 0
    max_payload = _LARGEST
    max_receive = _LARGEST
    session_key = None
    signature_algorithm = ""

    def __init__(
        self,
        connection: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        on_silence: Callable[[], None] | None,
    ) -> None:
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        self._on_silence = on_silence
        cipher, version, bits = connection.cipher() or ("", "", 0)
        self.encryption_algorithm = cipher
        self.key_bits = bits
        self._added, self._room, self._stream, self.sizes = _sizes(cipher, version)
        self._old = version == "TLSv1.2"
        self._shut = False
        # One thread may seal while another unseals, and OpenSSL's connections are for one at a time.
        self._lock = threading.Lock()
        self._acquire, self._release = self._lock.acquire, self._lock.release  # half the cost of a with for a message

    def overhead(self, size: int) -> int:
        """Return how many octets the records add to a message, at most."""
        return max(1, -(-size // MAX_TEXT)) * self._added + self._room

    def stream_sizes(self) -> SecPkgContextStreamSizes:
        """See Records.stream_sizes."""
        return self._stream

    def record_size(self, octets: Octets) -> int:
        """See Records.record_size."""
        if len(octets) < HEADER_SIZE:
            raise IncompleteMessage("the header of a record is not whole", missing=HEADER_SIZE - len(octets))
        size = record_size(octets)
        if len(octets) < size:
            raise IncompleteMessage("a record is not whole", missing=size - len(octets))
        return size

    def open_record(self, octets: Octets) -> Opened:
        """See Records.open_record."""
        size = self.record_size(octets)
        with self._lock:
            self._incoming.write(octets[:size] if len(octets) > size else octets)
            try:
                text = self._connection.read(size)
                return Opened(text, size, closed=not text)  # Python reads nothing at close_notify
            except ssl.SSLZeroReturnError:  # where this side has closed its direction before
                return Opened(b"", size, closed=True)
            except ssl.SSLWantReadError:
                if self._on_silence is not None:
                    self._on_silence()
                self._check_owed()
                # With TLS 1.2 every handshake message behind the handshake asks for another one (RFC 5246 section
                # 7.4.1.1). OpenSSL has refused: its warning is sealed, and precedes whatever we seal next.
                return Opened(b"", size, renegotiates=self._old and octets[0] == _HANDSHAKE)
            except ssl.SSLError as error:
                raise translated(error, self._outgoing.read()) from error

    def owed(self) -> bytes:
        """See Records.owed: the refusal of a renegotiation."""
        with self._lock:
            return self._outgoing.read()

    def _check_owed(self) -> None:
        """See that what is owed stays within the room that EncryptMessage's caller was told of."""
        if self._outgoing.pending > self._room:
            raise IllegalMessage(
                "the peer asks to renegotiate again before the refusal of its last request has gone out"
            )

    def close(self) -> bytes:
        """Return close_notify; nothing can be sealed afterwards."""
        with self._lock:
            try:
                self._connection.unwrap()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                raise translated(error) from error
            self._shut = True
            return self._outgoing.read()

    def seal(self, message: Octets) -> tuple[Octets, ...]:
        """See Protection.seal; a message of any size becomes as many records as it needs."""
        connection = self._connection
        self._acquire()
        try:
            done = connection.write(message)
            if done < len(message):
                view = memoryview(message)
                while done < len(view):
                    done += connection.write(view[done:])
            return (self._outgoing.read(),)
        except ssl.SSLError as error:
            if self._shut:
                raise ContextUsedUp("this side has closed its direction of the stream") from None
            raise translated(error) from error
        finally:
            self._release()

    def unseal(self, octets: Octets) -> bytes:
        """See Protection.unseal; the octets are whole records."""
        size = len(octets)
        if size < HEADER_SIZE or record_size(octets) != size:
            if not size:
                return b""
            if whole_records(octets)[0] != size:
                raise InvalidToken("the octets are not whole records of TLS")
        incoming, read = self._incoming, self._connection.read
        texts: list[bytes] = []
        most = size if size < MAX_TEXT else MAX_TEXT  # OpenSSL's Python face allocates as much for every record
        self._acquire()
        try:
            incoming.write(octets)
            while text := read(most):
                if not incoming.pending:
                    if not texts:
                        return text
                    texts.append(text)
                    return b"".join(texts)
                texts.append(text)
        except ssl.SSLWantReadError:
            if self._on_silence is not None:
                self._on_silence()
            self._check_owed()
        except ssl.SSLZeroReturnError:
            raise ContextExpired("the peer has closed its direction, and we ours") from None
        except ssl.SSLError as error:
            raise translated(error, self._outgoing.read()) from error
        else:
            raise ContextExpired("the peer has closed its direction")  # Python reads nothing at close_notify
        finally:
            self._release()
        return b"".join(texts)


@functools.lru_cache(maxsize=32)
def _sizes(cipher: str, version: str) -> tuple[int, int, SecPkgContextStreamSizes, SecPkgContextSizes]:
    """Return what a record adds to its text, at most, the record that may precede one, and both for EncryptMessage."""
    header, trailer = _added(cipher, version)
    # An answer to KeyUpdate, or the refusal of a renegotiation. It goes out in front of the next record of ours.
    room = header + trailer + (_KEY_UPDATE if version == "TLSv1.3" else _ALERT)
    stream = SecPkgContextStreamSizes(header, trailer + room, MAX_TEXT, buffers=4, block_size=1)
    return header + trailer, room, stream, SecPkgContextSizes(_MAX_TOKEN, 0, 0, header + trailer)


def _added(cipher: str, version: str) -> tuple[int, int]:
    """Return what precedes and what follows the text in a record, at most."""
    if version == "TLSv1.3":
        return HEADER_SIZE, 17  # RFC 8446 section 5.2: the type, and the tag of 16 octets
    if "GCM" in cipher or "CCM" in cipher:
        return HEADER_SIZE + 8, 16  # RFC 5288 section 3: nonce_explicit
    if "CHACHA20" in cipher:
        return HEADER_SIZE, 16  # RFC 7905 section 2
    return HEADER_SIZE + 16, 48 + 16  # RFC 5246 section 6.2.3.2: IV, MAC and padding
