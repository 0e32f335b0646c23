"""One SASL exchange in LDAP bind requests (RFC 4513 section 5.2.1), over whatever sends them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ldap3
from ldap3.core.exceptions import LDAPOperationResult

from saslsspi.adapters.ldap.refusal import BindRefused, bind_refused
from saslsspi.adapters.ldap.tls import Channel
from saslsspi.credentials import Credentials, Password
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.policy import Policy
from saslsspi.errors import DowngradeDetected, InvalidToken, PackageNotFound, SaslError
from saslsspi.sasl.acceptance import choose, objection
from saslsspi.sasl.client import Client
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import find_mechanism

__all__ = ["BindStep", "Logon", "exchange", "listed_mechanisms"]

_SUCCESS: Final = 0
_AUTH_METHOD_NOT_SUPPORTED: Final = 7
_SASL_BIND_IN_PROGRESS: Final = 14
_MOST_STEPS: Final = 100
_LIST: Final = "supportedSASLMechanisms"

BindStep = Callable[[str, bytes | None], Mapping[str, Any]]
"""Sends a bind request with a mechanism's name and a message (None: no credentials field), returns ldap3's result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logon:
    """What a connection binds with; see Connection for the fields."""

    mechanism: str | Sequence[str] | None = None
    credentials: Credentials | None = None
    policy: Policy | None = None
    authzid: str = ""
    host: str | None = None
    server_name: str | None = None
    service: str = "ldap"
    layer_in_tls: bool = False
    resume: bool = False
    environment: Environment | None = None

    @property
    def effective_policy(self) -> Policy:
        """The policy, before TLS has its say."""
        return self.policy or (self.environment or DEFAULT_ENVIRONMENT).policy

    @property
    def user(self) -> str:
        """Who logs on, for messages."""
        return self.credentials.username if isinstance(self.credentials, Password) else ""

    @property
    def asks_server(self) -> bool:
        """Whether the choice depends on what the server lists."""
        return not isinstance(self.mechanism, str)

    def choose(self, channel: Channel, offered: Iterable[str]) -> Mechanism:
        """Return the mechanism to use.

        Raises:
            PackageNotFound: none is left; says why for each.
        """
        if not isinstance(self.mechanism, str):
            return self._choose_among(offered, channel)
        mechanism = find_mechanism(self.mechanism)
        problem = objection(mechanism, channel.policy, external_ssf=channel.external_ssf, bindings=channel.bindings)
        if problem:
            raise PackageNotFound(f"{mechanism.name} cannot be used here: {problem}")
        return mechanism

    def run(
        self, channel: Channel, listed: Sequence[str], make: Callable[[Mechanism, Channel], Client], bind: BindStep
    ) -> Client:
        """Run an exchange and return the client that has succeeded.

        Where there is a choice, a mechanism that cannot even begin here (no Kerberos, say) or that the server lists
        and then does not know is followed by the next one. A refusal for any other reason is not: another mechanism
        would be another guess at the password.

        Raises:
            PackageNotFound: no mechanism is left.
            BindRefused, SaslError: see exchange.
        """
        problems: dict[str, SaslError] = {}
        while True:
            remaining = [name for name in listed if name.upper() not in problems]
            try:
                mechanism = self.choose(channel, remaining)
            except PackageNotFound as error:
                if not problems:
                    raise
                tried = "; ".join(f"{name}: {problem.text}" for name, problem in problems.items())
                raise PackageNotFound(f"{error.text}; tried: {tried}") from error
            try:
                client = make(mechanism, channel)
                first = client.start()
            except SaslError as error:
                if not self.asks_server:
                    raise
                problems[mechanism.name.upper()] = error
                continue
            try:
                exchange(client, first, bind, self.user)
            except BindRefused as refusal:
                if not self.asks_server or refusal.code != _AUTH_METHOD_NOT_SUPPORTED:
                    raise
                problems[mechanism.name.upper()] = refusal
            else:
                return client

    def check_not_hidden(self, client: Client, channel: Channel, before: Iterable[str], after: Iterable[str]) -> None:
        """Compare the list in clear with the one under the layer (RFC 4422 section 6.1.2).

        Raises:
            DowngradeDetected: the server lists, under protection, what we would have preferred and were not shown.
        """
        try:
            best = self._choose_among(after, channel)
        except PackageNotFound:
            return  # a server may list nothing to those who are in
        if best.name != client.mechanism.name and best.name not in {name.upper() for name in before}:
            raise DowngradeDetected(
                f"{best.name} was hidden from the list in clear: the server lists it under the layer of "
                f"{client.mechanism.name}",
                requirement="RFC4422-6.1.2-04",
            )

    def client(self, mechanism: Mechanism, channel: Channel, host: str) -> Client:
        """Make the client's side of an exchange."""
        return Client(
            mechanism,
            service=self.service,
            host=self.host or host,
            credentials=self.credentials,
            server_name=self.server_name,
            authzid=self.authzid,
            policy=channel.policy,
            bindings=channel.bindings,
            external_ssf=channel.external_ssf,
            environment=self.environment,
        )

    def _choose_among(self, offered: Iterable[str], channel: Channel) -> Mechanism:
        return choose(
            offered,
            channel.policy,
            (self.mechanism,) if isinstance(self.mechanism, str) else self.mechanism or (),
            external_ssf=channel.external_ssf,
            bindings=channel.bindings,
            credentials=self.credentials,
        ).mechanism


def exchange(client: Client, token: bytes | None, bind: BindStep, user: str) -> None:
    """Run an exchange, which begins with token, until both the server and the mechanism are satisfied.

    Raises:
        BindRefused: the server refuses.
        SaslError: the mechanism is not satisfied.
    """
    name = client.mechanism.name
    # RFC 4513 section 5.2.3: EXTERNAL's implicit assertion "does not include the optional credentials field".
    implicit = name == "EXTERNAL" and token == b""
    if implicit:
        token = None
    for _ in range(_MOST_STEPS):
        result = bind(name, token)
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
                    bind(name, error.token)
            raise
    raise InvalidToken(f"the exchange has not ended after {_MOST_STEPS} steps")


def listed_mechanisms(connection: Any) -> list[str]:
    """Return what the root DSE lists in the present state of an ldap3 connection (RFC 4513 section 5.2.1.5).

    Raises:
        PackageNotFound: the server does not tell.
    """
    kept = connection.request, connection.response, connection.result, connection.check_names
    connection.check_names = False  # a schema need not know the attribute
    try:
        found = connection.search("", "(objectClass=*)", ldap3.BASE, attributes=[_LIST])
        if connection.strategy.thread_safe:
            response = found[2]
        else:
            response = connection.response if connection.strategy.sync else connection.get_response(found)[0]
    except LDAPOperationResult as error:
        raise PackageNotFound(f"the server does not list its mechanisms: {error.description}") from error
    finally:
        connection.request, connection.response, connection.result, connection.check_names = kept
    return [
        value.decode(errors="replace")
        for entry in response or ()
        for name, values in entry.get("raw_attributes", {}).items()
        if name.lower() == _LIST.lower()
        for value in values
    ]
