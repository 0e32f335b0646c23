"""Why a SCRAM exchange fails, in the words of the wire (RFC 5802 section 7, server-error-value)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from saslsspi.errors import BadBindings, DowngradeDetected, InsufficientMemory, InvalidToken, LogonDenied, SaslError

__all__ = ["ServerError", "error_of"]


class ServerError(enum.StrEnum):
    """What a server may say in e=."""

    INVALID_ENCODING = "invalid-encoding"
    EXTENSIONS_NOT_SUPPORTED = "extensions-not-supported"
    INVALID_PROOF = "invalid-proof"
    BINDINGS_DO_NOT_MATCH = "channel-bindings-dont-match"
    SERVER_DOES_BIND = "server-does-support-channel-binding"
    BINDING_NOT_SUPPORTED = "channel-binding-not-supported"
    BINDING_TYPE_NOT_SUPPORTED = "unsupported-channel-binding-type"
    UNKNOWN_USER = "unknown-user"
    INVALID_USERNAME = "invalid-username-encoding"
    NO_RESOURCES = "no-resources"
    OTHER = "other-error"

    @property
    def message(self) -> bytes:
        """The server's last message."""
        return f"e={self}".encode()


_MEANINGS: Final[Mapping[str, tuple[type[SaslError], str]]] = {
    ServerError.INVALID_ENCODING: (InvalidToken, "our message is not UTF-8 or not base64 where it should be"),
    ServerError.EXTENSIONS_NOT_SUPPORTED: (InvalidToken, "it does not know an extension that we demand"),
    ServerError.INVALID_PROOF: (LogonDenied, "the password is wrong"),
    ServerError.BINDINGS_DO_NOT_MATCH: (BadBindings, "its channel is another one: somebody may sit in the middle"),
    ServerError.SERVER_DOES_BIND: (
        DowngradeDetected,
        "it offers the mechanism with -PLUS, and we were made to believe that it does not",
    ),
    ServerError.BINDING_NOT_SUPPORTED: (BadBindings, "it cannot bind to the channel"),
    ServerError.BINDING_TYPE_NOT_SUPPORTED: (BadBindings, "it does not know the type of our channel bindings"),
    ServerError.UNKNOWN_USER: (LogonDenied, "it does not know the user"),
    ServerError.INVALID_USERNAME: (LogonDenied, "it cannot read the user name"),
    ServerError.NO_RESOURCES: (InsufficientMemory, "it has no resources left"),
    ServerError.OTHER: (LogonDenied, "it does not say why"),
}


def error_of(value: str, binding_type: str = "") -> SaslError:
    """Return the error for a server's e= value; "Unrecognized errors should be treated as "other-error"".

    Args:
        value: What the server said.
        binding_type: The type by which we bound to the channel, "" where we did not.
    """
    kind, text = _MEANINGS.get(value, _MEANINGS[ServerError.OTHER])
    known = value if value in _MEANINGS else ServerError.OTHER
    if known == ServerError.BINDING_TYPE_NOT_SUPPORTED and binding_type:
        # Not "go without": whoever sits in the middle would like that, and nothing proves that the server said this.
        text += f", {binding_type}; pass bindings of another type"
        if binding_type == "tls-server-end-point":
            text += (
                ": under TLS 1.3 tls-exporter, which Python's ssl cannot give and a pyOpenSSL connection can"
                " (saslsspi.adapters.stream.channel_bindings_of)"
            )
    return kind(f"the server refuses with {known}: {text}")
