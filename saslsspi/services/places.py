"""Where a service listens: a Unix socket or a port, as a configuration says it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from saslsspi.errors import InvalidParameter

__all__ = ["ListeningPlace", "check_place", "is_loopback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningPlace:
    """Where a service listens.

    Attributes:
        path: A Unix socket; "" for a TCP port.
        mode: The socket's permissions, as "0660".
        owner: The socket's owner, by name; "" leaves it.
        group: The socket's group, by name; "" leaves it.
        address: Of a TCP port. One that is not loopback needs `exposed`.
        port: 0 with a path.
        exposed: Whether an address beyond loopback is meant: what crosses it is not encrypted.
    """

    path: str = ""
    mode: str = "0660"
    owner: str = ""
    group: str = ""
    address: str = "127.0.0.1"
    port: int = 0
    exposed: bool = False

    @property
    def shown(self) -> str:
        """Where it is, for a person."""
        return self.path or f"{self.address}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return bool(self.path) or is_loopback(self.address)


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone; a name is not, since it may change."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check_place(place: ListeningPlace, where: str) -> None:
    """Refuse a place that is none.

    Raises:
        InvalidParameter: it is neither path nor port, or both, or its mode is none.
    """
    if bool(place.path) == bool(place.port):
        raise InvalidParameter(f"{where} needs either path (a Unix socket) or port")
    try:
        int(place.mode, 8)
    except ValueError:
        raise InvalidParameter(f'{where}: mode is octal, as "0660"') from None
