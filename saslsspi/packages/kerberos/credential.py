"""What a Kerberos handle holds: tickets the user has, a password's or a keytab's, and the keys of a service."""

from __future__ import annotations

import contextlib
import functools
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from saslsspi.engine.attributes import SecPkgCred, SecPkgCredKdcProxySettings
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.flags import KdcProxySettingsFlags
from saslsspi.engine.identity import (
    AuthIdentity,
    TicketsIdentity,
    WinNTAuthCredentialType,
    WinNTAuthIdentity,
    WinNTAuthIdentityPackedCredential,
)
from saslsspi.errors import NoCredentials, UnknownCredentials
from saslsspi.packages.kerberos.failures import translated
from saslsspi.packages.kerberos.gss import bounded, krb5, library, no_ci_flags
from saslsspi.packages.kerberos.initial import ForwardableTicket
from saslsspi.packages.kerberos.names import display, user_name

__all__ = ["KerberosCredential", "acquire"]

_KEYTAB_VERSION: Final = 0x05  # the first octet of a keytab's contents; a keytab's name never begins with it


class KerberosCredential(Credential):
    """Credentials of the library, one for each side; everything that they need lives as long as they do.

    Attributes:
        username: The principal that authenticates, "" on a handle that only accepts.
        initiating: For the client's side, or None.
        accepting: For the server's side, or None.
        principals: The service principals that clients may mean, lower case and without realm; empty for any.
        proxied: The proxy through which alone KDCs may be asked, "" for any way there is.
    """

    __slots__ = (
        "__weakref__", "_delegating", "_forwardable", "accepting", "initiating", "principals", "proxied", "username",
    )  # fmt: skip

    def __init__(
        self,
        username: str,
        initiating: Any,
        accepting: Any,
        principals: frozenset[str],
        forwardable: Callable[[], ForwardableTicket] | None = None,
    ) -> None:
        self.username = username
        self.initiating = initiating
        self.accepting = accepting
        self.principals = principals
        self._forwardable = forwardable
        self._delegating: tuple[ForwardableTicket, Any] | None = None
        self.proxied = ""

    def accept_setting(self, setting: SecPkgCred) -> bool:
        """See Credential.accept_setting."""
        if not isinstance(setting, SecPkgCredKdcProxySettings):
            return False
        forced = setting.flags & KdcProxySettingsFlags.KDC_PROXY_SETTINGS_FLAGS_FORCEPROXY
        self.proxied = (setting.proxy_server or "a proxy") if forced else ""
        return True

    def for_delegation(self) -> Any:
        """Return initiating, or where a password got it, a credential that may be forwarded; may ask the KDC.

        Raises:
            NoCredentials: the KDC gives no such ticket.
        """
        if self._forwardable is None:
            return self.initiating
        if self._delegating is None:
            ticket = self._forwardable()
            self._delegating = ticket, _initiating(None, None, None, ticket.cache)
        return self._delegating[1]


def acquire(
    principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
) -> KerberosCredential:
    """Acquire credentials of the library for the given sides.

    Raises:
        NoCredentials: there is no ticket, no key, or none of that principal.
        LogonDenied: the KDC does not know the user or refuses the password.
        NoAuthenticatingAuthority: no KDC answers in time.
        UnknownCredentials: auth_data is of another kind.
    """
    if auth_data is None or isinstance(auth_data, WinNTAuthIdentity):
        return _acquire(principal, auth_data, None, None, sides, environment)
    if isinstance(auth_data, TicketsIdentity):
        own = bool(auth_data.keytab and not auth_data.cache and Side.INITIATE in sides)
        folder = _folder() if own else None
        keytab, cache = auth_data.keytab or None, auth_data.cache or None
    elif isinstance(auth_data, WinNTAuthIdentityPackedCredential):
        (folder, keytab), cache = _keytab(auth_data), None
    else:
        raise UnknownCredentials(
            f"Kerberos takes WinNTAuthIdentity, TicketsIdentity, or a WinNTAuthIdentityPackedCredential with a keytab, "
            f"not {type(auth_data).__name__}"
        )
    try:
        cache = cache or (None if folder is None else f"FILE:{folder}/tickets")
        credential = _acquire(principal, auth_data, cache, keytab, sides, environment)
    except BaseException:
        _remove(folder)
        raise
    weakref.finalize(credential, _remove, folder)
    return credential


def _acquire(
    principal: str | None,
    auth_data: WinNTAuthIdentity | WinNTAuthIdentityPackedCredential | TicketsIdentity | None,
    cache: str | None,
    keytab: str | None,
    sides: frozenset[Side],
    environment: Environment,
) -> KerberosCredential:
    username, initiating, accepting, forwardable = "", None, None, None
    if Side.INITIATE in sides:
        wanted = auth_data.username if auth_data is not None and auth_data.username else principal
        domain = auth_data.domain if auth_data is not None else None
        password = auth_data.password if isinstance(auth_data, WinNTAuthIdentity) else None
        # A user's name, and not the service's that BOTH has beside it.
        name = user_name(wanted, domain) if wanted and (Side.ACCEPT not in sides or auth_data is not None) else None
        initiating = bounded(
            lambda: _initiating(name, password, keytab, cache), environment.policy.kdc_timeout, "getting a ticket"
        )
        username = _principal_of(initiating)
        if password is not None:
            forwardable = functools.partial(ForwardableTicket, username, password)
    if Side.ACCEPT in sides:
        accepting = _accepting(keytab)
    principals = frozenset((principal or "").lower().split()) if Side.ACCEPT in sides else frozenset()
    return KerberosCredential(username, initiating, accepting, principals, forwardable)


def _remove(folder: str | None) -> None:
    if folder is not None:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _keytab(packed: WinNTAuthIdentityPackedCredential) -> tuple[str | None, str]:
    """Return the name under which the library finds a packed keytab, and the folder that holds it if it is ours."""
    if packed.credential_type != WinNTAuthCredentialType.SEC_WINNT_AUTH_DATA_TYPE_KEYTAB:
        raise UnknownCredentials("of packed credentials Kerberos takes only SEC_WINNT_AUTH_DATA_TYPE_KEYTAB")
    if not packed.credential:
        raise NoCredentials("the keytab is empty")
    if packed.credential[0] != _KEYTAB_VERSION:
        try:
            return None, packed.credential.decode()
        except UnicodeDecodeError:
            raise UnknownCredentials("neither the contents of a keytab nor the name of one") from None
    # The library reads keytabs from files alone, and a keytab also wants a ticket cache that is nobody else's.
    folder = _folder()
    path = Path(folder, "keytab")
    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
        file.write(packed.credential)
    return folder, f"FILE:{path}"


def _folder() -> str:
    import tempfile  # it costs more than the rest of the package, which every user of another one loads too

    return tempfile.mkdtemp(prefix="saslsspi-keytab-")


def _initiating(name: Any, password: str | None, keytab: str | None, cache: str | None) -> Any:
    gss = library()
    with translated("getting a ticket"):
        if password is not None:
            if name is None:
                raise NoCredentials("a password needs a user name beside it")
            if not hasattr(gss, "acquire_cred_with_password"):
                raise NoCredentials("this GSS-API library takes no password; get a ticket with kinit")
            made = gss.acquire_cred_with_password(name, password.encode(), mechs=[krb5()], usage="initiate")
        elif keytab is not None or cache is not None:
            named = {b"client_keytab": keytab, b"ccache": cache}
            store = {key: value.encode() for key, value in named.items() if value is not None}
            if hasattr(gss, "acquire_cred_from"):
                made = gss.acquire_cred_from(store, name, mechs=[krb5()], usage="initiate")
            else:
                made = _from_cache(cache, name)
        else:
            made = gss.acquire_cred(name, mechs=[krb5()], usage="initiate")
    # MIT's initiator promises integrity and confidentiality whatever it was asked for, and peers that go by the
    # promise (Samba, Active Directory) then insist on sealed messages.
    if hasattr(gss, "set_cred_option"):
        # A library without the option grants more than was asked; the context tells what.
        with contextlib.suppress(gss.GSSError):
            gss.set_cred_option(no_ci_flags(), made.creds)
    return made.creds


def _from_cache(cache: str | None, name: Any) -> Any:
    """Return a cache's credential where there are no credential stores: its name is this thread's for a moment."""
    gss = library()
    if cache is None or not hasattr(gss, "krb5_ccache_name"):
        raise NoCredentials("this GSS-API library opens no keytab and no cache by name; get a ticket with kinit")
    before = gss.krb5_ccache_name(cache.encode())
    try:
        return gss.acquire_cred(name, mechs=[krb5()], usage="initiate")
    finally:
        gss.krb5_ccache_name(before)


def _accepting(keytab: str | None) -> Any:
    gss = library()
    # RFC 4752 section 3.2: "Servers SHOULD use a credential obtained by calling GSS_Acquire_cred or GSS_Add_cred for
    # the GSS_C_NO_NAME desired_name and the Object Identifier (OID) of the Kerberos V5 GSS-API mechanism."
    with translated("opening the keytab"):
        if keytab is None:
            return gss.acquire_cred(None, mechs=[krb5()], usage="accept").creds
        return gss.acquire_cred_from({b"keytab": keytab.encode()}, None, mechs=[krb5()], usage="accept").creds


def _principal_of(credentials: Any) -> str:
    gss = library()
    try:
        name = gss.inquire_cred(credentials, name=True, lifetime=False, usage=False, mechs=False).name
    except gss.GSSError:
        return ""
    return display(name) if name is not None else ""
