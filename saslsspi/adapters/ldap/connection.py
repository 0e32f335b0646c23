"""ldap3 with our mechanisms and their security layers, in our own words: mechanism, credentials, policy."""

from __future__ import annotations

from typing import Any

import ldap3

from saslsspi.adapters.ldap.arguments import LOGON_OPTIONS, check_options
from saslsspi.adapters.ldap.layered import LayeredConnection
from saslsspi.adapters.ldap.refusal import BindRefused
from saslsspi.errors import InvalidParameter
from saslsspi.sasl.logon import Logon, MechanismNames

__all__ = ["BindRefused", "Connection"]


class Connection(LayeredConnection):
    """An ldap3 connection that binds with an installed SASL mechanism.

    Threads may share one where its strategy says so (`strategy.thread_safe`), as with ldap3 itself.

    Args:
        server: As for ldap3: a Server, a ServerPool, an address, or a list of them.
        user: Who logs on, together with password, in the place of credentials; with authentication=ldap3.SIMPLE
            the DN of ldap3's own simple bind.
        password: See user.
        mechanism: A name; or names in order of preference, of which the server must list one; or None, for the
            strongest that the server lists and the policy permits.
        service: The service name.
        layer_in_tls: Whether a layer is negotiated inside TLS too.
        resume: Whether a bind may take the last one's session up again (RFC 2831 section 2.2).
        client_strategy: One of ldap3's, but REUSABLE: for that there is ConnectionPool.
        auto_referrals: Whether referrals are followed; always as nobody.
        authentication: ldap3.SASL, or SIMPLE or ANONYMOUS for ldap3's own binds.
        options: The options of every logon (saslsspi.sasl.logon.LogonOptions: credentials, authzid, policy, host ...;
            authzid is "dn:..." or "u:...", RFC 4513 section 5.2.1.8), and all other arguments of ldap3.Connection.

    Attributes:
        logon: What the next bind uses.
    """

    def __init__(
        self,
        server: Any,
        user: str | None = None,
        password: str | None = None,
        *,
        mechanism: MechanismNames = None,
        service: str = "ldap",
        layer_in_tls: bool = False,
        resume: bool = False,
        client_strategy: str = ldap3.SYNC,
        auto_referrals: bool = False,
        authentication: str = ldap3.SASL,
        **options: Any,
    ) -> None:
        check_options(client_strategy, authentication, {"user": user, **options})
        own = {name: options.pop(name) for name in LOGON_OPTIONS if name in options}
        if authentication == ldap3.SASL:
            own |= {"user": user, "password": password}
            user = password = None
        self.logon = Logon.of(service, mechanism, **own)
        super().__init__(
            server,
            user,
            password,
            layer_in_tls=layer_in_tls,
            resume=resume,
            client_strategy=client_strategy,
            auto_referrals=auto_referrals,
            authentication=authentication,
            **options,
        )

    def exchanges(self) -> bool:
        """See LayeredConnection.exchanges; somebody may have put ldap3's own authentication into the attribute."""
        check_options(self.strategy_type, self.authentication, {"user": self.user})
        return bool(self.authentication == ldap3.SASL)

    def next_logon(self) -> Logon:
        """See LayeredConnection.next_logon."""
        return self.logon

    def rebind(
        self,
        user: str | None = None,
        password: str | None = None,
        authentication: str | None = None,
        sasl_mechanism: None = None,
        sasl_credentials: None = None,
        read_server_info: bool = True,
        controls: Any = None,
        **changes: Any,
    ) -> Any:
        """Bind again on the same connection, with what is given in the place of what was.

        A layer stays in force until another one takes effect; it stays when this bind fails or negotiates none.

        Args:
            user: As for the connection: with password in the place of credentials, or the DN of a simple bind.
            password: See user.
            authentication: As for the connection; None stays with what it is.
            sasl_mechanism: Not taken; see mechanism.
            sasl_credentials: Not taken; see credentials.
            read_server_info: As ldap3's.
            controls: As ldap3's.
            changes: mechanism, and the options of every logon.
        """
        wanted = authentication or (ldap3.SASL if changes else self.authentication)
        check_options(
            self.strategy_type,
            wanted,
            {"user": user, "sasl_mechanism": sasl_mechanism, "sasl_credentials": sasl_credentials},
        )
        if wanted == ldap3.SASL:
            if user is not None or password is not None:
                changes |= {"user": user, "password": password}
                user = password = None
            self.logon = self.logon.changed(**changes)
        elif changes:
            raise InvalidParameter(f"{', '.join(changes)}: a bind of authentication={wanted} is ldap3's own")
        return super().rebind(user, password, wanted, read_server_info=read_server_info, controls=controls)

    def __repr__(self) -> str:
        logon = self.logon
        return (
            f"Connection({str(self.server_pool or self.server)!r}, mechanism={logon.mechanism!r}, "
            f"credentials={logon.credentials!r}, authzid={logon.authzid!r}, client_strategy={self.strategy_type!r}, "
            f"{'bound' if self.bound else 'not bound'})"
        )

    def repr_with_sensitive_data_stripped(self) -> str:
        """What ldap3 logs; there is nothing to strip."""
        return repr(self)
