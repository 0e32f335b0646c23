"""GSSAPI (RFC 4752): Kerberos 5, and a layer that is agreed on when the context stands.

The name promises more than it holds: of all GSS-API mechanisms this is Kerberos alone. A client without credentials
uses the tickets that its user has.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import Password, Tickets
from saslsspi.engine.policy import Property
from saslsspi.sasl.drivers.after_context import AFTER_CONTEXT
from saslsspi.sasl.mechanism import Binding, First, Mechanism

__all__ = ["GSSAPI"]

GSSAPI: Final = Mechanism(
    name="GSSAPI",
    package="Kerberos",
    first=First.CLIENT,  # section 3: 'a "client goes first" SASL mechanism'
    driver=AFTER_CONTEXT,  # sections 3.1 and 3.2: the last two messages
    properties=Property.MUTUAL | Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
    max_ssf=256,
    # Section 5 wants none; deployed peers (Active Directory first) check them where the client sends any.
    binding=Binding.OPTIONAL,
    credentials=(Password, Tickets, None),
    secrets=(Secret.EXISTENCE,),
)
