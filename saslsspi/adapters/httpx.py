"""httpx: Digest, NTLM, Negotiate, Kerberos and CredSSP."""

from __future__ import annotations

from saslsspi.adapters.http.httpx import HttpxAuth

__all__ = ["HttpxAuth"]
