"""SCRAM: salted challenge and response, with and without channel bindings (RFC 5802, RFC 7677).

The family has one exchange; a mechanism of it is a hash and whether it binds to the channel. SCRAM-SHA-512 is in wide
use without an RFC, by the same rules.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from saslsspi.accounts.account import Secret, scram_secret
from saslsspi.credentials import Password
from saslsspi.crypto.scram import SIZES
from saslsspi.engine.policy import Property
from saslsspi.sasl.mechanism import Binding, First, Mechanism
from saslsspi_mechanisms.scram.client import ScramClient
from saslsspi_mechanisms.scram.server import ScramServer
from saslsspi_mechanisms.scram.variant import Variant

__all__ = [
    "SCRAM_SHA_1",
    "SCRAM_SHA_1_PLUS",
    "SCRAM_SHA_256",
    "SCRAM_SHA_256_PLUS",
    "SCRAM_SHA_512",
    "SCRAM_SHA_512_PLUS",
]


def _mechanism(hash_name: str, *, plus: bool) -> Mechanism:
    variant = Variant(hash_name, plus)
    return Mechanism(
        name=variant.name,
        first=First.CLIENT,  # RFC 5802 section 5.2
        properties=Property.MUTUAL | Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
        client=partial(ScramClient, variant),
        server=partial(ScramServer, variant),
        binding=Binding.REQUIRED if plus else Binding.NONE,
        credentials=(Password,),
        secrets=(scram_secret(hash_name), Secret.PASSWORD),
        hash_bits=8 * SIZES[hash_name],
    )


SCRAM_SHA_1: Final = _mechanism("SHA-1", plus=False)
SCRAM_SHA_1_PLUS: Final = _mechanism("SHA-1", plus=True)
SCRAM_SHA_256: Final = _mechanism("SHA-256", plus=False)
SCRAM_SHA_256_PLUS: Final = _mechanism("SHA-256", plus=True)
SCRAM_SHA_512: Final = _mechanism("SHA-512", plus=False)
SCRAM_SHA_512_PLUS: Final = _mechanism("SHA-512", plus=True)
