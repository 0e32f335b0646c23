"""What TLS around an LDAP connection means for the exchange inside it: strength, channel bindings, no second layer."""

from __future__ import annotations

import ssl
from dataclasses import replace

from saslsspi.adapters.stream import LayeredSocket
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import SecurityQosFailed
from saslsspi.sasl.logon import Logon

__all__ = ["over_channel"]


def over_channel(logon: Logon, stream: LayeredSocket, host: str, *, layer_in_tls: bool) -> Logon:
    """Return a logon as it is on the channel that a stream runs over.

    Windows and Samba refuse a layer inside TLS, so none is negotiated there unless it is asked for; what the policy
    demands of a layer is demanded of TLS then.

    Args:
        logon: What the caller asked for.
        stream: The connection.
        host: The server's name, where the logon has none.
        layer_in_tls: Whether a layer is negotiated inside TLS too.

    Raises:
        SecurityQosFailed: TLS does not give what the policy demands.
    """
    logon = replace(logon, host=logon.host or host)
    if not isinstance(stream.transport, ssl.SSLSocket):
        return logon
    certificate = stream.getpeercert(binary_form=True)
    found = ChannelBindings.tls_server_end_point(certificate) if certificate else None
    cipher = stream.cipher()
    verified = stream.context.verify_mode is ssl.CERT_REQUIRED  # ldap3 then compares the name by itself
    # Strength of TLS with a verified certificate; else 0: whoever is in the middle reads along.
    strength = cipher[2] if cipher and verified else 0
    logon = replace(logon, bindings=logon.bindings or found, external_ssf=strength)
    policy = logon.effective_policy
    if layer_in_tls:
        return logon
    if strength < policy.min_ssf:
        raise SecurityQosFailed(
            f"the policy demands SSF {policy.min_ssf}, and TLS gives {strength}"
            + ("" if verified else ": its certificate is not verified, say Tls(validate=ssl.CERT_REQUIRED)")
            + "; layer_in_tls=True asks for a layer inside TLS"
        )
    return replace(logon, policy=replace(policy, min_ssf=0, max_ssf=0))
