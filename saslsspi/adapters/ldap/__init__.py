"""LDAP: ldap3 connections that bind with any installed mechanism and keep its layer; passwords that one verifies."""

from __future__ import annotations

from saslsspi.adapters.ldap.connection import Connection
from saslsspi.adapters.ldap.pool import ConnectionPool
from saslsspi.adapters.ldap.refusal import BindRefused
from saslsspi.adapters.ldap.verifier import LdapVerifier

__all__ = ["BindRefused", "Connection", "ConnectionPool", "LdapVerifier"]
