"""A ManageSieve client."""

from typing import assert_type

from saslsspi import Password
from saslsspi.adapters.sieve import SaslSieve, SieveScript

with SaslSieve("mail.example.test", timeout=10.0) as client:
    client.starttls()
    client.authenticate_sasl(credentials=Password("alice", "wonderland"))
    client.putscript("main", b"keep;")
    assert_type(client.listscripts(), list[SieveScript])
    assert_type(client.getscript("main"), bytes)
