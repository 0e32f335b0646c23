"""GS2-KRB5 and GS2-KRB5-PLUS (RFC 5801): Kerberos 5 bound to the TLS around it, in fewer messages than GSSAPI.

They have no layer: "If the application requires SASL security layers, then it MUST use the SASL GSSAPI mechanism"
(section 13.3).
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import Password, Tickets
from saslsspi.engine.policy import Property
from saslsspi.sasl.drivers.gs2 import Gs2
from saslsspi.sasl.mechanism import Binding, First, Mechanism

__all__ = ["GS2_KRB5", "GS2_KRB5_PLUS"]

_NAME: Final = "GS2-KRB5"  # section 3.4, in the place of GS2-QLJHGJLWNPL
_OID: Final = "1.2.840.113554.1.2.2"


def _mechanism(*, plus: bool) -> Mechanism:
    return Mechanism(
        name=f"{_NAME}-PLUS" if plus else _NAME,
        package="Kerberos",
        first=First.CLIENT,
        driver=Gs2(_NAME, _OID, plus=plus),
        properties=Property.MUTUAL | Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
        binding=Binding.REQUIRED if plus else Binding.NONE,
        credentials=(Password, Tickets, None),
        secrets=(Secret.EXISTENCE,),
    )


GS2_KRB5: Final = _mechanism(plus=False)
GS2_KRB5_PLUS: Final = _mechanism(plus=True)
