"""Which of ldap3's arguments a connection takes, and what it says of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ldap3

from saslsspi.errors import InvalidParameter, UnsupportedFunction
from saslsspi.sasl.logon import LogonOptions

__all__ = ["LOGON_OPTIONS", "check_options"]

LOGON_OPTIONS: Final = tuple(sorted(LogonOptions.__optional_keys__ - {"user", "password"}))
"""What of a connection's keywords belongs to its logon; user and password are ldap3's words too."""

_STRATEGIES: Final = frozenset({
    ldap3.SYNC, ldap3.ASYNC, ldap3.RESTARTABLE, ldap3.SAFE_SYNC, ldap3.SAFE_RESTARTABLE, ldap3.ASYNC_STREAM,
})  # fmt: skip


def check_options(strategy: str, authentication: str, options: Mapping[str, Any]) -> None:
    """Raise where an argument of ldap3's means something that is done otherwise here, or not at all."""
    if strategy == ldap3.REUSABLE:
        raise UnsupportedFunction(
            "client_strategy REUSABLE makes plain ldap3 connections of its own; "
            "use saslsspi.adapters.ldap.ConnectionPool"
        )
    if strategy not in _STRATEGIES:
        raise UnsupportedFunction(f"client_strategy {strategy} has no connection that could be protected")
    if authentication == ldap3.NTLM:
        raise InvalidParameter(
            "authentication=NTLM is a bind of ldap3's that signs and seals nothing: leave it out and give user= and "
            'password= (or credentials=), for NTLM alone with mechanism="GSS-SPNEGO" and '
            'policy=Policy(negotiate=NegotiatePolicy(packages="ntlm"))'
        )
    if authentication == ldap3.ANONYMOUS and options.get("user"):
        raise InvalidParameter("authentication=ANONYMOUS takes no user: leave one of the two out")
    given = [name for name in ("sasl_mechanism", "sasl_credentials") if options.get(name) is not None]
    if given:
        raise InvalidParameter(f"{' and '.join(given)}: say mechanism= and credentials=saslsspi.Password(...) instead")
