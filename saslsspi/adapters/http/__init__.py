"""HTTP: the accepting side, the logon of a client, and protection spaces, without a socket."""

from __future__ import annotations

from saslsspi.adapters.http.acceptor import HttpAcceptor, HttpDecision, HttpRequest, HttpUser
from saslsspi.adapters.http.client.identity import DEFAULT_SCHEMES, HttpIdentity
from saslsspi.adapters.http.client.logon import HttpLogon
from saslsspi.adapters.http.client.spaces import ProtectionSpace, origin
from saslsspi.adapters.http.connections import ConnectionMemory
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.adapters.http.inbound import Inbound

__all__ = [
    "DEFAULT_SCHEMES",
    "ConnectionMemory",
    "EntityHash",
    "HttpAcceptor",
    "HttpDecision",
    "HttpIdentity",
    "HttpLogon",
    "HttpRequest",
    "HttpUser",
    "Inbound",
    "ProtectionSpace",
    "origin",
]
