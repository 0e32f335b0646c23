"""pyspnego's face."""

from typing import assert_type

from saslsspi.compat import spnego

client = spnego.client("alice", "wonderland", hostname="host.example", service="HTTP", protocol="ntlm")
assert_type(client.step(), bytes | None)
assert_type(client.wrap(b"data").data, bytes)
