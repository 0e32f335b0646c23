"""GSS-SPNEGO: SPNEGO (RFC 4178) without the messages of RFC 4752, as Active Directory, Samba and Cyrus speak it.

No layer negotiation follows the context: its flags say whether messages are sealed (SSF of the cipher), signed
(SSF 1) or left alone (SSF 0), and the SASL buffers begin at once. A client that must have no layer asks for a context
without integrity; MIT's Kerberos asserts integrity unless it is told not to. Active Directory refuses a layer
inside TLS: say Policy(max_ssf=0) there, and pass the channel's bindings.

Which package won is Security.negotiated; Policy(negotiate=NegotiatePolicy(packages=...)) says which may. Nothing is
said about sizes: Policy.max_unannounced bounds what is taken.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import NtHash, Password, PerPackage, Tickets
from saslsspi.engine.policy import Property
from saslsspi.sasl.drivers.with_context import WITH_CONTEXT
from saslsspi.sasl.mechanism import Binding, First, Mechanism

__all__ = ["GSS_SPNEGO"]

GSS_SPNEGO: Final = Mechanism(
    name="GSS-SPNEGO",
    package="Negotiate",
    first=First.CLIENT,
    driver=WITH_CONTEXT,
    # MUTUAL holds with Kerberos only, so it is not promised.
    properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
    max_ssf=256,
    binding=Binding.OPTIONAL,
    credentials=(Password, NtHash, Tickets, PerPackage, None),
    secrets=(Secret.NT_HASH, Secret.PASSWORD, Secret.EXISTENCE),
)
