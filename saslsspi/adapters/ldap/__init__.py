"""LDAP: ldap3 connections that bind with any installed mechanism and keep its layer."""

from __future__ import annotations

from saslsspi.adapters.ldap.connection import Connection
from saslsspi.adapters.ldap.pool import ConnectionPool
from saslsspi.adapters.ldap.refusal import BindRefused

__all__ = ["BindRefused", "Connection", "ConnectionPool"]
