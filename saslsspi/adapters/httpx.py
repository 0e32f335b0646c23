"""httpx: Digest, NTLM, Negotiate, Kerberos and CredSSP."""

from __future__ import annotations

from saslsspi.adapters.http.client.httpx import HttpxAuth

__all__ = ["HttpxAuth"]
