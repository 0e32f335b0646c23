"""DIGEST-MD5 (RFC 2831; Historic since RFC 6331), on the WDigest package.

The choice of qop, cipher and buffer sizes travels inside the exchange, so the description is all there is. RFC 6331
tells why new deployments should take SCRAM: MD5, ciphers of the last century, qop and cipher lists that somebody in
the middle can shorten. Ask for a minimum with Policy(min_ssf=...), and prefer anything else that a server offers.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import Password
from saslsspi.engine.policy import Property
from saslsspi.sasl.drivers.in_exchange import IN_EXCHANGE
from saslsspi.sasl.mechanism import Binding, First, Mechanism

__all__ = ["DIGEST_MD5"]

DIGEST_MD5: Final = Mechanism(
    name="DIGEST-MD5",
    package="WDigest",
    first=First.SERVER,  # section 2.1.1: the server speaks first; section 2.2 lets a client take a session up again
    driver=IN_EXCHANGE,  # section 2.1.2: qop, cipher and maxbuf are directives of the response
    properties=Property.MUTUAL | Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
    max_ssf=128,
    binding=Binding.NONE,
    credentials=(Password,),
    secrets=(Secret.HA1, Secret.PASSWORD),
)
