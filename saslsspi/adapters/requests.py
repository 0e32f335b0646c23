"""requests: Digest, NTLM, Negotiate, Kerberos and CredSSP."""

from __future__ import annotations

from saslsspi.adapters.http.client.requests import HttpAuth

__all__ = ["HttpAuth"]
