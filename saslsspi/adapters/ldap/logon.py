"""A logon in LDAP bind requests (RFC 4513 section 5.2.1): a dialogue, over whatever carries it.

ldap3's connections carry it blocking and the gateway on asyncio (saslsspi.adapters.stream.dialogue).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import ldap3
from ldap3.core.exceptions import LDAPOperationResult

from saslsspi.adapters.ldap.refusal import BindRefused, bind_refused
from saslsspi.errors import InvalidToken, PackageNotFound, SaslError, TokenRefused
from saslsspi.sasl.client import Client
from saslsspi.sasl.logon import Logon, without
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["BindResult", "BindTurn", "listed_mechanisms", "log_on"]

_SUCCESS: Final = 0
_AUTH_METHOD_NOT_SUPPORTED: Final = 7
_SASL_BIND_IN_PROGRESS: Final = 14
_INVALID_CREDENTIALS: Final = 49
_MOST_STEPS: Final = 100
_LIST: Final = "supportedSASLMechanisms"


class BindTurn(NamedTuple):
    """A bind request that is due. Its repr omits the message.

    Attributes:
        mechanism: The mechanism's name.
        token: The message; None leaves the credentials field out.
    """

    mechanism: str
    token: bytes | None

    def __repr__(self) -> str:
        return f"<BindTurn {self.mechanism}>"


BindResult: TypeAlias = Mapping[str, Any]
"""What answers it, in ldap3's words: type, result, description, message, saslCreds."""


def log_on(
    logon: Logon, offered: Sequence[str], make: Callable[[Mechanism], Client] | None = None
) -> Generator[BindTurn, BindResult, Client]:
    """Yield bind requests, be sent their results, and return the client that has succeeded.

    Where there is a choice, a mechanism that cannot even begin here (no Kerberos, say) or that the server lists and
    then does not know or fails at (OpenLDAP lists GSS-SPNEGO whether it has a keytab or not) is followed by the next
    one. A refusal for any other reason is not: another mechanism would be another guess at the password. Where the
    credentials could be renewed the same mechanism is tried once more.

    Args:
        logon: What to log on with.
        offered: What the server lists.
        make: Makes the client; None for the logon's own way.

    Raises:
        PackageNotFound: no mechanism is left.
        BindRefused: the server refuses.
        SaslError: the mechanism is not satisfied.
    """
    remaining, refused, renewed = list(offered), None, False
    while True:
        try:
            client, first = logon.begin(remaining, make)
        except PackageNotFound as error:
            if refused is None:
                raise
            if refused.is_failure:
                raise refused from None
            raise PackageNotFound(f"{error.text}; tried: {refused.text}") from refused
        try:
            yield from _exchange(client, first, logon.user)
        except TokenRefused:
            if not client.fail() or renewed:
                raise
            renewed = True
        except BindRefused as refusal:
            if refusal.code == _INVALID_CREDENTIALS and client.fail() and not renewed:
                renewed = True
                continue
            if not logon.asks_server or not (refusal.code == _AUTH_METHOD_NOT_SUPPORTED or refusal.is_failure):
                raise
            refused, remaining = refusal, without(remaining, client.mechanism.name)
        else:
            return client


def _exchange(client: Client, token: bytes | None, user: str) -> Generator[BindTurn, BindResult, None]:
    """Yield the requests of one exchange, which begins with token, until server and mechanism are both satisfied."""
    name = client.mechanism.name
    # RFC 4513 section 5.2.3: EXTERNAL's implicit assertion "does not include the optional credentials field".
    implicit = name == "EXTERNAL" and token == b""
    if implicit:
        token = None
    for _ in range(_MOST_STEPS):
        result = yield BindTurn(name, token)
        # Absent and empty are different: only the second is a message (section 5.2.1.3).
        data = result.get("saslCreds")
        if result.get("type") != "bindResponse":
            raise InvalidToken(f"a bind request was answered by {result.get('type')}")
        if result["result"] == _SUCCESS:
            client.succeed(data)
            return
        if result["result"] != _SASL_BIND_IN_PROGRESS:
            client.abort()
            raise bind_refused(name, user, result)
        if implicit and not data:
            # RFC 4422 appendix A.1: a server that takes that for no initial response asks for one.
            implicit, token = False, b""
            continue
        try:
            token = client.step(data or b"") or b""
        except SaslError as error:
            if error.token is not None:
                with contextlib.suppress(Exception):  # the error that counts is ours
                    yield BindTurn(name, error.token)
            raise
    raise InvalidToken(f"the exchange has not ended after {_MOST_STEPS} steps")


def listed_mechanisms(connection: Any) -> list[str]:
    """Return what the root DSE lists in the present state of an ldap3 connection (RFC 4513 section 5.2.1.5).

    Raises:
        PackageNotFound: the server does not tell.
    """
    # A connection keeps what its caller's last operation brought.
    kept = connection.request, connection.response, connection.result, connection.check_names
    connection.check_names = False  # a schema need not know the attribute
    try:
        found = connection.search("", "(objectClass=*)", ldap3.BASE, attributes=[_LIST])
        if connection.strategy.thread_safe:
            result, response = found[1], found[2]
        elif connection.strategy.sync:
            result, response = connection.result, connection.response
        else:
            response, result = connection.get_response(found)[:2]
    except LDAPOperationResult as error:
        raise PackageNotFound(f"the server does not list its mechanisms: {error.description}") from error
    finally:
        connection.request, connection.response, connection.result, connection.check_names = kept
    if result.get("result") != _SUCCESS:
        raise PackageNotFound(f"the server does not list its mechanisms: {result.get('description')}")
    return [
        value.decode(errors="replace")
        for entry in response or ()
        for name, values in entry.get("raw_attributes", {}).items()
        if name.lower() == _LIST.lower()
        for value in values
    ]
