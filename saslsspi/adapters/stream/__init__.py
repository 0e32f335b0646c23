"""A socket and an asyncio stream that carry a security layer.

Both begin in pass-through; `install` switches a layer on, or puts a new one in the place of the old one. What they
add to a Layer: clear text that was read too early is never mistaken for protected data, a stream that ends inside a
protected buffer is an error, and after an error nothing more is delivered.
"""

from __future__ import annotations

from saslsspi.adapters.stream.asyncio import LayeredStream
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.adapters.stream.boundary import Boundary, Truncated
from saslsspi.adapters.stream.socket import LayeredSocket
from saslsspi.adapters.stream.tls_bindings import channel_bindings_of

__all__ = ["Boundary", "LayeredSocket", "LayeredStream", "Truncated", "beside_loop", "channel_bindings_of"]
