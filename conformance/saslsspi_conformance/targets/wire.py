"""A connection over a socket, and where to make it: what the targets behind a URL share."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from saslsspi_conformance.case_run import DEFAULT, Setting, TargetAccount
from saslsspi_conformance.outcome import CaseError, NotApplicable

__all__ = ["PORTS", "Address", "ClearTextBehindTls", "Deadline", "Wire", "address_for", "check_setting"]

PORTS: Final = {"ldap": 389, "ldaps": 636, "imap": 143, "imaps": 993, "smtp": 25, "smtps": 465, "pop3": 110,
                "pop3s": 995}  # fmt: skip
"""The usual ports, by scheme; a scheme that ends in s (and is longer than its protocol) is TLS from the start."""


_LONGEST_LINE: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is, and who may log on there.

    Attributes:
        protocol: ldap, imap, smtp or pop3.
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
    def from_url(cls, url: str, account: TargetAccount, **given: object) -> Address:
        """Read a URL.

        Raises:
            ValueError: it is none of ours.
        """
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError(f"{url!r} is not one of {', '.join(f'{scheme}://HOST[:PORT]' for scheme in PORTS)}")
        secure = parts.scheme in {"ldaps", "imaps", "smtps", "pop3s"}
        protocol = parts.scheme[:-1] if secure else parts.scheme
        port = parts.port or PORTS[parts.scheme]
        return cls(protocol=protocol, host=parts.hostname, port=port, account=account, secure=secure, **given)  # type: ignore[arg-type]

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

    def line(self) -> bytes:
        """Return the next line without its CRLF; b"" when the server has closed.

        Raises:
            TimeoutError: it is not whole in time.
            CaseError: it is longer than a line can be.
        """
        buffer = bytearray()
        deadline = self.deadline()
        while b"\n" not in buffer:
            if len(buffer) > _LONGEST_LINE:
                raise CaseError(f"a line of more than {_LONGEST_LINE} octets")
            deadline.check()
            octets = self.receive()
            if not octets:
                return bytes(buffer)
            buffer += octets
        line, _, rest = bytes(buffer).partition(b"\n")
        self.pending[:0] = rest
        return line.rstrip(b"\r")

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
