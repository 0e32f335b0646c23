"""CREDSSP: CredSSP (MS-CSSP) as a SASL mechanism, defined by docs/credssp-sasl.md; experimental and not registered.

TLS without certificates to manage, inside it Negotiate, bound to the TLS key, and then the choice of a layer: none,
signatures of the package that Negotiate chose, or records of TLS. Nothing is delegated unless the policy says so.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import NtHash, Password, PerPackage, Tickets
from saslsspi.engine.policy import Property
from saslsspi.sasl.drivers.in_channel import IN_CHANNEL
from saslsspi.sasl.mechanism import Binding, First, Mechanism

__all__ = ["CREDSSP"]

CREDSSP: Final = Mechanism(
    name="CREDSSP",
    package="CREDSSP",
    first=First.CLIENT,
    driver=IN_CHANNEL,
    # MUTUAL: whoever answers with the right pubKeyAuth has the key of the user's logon. That it is the host which was
    # meant is proved with Kerberos only, or by a trusted certificate.
    properties=Property.MUTUAL | Property.NO_PLAINTEXT | Property.NO_ANONYMOUS | Property.FORWARD_SECRECY,
    max_ssf=256,
    binding=Binding.NONE,  # it brings its own TLS, and is bound to that
    credentials=(Password, NtHash, Tickets, PerPackage, None),
    secrets=(Secret.NT_HASH, Secret.PASSWORD, Secret.EXISTENCE),
)
