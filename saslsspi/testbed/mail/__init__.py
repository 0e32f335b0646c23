"""Small servers of the mail protocols on loopback.

The server of a protocol stands in the module of its name, as SERVER.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from saslsspi.adapters.mail.line_protocol import LineProtocol

if TYPE_CHECKING:
    from saslsspi.testbed.mail.server import MailServer

__all__ = ["server_of"]


def server_of(protocol: LineProtocol) -> type[MailServer]:
    """Return the embedded server of a protocol.

    Raises:
        ModuleNotFoundError: it is built on a library that is not installed: aiosmtpd.
    """
    found: type[MailServer] = importlib.import_module(f"{__name__}.{protocol.name}").SERVER
    return found
