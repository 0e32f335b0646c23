"""A connection over a socket, and where to make it: what the targets behind a URL share."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi_conformance.case_run import DEFAULT, Setting, TargetAccount
from saslsspi_conformance.outcome import CaseError, NotApplicable

__all__ = ["PORTS", "Address", "ClearTextBehindTls", "Deadline", "Wire", "address_for", "check_setting"]

_SCHEMES: Final = {
    "ldap": ("ldap", 389, False),
    "ldaps": ("ldap", 636, True),
    **{
        scheme: (protocol.name, port, secure)
        for protocol in LINE_PROTOCOLS.values()
        for scheme, port, secure in protocol.schemes()
    },
}
"""By scheme: the protocol, its usual port, and whether TLS is there from the start."""

PORTS: Final = {scheme: port for scheme, (_, port, _) in _SCHEMES.items()}
"""The usual ports, by scheme."""

_LONGEST_LINE: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is, and who may log on there.

    Attributes:
        protocol: ldap, or the name of a protocol of lines.
        name: The name that goes into digest-uri, when it is not the host.
        secure: TLS from the start.
        starttls: TLS before authenticating.
        ca: The authorities to trust, in PEM; None takes the system's.
        timeout: For each answer, in seconds.
        local: Whether nobody's account suffers.
    """

    protocol: str
    host: str
    port: int
    account: TargetAccount
    name: str = ""
    secure: bool = False
    starttls: bool = False
    ca: Path | None = None
    timeout: float = 5.0
    local: bool = False

    @classmethod
    def from_url(cls, url: str, account: TargetAccount, **given: Any) -> Address:
        """Read a URL.

        Raises:
            ValueError: it is none of ours.
        """
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{url!r} is not one of {', '.join(f'{scheme}://HOST[:PORT]' for scheme in PORTS)}")
        protocol, usual, secure = _SCHEMES[parts.scheme]
        own: dict[str, Any] = {"host": parts.hostname, "port": parts.port or usual, "secure": secure}
        return cls(protocol=protocol, account=account, **own, **given)

    def with_patience(self, patience: float) -> Address:
        """The same server, given so many times the usual time for each answer."""
        return self if patience == 1 else replace(self, timeout=self.timeout * patience)

    def tls(self) -> ssl.SSLContext:
        """What TLS needs."""
        return ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))


class Deadline:
    """When one answer has to be whole, however slowly it drips in."""

    __slots__ = ("_at", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._at, self._seconds = time.monotonic() + seconds, seconds

    def check(self) -> None:
        """Raise TimeoutError once it is past."""
        if time.monotonic() > self._at:
            raise TimeoutError(f"no whole answer within {self._seconds:g} s")


class ClearTextBehindTls(CaseError):
    """A server sent octets in clear behind its agreement on TLS: taken for what comes under TLS they are anybody's."""


class Wire:
    """A connection; every wait is bounded.

    Raises:
        OSError: the server cannot be reached.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket = socket.create_connection((address.host, address.port), timeout=address.timeout)
        self.encrypted = False
        self.certificate = b""
        self.tls_version = ""
        self.pending = bytearray()
        if address.secure:
            try:
                self.start_tls()
            except BaseException:
                self.close()
                raise

    def start_tls(self) -> None:
        """Begin TLS."""
        if self.pending:
            raise ClearTextBehindTls(f"{len(self.pending)} octets in clear stand behind the agreement on TLS")
        name = self._address.name or self._address.host
        try:
            wrapped = self._address.tls().wrap_socket(self._socket, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise NotApplicable(f"the server's certificate is not trusted ({error.verify_message}); --ca") from error
        self._socket = wrapped
        self.encrypted = True
        self.certificate = wrapped.getpeercert(binary_form=True) or b""
        self.tls_version = wrapped.version() or ""

    def send(self, octets: bytes) -> None:
        """Send; a server that has closed shows when we read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ConnectionAbortedError):
            self._socket.sendall(octets)

    def receive(self) -> bytes:
        """Return what comes next, what was read too far first; b"" when the server has closed.

        Raises:
            TimeoutError: nothing comes.
        """
        if self.pending:
            octets = bytes(self.pending)
            self.pending.clear()
            return octets
        try:
            return self._socket.recv(65536)
        except (ConnectionResetError, ConnectionAbortedError, ssl.SSLEOFError):
            return b""
        except TimeoutError:
            raise TimeoutError(f"no answer within {self._address.timeout:g} s") from None

    def deadline(self) -> Deadline:
        """Return when an answer that is awaited from now on has to be whole."""
        return Deadline(self._address.timeout)

    def readline(self, limit: int = _LONGEST_LINE, /) -> bytes:
        """Return the next line with its end, or what there is of it when the server has closed.

        Raises:
            TimeoutError: it is not whole in time.
            CaseError: it is longer than limit octets.
        """
        return self._until(lambda buffer: buffer.find(b"\n") + 1, limit)

    def read(self, size: int, /) -> bytes:
        """Return so many octets, fewer when the server closes before.

        Raises:
            TimeoutError: they do not come in time.
        """
        return self._until(lambda buffer: size if len(buffer) >= size else 0, size)

    def _until(self, whole: Callable[[bytearray], int], limit: int) -> bytes:
        """Return what comes, as far as whole says; 0 is not yet."""
        buffer = bytearray()
        deadline = self.deadline()
        while not (end := whole(buffer)):
            if len(buffer) > limit:
                raise CaseError(f"a line of more than {limit} octets")
            deadline.check()
            octets = self.receive()
            if not octets:
                return bytes(buffer)
            buffer += octets
        self.pending[:0] = buffer[end:]
        return bytes(buffer[:end])

    def close(self) -> None:
        """Close."""
        with contextlib.suppress(OSError):
            self._socket.close()


def address_for(setting: Setting, usual: Address, guarded: Address | None) -> Address:
    """Return the address of the server that is as a case wants it."""
    if guarded is not None and setting == replace(DEFAULT, guarded=True):
        return guarded
    check_setting(setting)
    return usual


def check_setting(setting: Setting) -> None:
    """Raise NotApplicable where a case wants a server or a client configured as it likes."""
    if setting != DEFAULT:
        raise NotApplicable("the target has a configuration of its own")
