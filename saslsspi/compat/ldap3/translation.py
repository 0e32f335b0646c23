r"""What an ordinary bind of ldap3's comes to: the exchange that runs in its place, or why it stays ldap3's own.

authentication=NTLM, DOMAIN\user             GSS-SPNEGO or NTLM, sealed; inside TLS bound to its channel
simple, user@domain or DOMAIN\user, no TLS   the same
simple, a DN, no TLS                         the same, once it is known whose the DN is
SASL, DIGEST-MD5 or KERBEROS                 the mechanism, with its strongest layer
everything else                              ldap3's own
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import ldap3

from saslsspi.credentials import NtHash, Password, Tickets
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT
from saslsspi.engine.policy import ChannelBindingPolicy, NegotiatePolicy, Policy
from saslsspi.packages.kerberos import KerberosDelegatedCredential
from saslsspi.sasl.logon import Logon

__all__ = ["Translation", "Wishes", "named_logon", "translate"]

_SERVICE: Final = "ldap"
_SEALED: Final = 56  # RFC 2831's and NTLM's weakest cipher that anybody would call one
_SIGNED: Final = 1

# A directory of Windows names its users with their domain, and knows them by NTLM whatever else it lists.
_WINDOWS: Final = ("GSS-SPNEGO", "NTLM", "DIGEST-MD5")
_OTHERS: Final = ("DIGEST-MD5", "GSS-SPNEGO", "NTLM")

_DN: Final = re.compile(r"\s*(?:[A-Za-z][\w.-]*|\d+(?:\.\d+)+)\s*=")
_HASHES: Final = re.compile(r"[0-9A-Fa-f]{32}:[0-9A-Fa-f]{32}")  # LM:NT, which ldap3 takes for a password of NTLM
_LAYERS: Final[Mapping[str, int]] = {"sign": _SIGNED, "encrypt": _SEALED}


@dataclass(frozen=True, slots=True)
class Wishes:
    """The arguments of ldap3's development line, which are not attributes of every ldap3.

    Attributes:
        seal: session_security=ENCRYPT.
        bind_channel: channel_binding=TLS_CHANNEL_BINDING.
    """

    seal: bool = False
    bind_channel: bool = False


@dataclass(frozen=True, slots=True)
class Translation:
    """What a bind comes to.

    Attributes:
        logon: The exchange that runs in its place; None leaves the bind to ldap3.
        dn: The name whose user has to be looked up first; "" for none.
        reason: Why it is left to ldap3, or "".
        exposes: Whether ldap3's own bind shows the password to everybody on the wire.
    """

    logon: Logon | None = None
    dn: str = ""
    reason: str = ""
    exposes: bool = False


def translate(connection: Any, wishes: Wishes, *, protected: bool) -> Translation:
    """Return what the next bind of an ldap3 connection comes to.

    Args:
        connection: Its arguments are read, as they are now.
        wishes: Those of its arguments that ldap3 does not keep.
        protected: Whether TLS is around it, or nobody is between (a Unix socket).
    """
    known = _METHODS.get(connection.authentication)
    return known(connection, wishes, protected) if known is not None else Translation()


def named_logon(user: str, password: str) -> Logon:
    r"""Return the logon of a user in one of the forms that Windows takes: user@domain, DOMAIN\user, or a bare name."""
    domain, backslash, name = user.rpartition("\\")
    # NTLM takes user@domain as it is: the suffix need not be the name of a domain.
    credentials = Password(name, password, realm=domain) if backslash else Password(user, password)
    return Logon(
        service=_SERVICE,
        mechanism=_WINDOWS if backslash or "@" in user else _OTHERS,
        credentials=credentials,
        policy=_policy(_SEALED, ntlm=True),
    )


def _policy(min_ssf: int, *, ntlm: bool = False, bindings: ChannelBindingPolicy | None = None) -> Policy:
    policy = DEFAULT_ENVIRONMENT.policy
    return replace(
        policy,
        min_ssf=max(policy.min_ssf, min_ssf),
        negotiate=NegotiatePolicy(packages="ntlm") if ntlm else policy.negotiate,
        channel_binding=bindings or policy.channel_binding,
    )


def _ntlm(connection: Any, wishes: Wishes, protected: bool) -> Translation:
    user, password = connection.user, _text(connection.password)
    if not user or not password or user.count("\\") != 1:
        return Translation(reason="ldap3 refuses NTLM without DOMAIN\\user and a password")
    domain, _, name = user.partition("\\")
    credentials: Password | NtHash
    if _HASHES.fullmatch(password):
        credentials = NtHash(name, password, realm=domain)
    else:
        credentials = Password(name, password, realm=domain)
    bindings = ChannelBindingPolicy.REQUIRE if wishes.bind_channel else None
    policy = _policy(0 if protected else _SEALED, ntlm=True, bindings=bindings)
    return Translation(Logon(service=_SERVICE, mechanism=_WINDOWS[:2], credentials=credentials, policy=policy))


def _simple(connection: Any, wishes: Wishes, protected: bool) -> Translation:
    user, password = connection.user, _text(connection.password)
    if not user or not password:
        return Translation(reason="ldap3 refuses simple binds without user and password")
    if protected:
        return Translation()
    user = str(user)
    if _DN.match(user):
        return Translation(named_logon("", password), dn=user)
    return Translation(named_logon(user, password))


def _sasl(connection: Any, wishes: Wishes, protected: bool) -> Translation:
    known = _MECHANISMS.get(connection.sasl_mechanism)
    if known is not None:
        return known(connection, wishes, protected)
    exposes = connection.sasl_mechanism == ldap3.PLAIN and not protected
    return Translation(reason=f"SASL {connection.sasl_mechanism} has no layer", exposes=exposes)


def _digest(connection: Any, wishes: Wishes, protected: bool) -> Translation:
    given = connection.sasl_credentials
    if not isinstance(given, tuple | list) or len(given) not in (4, 5):
        return Translation(reason="ldap3 takes (realm, user, password, authzid) or, with 'sign' or 'encrypt', five")
    realm, user, password, authzid, *layer = given
    least = _LAYERS.get(str(layer[0]).lower(), 0) if layer and layer[0] else 0
    return Translation(
        Logon(
            service=_SERVICE,
            mechanism="DIGEST-MD5",
            credentials=Password(_text(user), _text(password), realm=_text(realm) or None),
            authzid=_text(authzid),
            policy=_policy(0 if protected else least),
        )
    )


def _kerberos(connection: Any, wishes: Wishes, protected: bool) -> Translation:
    given: Sequence[Any] = connection.sasl_credentials or ()
    return Translation(
        Logon(
            service=_SERVICE,
            mechanism="GSSAPI",
            credentials=_tickets(connection, given[2] if len(given) > 2 else None),
            authzid=_text(given[1]) if len(given) > 1 else "",
            policy=_policy(_SEALED if wishes.seal and not protected else 0),
            host=_kerberos_host(connection) if given and given[0] else None,
        )
    )


def _tickets(connection: Any, handed: Any) -> Tickets | None:
    """Return which tickets ldap3 would use: those in its hands, those of user and cred_store, or None for one's own."""
    user = _text(connection.user)
    if handed:
        # The library's own object has no name that could be passed on; in a cache it has.
        cache = f"MEMORY:saslsspi-ldap3-{id(connection):x}"
        KerberosDelegatedCredential(user, handed).store(cache)
        return Tickets(cache=cache)
    store = {_text(key): _text(value) for key, value in (connection.cred_store or {}).items()}
    cache, keytab = store.get("ccache", ""), store.get("client_keytab", "")
    return Tickets(user, cache=cache, keytab=keytab) if user or cache or keytab else None


def _kerberos_host(connection: Any) -> str:
    """Return the host that a ticket is wanted for: a name, or a setting of ldap3's for reverse look-ups."""
    # Imports the gssapi library, which whoever comes here needs anyhow.
    from ldap3.protocol.sasl.kerberos import _common_determine_target_name

    return str(_common_determine_target_name(connection)).partition("@")[2]


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


_Method = Callable[[Any, Wishes, bool], Translation]
_METHODS: Final[Mapping[str, _Method]] = {ldap3.NTLM: _ntlm, ldap3.SIMPLE: _simple, ldap3.SASL: _sasl}
_MECHANISMS: Final[Mapping[str, _Method]] = {ldap3.DIGEST_MD5: _digest, ldap3.GSSAPI: _kerberos}
