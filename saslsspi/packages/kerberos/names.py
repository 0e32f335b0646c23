"""Names: SSPI's target and user names in GSS-API's words, and principals taken apart (RFC 1964 section 2.1)."""

from __future__ import annotations

import re
from typing import Any, Final

from saslsspi.errors import InvalidParameter, TargetUnknown
from saslsspi.packages.kerberos.failures import translated
from saslsspi.packages.kerberos.gss import library, principal_name_type

__all__ = ["display", "split_principal", "target_name", "user_name"]

# The last "@" that no backslash precedes separates the realm.
_REALM: Final = re.compile(r"(?<!\\)@([^@]*)\Z")
_ESCAPED: Final = re.compile(r"\\(.)")


def target_name(target: str) -> Any:
    """Return the GSS-API name of an SSPI target.

    "service/host" is the host-based name service@host (RFC 4752 section 3.1: "Otherwise clients MUST use
    GSS_C_NT_HOSTBASED_SERVICE"); a realm or a third component makes it a principal that is taken as it is.

    Raises:
        TargetUnknown: there is no name, or it cannot be one.
    """
    if not target or "\0" in target:
        raise TargetUnknown("Kerberos needs a target such as ldap/host.example.com")
    gss = library()
    service, slash, rest = target.partition("/")
    with translated(f"target {target!r}"):
        if slash and service and rest and "/" not in rest and "@" not in rest:
            return gss.import_name(f"{service}@{rest}".encode(), gss.NameType.hostbased_service)
        if not slash and "@" in target:
            return gss.import_name(target.encode(), gss.NameType.hostbased_service)
        return gss.import_name(target.encode(), principal_name_type())


def user_name(username: str, domain: str | None) -> Any:
    r"""Return the GSS-API name of a user: `alice` and a realm, `alice@REALM`, `REALM\alice`, or `alice` alone."""
    if not username or "\0" in username or "\0" in (domain or ""):
        raise InvalidParameter("a Kerberos user name is not empty and has no NUL")
    realm, backslash, plain = username.partition("\\")
    if not domain and backslash:
        username, domain = plain, realm
    text = username
    if domain:
        # With a realm beside it, an "@" belongs to the name.
        text = username.replace("\\", "\\\\").replace("@", r"\@") + "@" + domain
    with translated("user name"):
        return library().import_name(text.encode(), principal_name_type())


def display(name: Any) -> str:
    """Return a principal as text, `alice@REALM`."""
    return bytes(library().display_name(name, name_type=False).name).decode(errors="replace")


def split_principal(principal: str) -> tuple[str, str]:
    """Return a principal's name, its escapes undone, and its realm."""
    found = _REALM.search(principal)
    if found is None:
        return _ESCAPED.sub(r"\1", principal), ""
    return _ESCAPED.sub(r"\1", principal[: found.start()]), found[1]
