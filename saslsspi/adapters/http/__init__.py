"""HTTP: the accepting side, the logon of a client, and protection spaces, without a socket."""

from __future__ import annotations

from saslsspi.adapters.http.acceptor import HttpAcceptor, HttpRequest, HttpUser, Verdict
from saslsspi.adapters.http.connections import ConnectionMemory
from saslsspi.adapters.http.logon import DEFAULT_SCHEMES, HttpIdentity, HttpLogon
from saslsspi.adapters.http.spaces import ProtectionSpace, origin

__all__ = [
    "DEFAULT_SCHEMES",
    "ConnectionMemory",
    "HttpAcceptor",
    "HttpIdentity",
    "HttpLogon",
    "HttpRequest",
    "HttpUser",
    "ProtectionSpace",
    "Verdict",
    "origin",
]
