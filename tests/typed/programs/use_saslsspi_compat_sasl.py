"""The face of Cyrus SASL's wrapper."""

from typing import assert_type

from saslsspi.compat.sasl import Client

client = Client()
client.setAttr("host", "mail.example.test")
client.setAttr("service", "imap")
client.init()
assert_type(client.start("DIGEST-MD5 PLAIN"), tuple[bool, bytes | None, bytes | None])
assert_type(client.getSSF(), tuple[bool, int | None])
