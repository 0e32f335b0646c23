"""NTLM as a SASL mechanism, as Exchange, Active Directory and Dovecot speak it ([MS-SASL], [MS-SMTPNTLM]).

The three messages are those of the NTLM package, one in each direction and the last one the client's. The layer is
what the context's flags say: a 4-octet length, a signature of 16 octets, the message. Where the service is ldap, a
layer that only signs is sealed all the same, since Active Directory and Samba do so.

Exchange answers a bare command with a line that is not base64 ("334 ntlm supported"): the carrier takes it for the
empty challenge that it stands for. NTLM proves no server; prefer anything else that a server offers.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import NtHash, Password
from saslsspi.engine.policy import Property
from saslsspi.sasl.drivers.with_context import WITH_CONTEXT
from saslsspi.sasl.mechanism import Binding, First, Mechanism

__all__ = ["NTLM"]

NTLM: Final = Mechanism(
    name="NTLM",
    package="NTLM",
    first=First.CLIENT,  # NEGOTIATE_MESSAGE is the initial response
    driver=WITH_CONTEXT,
    properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
    max_ssf=128,
    binding=Binding.OPTIONAL,
    credentials=(Password, NtHash),
    secrets=(Secret.NT_HASH, Secret.PASSWORD),
)
