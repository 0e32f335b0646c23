"""Both ends of an exchange, and a package alone."""

from typing import assert_type

from saslsspi import Client, Context, Layer, MemoryAuthority, Password, Policy, Security, Server

client = Client(
    "DIGEST-MD5", service="ldap", host="h", credentials=Password("alice", "wonderland"), policy=Policy(min_ssf=56)
)
server = Server("DIGEST-MD5", service="ldap", host="h", authority=MemoryAuthority({"alice": "wonderland"}))
message = client.start()
while not client.done:
    message = client.step(server.step(message))
assert_type(client.security, Security)
assert_type(client.layer, Layer | None)
assert client.layer is not None
assert_type(client.layer.wrap(b"search"), bytes)

initiator = Context.initiate("NTLM", target="http/h", credentials=Password("alice", "wonderland"))
assert_type(initiator.step(), bytes | None)
