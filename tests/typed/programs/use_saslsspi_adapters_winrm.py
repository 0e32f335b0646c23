"""Bodies of WinRM under a context."""

from typing import assert_type

from saslsspi import Context, Password
from saslsspi.adapters.winrm import WinRmProtocol, open_body, seal_body

context = Context.initiate("Negotiate", target="http/h", credentials=Password("alice", "wonderland"))
assert_type(seal_body(context, b"<s:Envelope/>", WinRmProtocol.SPNEGO), tuple[str, bytes])
assert_type(open_body(context, b"--Encrypted Boundary", WinRmProtocol.SPNEGO), bytes)
