"""What a client of pyspnego logs on with, and what that is to the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from saslsspi import credentials as engine
from saslsspi.compat.spnego._user_file import entry_of, user_file
from saslsspi.compat.spnego.exceptions import InvalidCredentialError, NoCredentialError, OperationNotAvailableError
from saslsspi.errors import InvalidParameter

__all__ = [
    "Credential",
    "CredentialCache",
    "KerberosCCache",
    "KerberosKeytab",
    "NTLMHash",
    "Password",
    "engine_credentials",
    "split_username",
    "unify_credentials",
]

_HASHES: Final = re.compile(r"[0-9a-fA-F]{32}:[0-9a-fA-F]{32}")


@dataclass
class Password:
    """A user name and a password."""

    supported_protocols: ClassVar[list[str]] = ["credssp", "kerberos", "ntlm"]
    username: str
    password: str = field(repr=False)


@dataclass
class CredentialCache:
    """What the user has: Kerberos tickets, and for NTLM an entry of NTLM_USER_FILE."""

    supported_protocols: ClassVar[list[str]] = ["kerberos", "ntlm"]
    username: str | None = None


@dataclass
class NTLMHash:
    """A user name and hashes of a password, in hexadecimal digits. The LM hash is not used."""

    supported_protocols: ClassVar[list[str]] = ["ntlm"]
    username: str
    lm_hash: str | None = field(default=None, repr=False)
    nt_hash: str | None = field(default=None, repr=False)


@dataclass
class KerberosKeytab:
    """Keys that get Kerberos tickets; without a principal the first one in it."""

    supported_protocols: ClassVar[list[str]] = ["kerberos"]
    keytab: str
    principal: str | None = None


@dataclass
class KerberosCCache:
    """A cache of Kerberos tickets by name, such as FILE:/run/tickets."""

    supported_protocols: ClassVar[list[str]] = ["kerberos"]
    ccache: str
    principal: str | None = None


Credential = CredentialCache | KerberosCCache | KerberosKeytab | NTLMHash | Password
_KINDS: Final = (CredentialCache, KerberosCCache, KerberosKeytab, NTLMHash, Password)


def split_username(username: str | None) -> tuple[str | None, str | None]:
    r"""Return domain and user of DOMAIN\user; everything else is a user without a domain, user@domain too."""
    if username is None or "\\" not in username:
        return None, username
    domain, _, user = username.partition("\\")
    return domain, user


def unify_credentials(
    username: str | Credential | list[Credential] | None = None,
    password: str | None = None,
    required_protocol: str | None = None,
) -> list[Credential]:
    """Return a list of credentials of whatever a caller gives, without those whose protocols others before them have.

    Raises:
        InvalidCredentialError: it is neither a name nor a credential.
        NoCredentialError: none of them serves the protocol that is required.
    """
    given: list[Any]
    if not username:
        given = [CredentialCache()]
    elif not isinstance(username, str):
        given = username if isinstance(username, list) else [username]
    elif password is None:
        given = [CredentialCache(username)]
    elif _HASHES.fullmatch(password):
        given = [NTLMHash(username, *password.split(":"))]
    else:
        given = [Password(username, password)]
    kept: list[Credential] = []
    covered: set[str] = set()
    for one in given:
        if not isinstance(one, _KINDS):
            raise InvalidCredentialError(
                context_msg="Invalid username/credential specified, must be a string or Credential object."
            )
        if not covered.issuperset(one.supported_protocols):
            kept.append(one)
            covered.update(one.supported_protocols)
    if required_protocol and required_protocol not in covered:
        raise NoCredentialError(
            context_msg=f"A credential for {required_protocol} is needed but only found credentials for "
            f"{', '.join(sorted(covered))}"
        )
    return kept


def engine_credentials(given: list[Credential], protocol: str) -> Any:
    """Return what the engine takes: for Negotiate what each package has, else one; None is what the user has.

    Args:
        given: As unify_credentials returned it.
        protocol: "ntlm", "kerberos" or "negotiate".

    Raises:
        NoCredentialError, OperationNotAvailableError: there is nothing that this protocol can use.
    """
    if protocol != "negotiate":
        return _for_protocol(given, protocol)
    found: dict[str, Any] = {}
    problem: Exception | None = None
    for name, package in (("kerberos", "Kerberos"), ("ntlm", "NTLM")):
        if not any(name in one.supported_protocols for one in given):
            continue
        try:
            found[package] = _for_protocol(given, name)
        except OperationNotAvailableError as error:  # no NTLM_USER_FILE: Kerberos alone is left
            problem = error
    if not found:
        raise problem or NoCredentialError()
    return engine.PerPackage(found)


def _for_protocol(given: list[Credential], protocol: str) -> Any:
    one = next(each for each in given if protocol in each.supported_protocols)
    if isinstance(one, CredentialCache):
        if protocol == "ntlm":
            return _of_user_file(one.username)
        return engine.Tickets(one.username) if one.username else None
    if isinstance(one, KerberosKeytab):
        return engine.Tickets(one.principal or "", keytab=one.keytab)
    if isinstance(one, KerberosCCache):
        return engine.Tickets(one.principal or "", cache=one.ccache)
    domain, user = split_username(one.username)
    if isinstance(one, Password):
        # A name without a domain stays so: the server's own is not put in its place.
        realm = domain if domain is not None or protocol == "kerberos" else ""
        return engine.Password(user or "", one.password, realm=realm)
    if not one.nt_hash:
        raise NoCredentialError(context_msg="NTLM needs the NT hash; a LM hash alone is not enough")
    try:
        return engine.NtHash(user or "", one.nt_hash, realm=domain or "")
    except InvalidParameter as error:
        raise InvalidCredentialError(context_msg=error.text) from error


def _of_user_file(username: str | None) -> Any:
    domain, user = split_username(username)
    path = user_file()
    if path is None:
        raise OperationNotAvailableError(
            context_msg="No username or password was specified and the credential cache did not exist or contained no "
            "credentials"
        )
    entry = entry_of(path, domain or "", user or "")
    if entry is None:
        raise NoCredentialError(
            context_msg="Failed to find any matching credential in NTLM_USER_FILE credential store."
        )
    if entry.nt_hash is not None:
        return engine.NtHash(entry.username, entry.nt_hash, realm=entry.domain)
    return engine.Password(entry.username, entry.password or "", realm=entry.domain)
