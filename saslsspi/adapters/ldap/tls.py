"""What TLS around an LDAP connection means for the exchange inside it: strength, channel bindings, no second layer."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import NamedTuple

from saslsspi.adapters.stream import LayeredSocket
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.policy import Policy
from saslsspi.errors import SecurityQosFailed

__all__ = ["Channel", "channel_of"]


class Channel(NamedTuple):
    """What an exchange is told of the channel around it.

    Attributes:
        policy: The caller's, as it applies on this channel.
        bindings: tls-server-end-point of the server's certificate; None without TLS.
        external_ssf: Strength of TLS with a verified certificate; else 0: whoever is in the middle reads along.
    """

    policy: Policy
    bindings: ChannelBindings | None
    external_ssf: int


def channel_of(stream: LayeredSocket, policy: Policy, *, layer_in_tls: bool) -> Channel:
    """Describe the channel that a stream runs over.

    Windows and Samba refuse a layer inside TLS, so none is negotiated there unless it is asked for; what the policy
    demands of a layer is demanded of TLS then.

    Raises:
        SecurityQosFailed: TLS does not give what the policy demands.
    """
    if not isinstance(stream.transport, ssl.SSLSocket):
        return Channel(policy, None, 0)
    certificate = stream.getpeercert(binary_form=True)
    bindings = ChannelBindings.tls_server_end_point(certificate) if certificate else None
    cipher = stream.cipher()
    verified = stream.context.verify_mode is ssl.CERT_REQUIRED  # ldap3 then compares the name by itself
    strength = cipher[2] if cipher and verified else 0
    if layer_in_tls:
        return Channel(policy, bindings, strength)
    if strength < policy.min_ssf:
        raise SecurityQosFailed(
            f"the policy demands SSF {policy.min_ssf}, and TLS gives {strength}"
            + ("" if verified else ": its certificate is not verified, say Tls(validate=ssl.CERT_REQUIRED)")
            + "; layer_in_tls=True asks for a layer inside TLS"
        )
    return Channel(replace(policy, min_ssf=0, max_ssf=0), bindings, strength)
