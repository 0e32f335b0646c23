"""What TLS around a logon is worth."""

from __future__ import annotations

from dataclasses import replace

from saslsspi.engine.policy import Policy
from saslsspi.errors import SecurityQosFailed
from saslsspi.gateway.streams import CarriedStream

__all__ = ["over_tls"]


def over_tls(policy: Policy, stream: CarriedStream) -> tuple[Policy, int]:
    """Return what a logon must satisfy on a connection, and the strength of its TLS.

    Inside TLS, which has verified the server, no layer is negotiated: Windows and Samba refuse one there. What the
    policy demands of a layer is demanded of TLS then.

    Raises:
        SecurityQosFailed: TLS does not give it.
    """
    if stream.tls is None:
        return policy, 0
    cipher = stream.tls.cipher()
    strength = 0 if cipher is None else cipher[2]
    if strength < policy.min_ssf:
        raise SecurityQosFailed(f"[policy] min_ssf is {policy.min_ssf}, and TLS to the server gives {strength}")
    return replace(policy, min_ssf=0, max_ssf=0), strength
