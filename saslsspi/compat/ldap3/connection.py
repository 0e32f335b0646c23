"""ldap3.Connection with ldap3's own arguments, whose binds are sealed.

What a bind comes to is decided when it is made, from the attributes that ldap3 keeps: a program may change them, and
ldap3's REUSABLE strategy does. Whatever goes wrong is told in ldap3's words: a result, or an LDAPException.
"""

from __future__ import annotations

import inspect
import logging
import ssl
from typing import Any, ClassVar, Final

import ldap3
from ldap3.core.exceptions import LDAPBindError, LDAPException, LDAPInvalidValueError, LDAPOperationResult
from ldap3.utils.dn import safe_dn

from saslsspi.adapters.ldap.layered import LayeredConnection
from saslsspi.adapters.ldap.refusal import BindRefused, bind_refused, not_tried
from saslsspi.compat.ldap3.lookup import owner_logon
from saslsspi.compat.ldap3.pool import fill_pool
from saslsspi.compat.ldap3.settings import BindSettings
from saslsspi.compat.ldap3.translation import Translation, Wishes, translate
from saslsspi.credentials import Password
from saslsspi.engine.security import Security
from saslsspi.errors import CallerError, ContextMisuse, LocalError, LogonDenied, PackageNotFound, SaslError
from saslsspi.sasl.logon import Logon

__all__ = ["REPLACED", "SealingConnection"]

REPLACED: Final = ldap3.Connection
"""ldap3's own class."""

_LOG: Final = logging.getLogger("saslsspi.compat.ldap3")
_SIGNATURE: Final = inspect.signature(REPLACED.__init__)
_INVALID_CREDENTIALS: Final = 49

# A pool's connections have what their first one has, but for how it connects and what can change by then.
_CREDENTIALS: Final = ("user", "password", "authentication", "sasl_mechanism", "sasl_credentials")
_CONNECTING: Final = ("server", "auto_bind", "client_strategy", "lazy")
_POOLING: Final = ("pool_name", "pool_size", "pool_lifetime", "pool_keepalive")
_ONE_S_OWN: Final = frozenset((*_CONNECTING, *_POOLING, *_CREDENTIALS))

_NO_CHANNEL: Final = (
    "channel_binding=TLS_CHANNEL_BINDING wants TLS around the bind: Server(..., use_ssl=True), or start_tls before it"
)
_NO_LOOKUP: Final = (
    "a DN does not say who logs on, and without TLS a bind is sealed: give user@domain or DOMAIN\\user as user, use "
    'TLS, or name an account that looks the DN up, saslsspi.compat.install("ldap3", lookup=(user, password)); '
    'install("ldap3", clear=True) sends the password in clear'
)


class SealingConnection(LayeredConnection):
    """ldap3's Connection; see ldap3 for the arguments.

    Args:
        server: As for ldap3.
        user: As for ldap3.
        password: As for ldap3.
        arguments: All others of ldap3, in its order.
        session_security: "ENCRYPT", as in ldap3's development line: a bind by NTLM or Kerberos must be sealed, which
            where there is no TLS NTLM's always are.
        channel_binding: "TLS_CHANNEL_BINDING", as there: a bind by NTLM must be bound to the TLS around it, which
            where there is TLS it always is.
        options: All others of ldap3, by name.

    Attributes:
        settings: What install was given; a derived class may have its own.
        security: What the last bind negotiated; None where ldap3's own bind was made.
    """

    settings: ClassVar[BindSettings] = BindSettings()
    auto_bind: Any

    def __init__(
        self,
        server: Any,
        user: Any = None,
        password: Any = None,
        *arguments: Any,
        session_security: str | None = None,
        channel_binding: str | None = None,
        **options: Any,
    ) -> None:
        given = dict(_SIGNATURE.bind(self, server, user, password, *arguments, **options).arguments)
        del given["self"]
        # The development line has them among the others, and would seal and bind in its own way.
        session_security = given.pop("session_security", session_security)
        channel_binding = given.pop("channel_binding", channel_binding)
        self._wishes = _wishes(given, session_security, channel_binding)
        self._translation = Translation()
        self._others = {name: given[name] for name in given.keys() - _ONE_S_OWN}
        super().__init__(**given)

    def exchanges(self) -> bool:
        """See LayeredConnection.exchanges; opens the connection, because it depends on what that turns out to be."""
        self._translation = Translation()
        if not self._carried:
            if self.strategy_type != ldap3.REUSABLE:  # whose pool is made of connections that come here again
                _LOG.info("a bind is ldap3's own: %s has no connection to protect", self.strategy_type)
            return False
        if self.closed:
            self.open(read_server_info=False)
        protected = bool(self.server.ipc) or self._in_tls
        self._translation = translate(self, self._wishes, protected=protected)
        if self._translation.dn and self.settings.lookup is None and self.settings.clear:
            self._translation = Translation(reason="there is no lookup account for a DN", exposes=True)
        if self._translation.reason:
            level = logging.WARNING if self._translation.exposes else logging.INFO
            what = ", and the password goes in clear" if self._translation.exposes else ""
            _LOG.log(level, "a bind is ldap3's own: %s%s", self._translation.reason, what)
        if self._translation.logon is None:
            return False
        if self.layer is not None:
            # Windows and Samba take no second layer on a connection, and ldap3's rebind would always be refused.
            self._end_session()
            self.open(read_server_info=False)
        return True

    def next_logon(self) -> Logon:
        """See LayeredConnection.next_logon."""
        logon, dn = self._translation.logon, self._translation.dn
        if self._wishes.bind_channel and not self._in_tls:
            raise not_tried(_NO_CHANNEL)
        assert logon is not None, "exchanges has said so"
        if not dn:
            return logon
        if self.settings.lookup is None:
            raise not_tried(_NO_LOOKUP)
        assert isinstance(logon.credentials, Password), "a simple bind has one"
        return owner_logon(self, dn, logon.credentials.password, self.settings.lookup)

    def __repr__(self) -> str:
        return (
            f"Connection(server={self.server_pool or self.server!r}, user={self.user!r}, "
            f"authentication={self.authentication!r}, client_strategy={self.strategy_type!r}, "
            f"{'bound' if self.bound else 'not bound'})"
        )

    def _share_pool(self) -> None:
        try:
            first = fill_pool(self, SealingConnection._for_pool)
            if (first._wishes, first.settings) != (self._wishes, self.settings):
                raise ContextMisuse(
                    f"the pool {self.strategy.pool.name} binds in another way (session_security, channel_binding, or "
                    "settings): give this one another pool_name"
                )
        except ContextMisuse as error:
            raise _as_ldap3_has_it(error) from error

    def _for_pool(self) -> SealingConnection:
        """Return a connection like this one for a pool: it binds as this one does now, and asks for the same."""
        kind: type[SealingConnection] = type("PooledConnection", (SealingConnection,), {"settings": self.settings})
        return kind(
            self.server_pool or self.server,
            **self._others,
            **{name: getattr(self, name) for name in _CREDENTIALS},
            session_security="ENCRYPT" if self._wishes.seal else None,
            channel_binding="TLS_CHANNEL_BINDING" if self._wishes.bind_channel else None,
            auto_bind=ldap3.AUTO_BIND_NONE,
            client_strategy=ldap3.RESTARTABLE,
        )

    def _do_auto_bind(self) -> None:
        if self.strategy_type == ldap3.REUSABLE:
            self._share_pool()
        if self.auto_bind == ldap3.AUTO_BIND_TLS_AFTER_BIND:
            # Above a layer no server takes TLS, and below TLS no password goes in clear.
            _LOG.info("AUTO_BIND_TLS_AFTER_BIND: TLS is started before the bind")
            self.auto_bind = ldap3.AUTO_BIND_TLS_BEFORE_BIND
        super()._do_auto_bind()

    @property
    def _in_tls(self) -> bool:
        return isinstance(getattr(self._stream, "transport", None), ssl.SSLSocket)

    def _authenticate(self, controls: Any) -> None:
        try:
            super()._authenticate(controls)
        except BindRefused as refusal:
            self.last_error, self.result = refusal.name, refusal.result
            raise
        except LDAPException:
            raise
        except SaslError as error:
            raise _as_ldap3_has_it(error) from error

    def _run(self, controls: Any) -> Security | None:
        try:
            security = super()._run(controls)
        except LDAPException:
            raise
        except PackageNotFound as error:
            # No exchange has begun, so there is an answer that programs expect: a result.
            if not self.settings.clear:
                raise not_tried(_advised(error), PackageNotFound) from error
            _LOG.warning("a bind is ldap3's own, and what it sends is not sealed: %s", error.text)
            self._run_plain(controls)
            return None
        except (CallerError, LocalError) as error:
            self._end_session()
            raise not_tried(error.text, type(error)) from error
        if self._translation.dn:
            self._check_owner(self._translation.dn)
        if security is not None and not security.ssf and not self._in_tls:
            _LOG.warning("%s has agreed on no layer with %s", security.mechanism, self.server.host)
        return security

    def _run_plain(self, controls: Any) -> None:
        """Make ldap3's own bind, where that is permitted."""
        try:
            REPLACED.bind(self, read_server_info=False, controls=controls)
        except LDAPOperationResult as error:  # with raise_exceptions
            raise bind_refused("a bind", str(self.user), self.result) from error
        if not self.bound:
            raise bind_refused("a bind", str(self.user), self.result)

    def _check_owner(self, dn: str) -> None:
        """Raise where the server has let in somebody else than the DN's owner: the name was another entry's too."""
        kept = {name: getattr(self, name) for name in ("request", "response", "result", "last_error")}
        try:
            identity = self.extend.standard.who_am_i() or ""
        except LDAPException:
            return  # it does not tell
        finally:
            for name, value in kept.items():
                setattr(self, name, value)
        # Whoever it is, the connection is theirs, and no program's that has asked for another.
        if identity.startswith("dn:") and not _same(identity.removeprefix("dn:"), dn):
            self._end_session()
            raise not_tried(
                f"the server takes the user of {dn} for {identity}: the name is not unique",
                LogonDenied,
                _INVALID_CREDENTIALS,
            )


def _wishes(given: dict[str, Any], session_security: str | None, channel_binding: str | None) -> Wishes:
    """Understand the arguments of ldap3's development line, and refuse what it refuses."""
    authentication, mechanism = given.get("authentication"), given.get("sasl_mechanism")
    if session_security not in (None, "", "ENCRYPT"):
        raise LDAPInvalidValueError(f'session_security is "ENCRYPT" or None, not {session_security!r}')
    if channel_binding not in (None, "", "TLS_CHANNEL_BINDING"):
        raise LDAPInvalidValueError(f'channel_binding is "TLS_CHANNEL_BINDING" or None, not {channel_binding!r}')
    if session_security and not (authentication == ldap3.NTLM or mechanism == ldap3.GSSAPI):
        raise LDAPInvalidValueError('"session_security" option only available for NTLM and GSSAPI')
    if channel_binding and authentication != ldap3.NTLM:
        raise LDAPInvalidValueError('"channel_binding" option only available for NTLM authentication over TLS')
    return Wishes(bool(session_security), bool(channel_binding))


def _advised(error: SaslError) -> str:
    return (
        f"this bind cannot be sealed: {error.text}. Use TLS; "
        'saslsspi.compat.install("ldap3", clear=True) permits what is not sealed'
    )


def _as_ldap3_has_it(error: SaslError) -> LDAPBindError:
    """Return an error of ours as one that programs for ldap3 expect; it is still an instance of its own class."""
    kind: Any = type("BindFailed", (LDAPBindError, type(error)), {"__module__": __name__})
    made: LDAPBindError = kind(error.text, token=error.token, requirement=error.requirement)
    return made


def _same(one: str, other: str) -> bool:
    try:
        return str(safe_dn(one)).lower() == str(safe_dn(other)).lower()
    except LDAPException:
        return one.lower() == other.lower()
