"""HTTP: the accepting side, the logon of a client, and protection spaces, without a socket."""

from __future__ import annotations

from saslsspi.adapters.http.acceptor import HttpAcceptor, HttpDecision, HttpRequest, HttpUser
from saslsspi.adapters.http.connections import ConnectionMemory
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.adapters.http.identity import DEFAULT_SCHEMES, HttpIdentity
from saslsspi.adapters.http.inbound import Inbound
from saslsspi.adapters.http.logon import HttpLogon
from saslsspi.adapters.http.spaces import ProtectionSpace, origin

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
