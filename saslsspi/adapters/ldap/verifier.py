"""Passwords that an LDAP directory verifies: it is bound to with each of them, inside TLS.

Whoever tries a password here has chosen it. Somebody who stands between us and the directory as well could answer for
it, whatever the mechanism proves with that password, so nothing but a verified certificate tells that it is the
directory that agrees: a layer of SASL in the place of TLS would not.
"""

from __future__ import annotations

import contextlib
import logging
import math
import ssl
from typing import Any, Final

import ldap3
from ldap3.core.exceptions import LDAPException

from saslsspi.accounts.verifier import PasswordVerifier
from saslsspi.adapters.ldap.connection import Connection
from saslsspi.adapters.ldap.refusal import BindRefused, bind_refused
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, SaslError
from saslsspi.prep import saslprep

__all__ = ["LdapVerifier"]

_LOG: Final = logging.getLogger("saslsspi.accounts")
_LOG.addHandler(logging.NullHandler())
_TIMEOUT: Final = 10.0
_PLACE: Final = "{}"
# RFC 4514 section 2.4, and all else that could be more than a value.
_SPECIAL: Final = frozenset('"+,;<>\\#= \0')
# What says nothing of a password: operationsError, protocolError, timeLimitExceeded, authMethodNotSupported,
# strongerAuthRequired, referral, confidentialityRequired, busy, unavailable, loopDetect.
_NO_VERDICT: Final = frozenset({1, 2, 3, 7, 8, 10, 13, 51, 52, 54})


class LdapVerifier(PasswordVerifier):
    """A directory that verifies passwords: an authority for PLAIN and LOGIN, alone or in a Chain.

    It is bound to once for each logon, as the user, and never searched: a name that it does not know costs what a wrong
    password costs, as far as the directory keeps to that. Names are prepared with SASLprep, folded in case and rid of
    needless blanks before they are asked for, since a directory takes such for the same; so they are reported.

    Args:
        url: ldaps://HOST, or ldap://HOST, where TLS is begun before anything is said; a port may follow.
        name: The name of a simple bind, with {} for the user: a DN ("uid={},ou=people,dc=example,dc=test"), or what
            else the directory takes ("{}@example.test" of Active Directory). "" binds with the strongest SASL mechanism
            that the directory lists.
        ca_certs_file: Who may have issued the directory's certificate, in PEM; "" trusts what this machine trusts.
        timeout: How long one bind may take, in seconds.
        at_once: See PasswordVerifier.

    Raises:
        InvalidParameter: the URL or the name cannot be.
    """

    def __init__(
        self, url: str, *, name: str = "", ca_certs_file: str = "", timeout: float = _TIMEOUT, at_once: int = 64
    ) -> None:
        super().__init__(self._bound, timeout=timeout, at_once=at_once)
        scheme, _, rest = url.partition("://")
        if scheme not in ("ldap", "ldaps") or not rest.strip("/"):
            raise InvalidParameter(f"a directory is ldaps://HOST or ldap://HOST, not {url!r}")
        if name and name.count(_PLACE) != 1:
            raise InvalidParameter("the name of a bind has {} once, for the user")
        self._name = name
        self._starts_tls = scheme == "ldap"
        try:
            tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_certs_file or None)
            self._server = ldap3.Server(url, tls=tls, connect_timeout=timeout, get_info=ldap3.NONE)
        except LDAPException as error:
            raise InvalidParameter(f"the directory {url} cannot be: {error}") from None

    def _bound(self, username: str, password: str) -> str | None:
        try:
            user = " ".join(saslprep(username).casefold().split())
        except InvalidParameter:
            return None
        if not user:
            return None
        try:
            connection = self._connection(user, password)
        except (LDAPException, SaslError, OSError) as error:
            raise NoAuthenticatingAuthority(f"the directory cannot be asked: {type(error).__name__}") from error
        try:
            return user if self._accepts(connection) else None
        except (LDAPException, OSError, SaslError) as error:
            raise NoAuthenticatingAuthority(f"the directory does not answer: {type(error).__name__}") from error
        finally:
            with contextlib.suppress(Exception):
                connection.unbind()
            if connection.socket is not None:
                connection.socket.close()  # ldap3 leaves it open when it could not connect

    def _connection(self, user: str, password: str) -> Connection:
        # ldap3 takes whole seconds; what is less ends with who waits.
        options: dict[str, Any] = {"receive_timeout": math.ceil(self._timeout)}
        if self._name:
            options["authentication"] = ldap3.SIMPLE
            user = self._name.replace(_PLACE, _escaped(user) if "=" in self._name else user)
        return Connection(self._server, user, password, **options)

    def _accepts(self, connection: Connection) -> bool:
        connection.open(read_server_info=False)
        if self._starts_tls and not connection.start_tls(read_server_info=False):
            raise NoAuthenticatingAuthority("the directory does not begin TLS")
        connection.bind(read_server_info=False)
        if connection.bound:
            return True
        refusal = connection.refusal or bind_refused("a simple bind", "", connection.result)
        if refusal.code in _NO_VERDICT or refusal.is_failure:
            raise refusal
        _LOG.info("the directory refuses: %s", _reason(refusal))
        return False


def _reason(refusal: BindRefused) -> str:
    return f"{refusal.name} ({refusal.code}){'; ' if refusal.hint else ''}{refusal.hint}"


def _escaped(value: str) -> str:
    """Return a value of an attribute as it stands in a DN (RFC 4514 section 2.4)."""
    return "".join(f"\\{ord(one):02x}" if one in _SPECIAL else one for one in value)
