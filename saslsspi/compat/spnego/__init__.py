"""The face of pyspnego: `import spnego`, over the engine of this library.

Names and behaviour are pyspnego's. docs/compat.md tells what it has, what it lacks and what it does better.
"""

from saslsspi.compat.spnego import channel_bindings, exceptions, iov, tls
from saslsspi.compat.spnego._context import (
    ContextProxy,
    ContextReq,
    IOVUnwrapResult,
    IOVWrapResult,
    UnwrapResult,
    WinRMWrapResult,
    WrapResult,
)
from saslsspi.compat.spnego._credential import (
    Credential,
    CredentialCache,
    KerberosCCache,
    KerberosKeytab,
    NTLMHash,
    Password,
)
from saslsspi.compat.spnego.auth import client, server
from saslsspi.compat.spnego.exceptions import NegotiateOptions

__all__ = [
    "ContextProxy",
    "ContextReq",
    "Credential",
    "CredentialCache",
    "IOVUnwrapResult",
    "IOVWrapResult",
    "KerberosCCache",
    "KerberosKeytab",
    "NTLMHash",
    "NegotiateOptions",
    "Password",
    "UnwrapResult",
    "WinRMWrapResult",
    "WrapResult",
    "channel_bindings",
    "client",
    "exceptions",
    "iov",
    "server",
    "tls",
]
