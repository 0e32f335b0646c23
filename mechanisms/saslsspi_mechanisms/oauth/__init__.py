"""OAUTHBEARER (RFC 7628) and XOAUTH2: a token of OAuth 2.0 in one message, so only where the channel is encrypted.

XOAUTH2 is what Google made before there was an RFC, and what Microsoft speaks: another way to write the same. A server
that refuses the token says why in JSON, as one more challenge; the client answers that with next to nothing, and
the exchange fails.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.credentials import Token
from saslsspi.engine.policy import Property
from saslsspi.sasl.mechanism import Binding, First, Mechanism
from saslsspi_mechanisms.oauth.client import OAuthClient
from saslsspi_mechanisms.oauth.dialect import BEARER, GOOGLE, Dialect
from saslsspi_mechanisms.oauth.server import OAuthServer

__all__ = ["OAUTHBEARER", "XOAUTH2"]


def _mechanism(dialect: Dialect) -> Mechanism:
    return Mechanism(
        name=dialect.name,
        first=First.CLIENT,  # section 3: "These mechanisms are client initiated"
        properties=Property.NO_ANONYMOUS,
        client=partial(OAuthClient, dialect),
        server=partial(OAuthServer, dialect),
        binding=Binding.NONE,
        credentials=(Token,),
        secrets=(Secret.TOKEN,),
    )


OAUTHBEARER: Final = _mechanism(BEARER)
XOAUTH2: Final = _mechanism(GOOGLE)
