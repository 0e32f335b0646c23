"""One logon of a client, whatever carries it: what to log on with, which mechanism, which next, and what was hidden.

The carriers (LDAP, mail) and the command line hand a Logon on and read nothing of it but what their protocol needs, so
an option of a logon is written here, in the client's parameters, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self, TypedDict, cast

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Anonymous, Credentials, Password
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.policy import ChannelBindingPolicy, Policy
from saslsspi.errors import DowngradeDetected, InvalidParameter, PackageNotFound, SaslError
from saslsspi.kinds import check_kind
from saslsspi.sasl.acceptance import choose, objection
from saslsspi.sasl.client import Client
from saslsspi.sasl.mechanism import Mechanism, principal
from saslsspi.sasl.registry import find_mechanism

__all__ = ["Logon", "LogonOptions", "MechanismNames", "options_of", "without"]

_PLUS: Final = "-PLUS"
MechanismNames = str | Sequence[str] | None
"""One name; names in order of preference, of which the server must list one; or None, for the strongest that the
server lists and the policy permits."""


class LogonOptions(TypedDict, total=False):
    """The keywords of every logon: of ldap.Connection, of every authenticate_sasl, of `saslsspi auth`.

    Attributes:
        credentials: What to authenticate with: Password and its like, or a pair of user and password.
        user: In the place of credentials, together with password.
        password: See user.
        authzid: The identity to act as, "" for one's own.
        policy: What to accept; overrides the environment's.
        host: The server's full name, for digest-uri and Kerberos; without it, the one that was connected to.
        server_name: Name of a replicated service, when it is not the host's.
        bindings: Channel bindings; without them those of the connection's TLS.
        environment: Clock, randomness and policy of the exchange.
        force: Whether the one mechanism that is named is begun where the server does not list it.
        client_class: What the exchange is made of: a subclass of Client that looks at its messages, say.
    """

    credentials: Credentials | tuple[str, str] | None
    user: str | None
    password: str | None
    authzid: str
    policy: Policy | None
    host: str | None
    server_name: str | None
    bindings: ChannelBindings | None
    environment: Environment | None
    force: bool
    client_class: type[Client]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logon:
    """What to log on with; see LogonOptions for the other fields.

    Attributes:
        mechanism: The names that the caller gave, as the caller gave them.
        service: The GSSAPI service name of the protocol.
        plus_bindings: Channel bindings for the mechanisms with -PLUS, where they are others.
        external_ssf: Strength of the verified TLS around the exchange; 0 without.
        max_message: Largest message that the carrier takes, in octets before base64; 0 knows no limit.
    """

    service: str
    mechanism: MechanismNames = None
    credentials: Credentials | None = None
    authzid: str = ""
    policy: Policy | None = None
    host: str | None = None
    server_name: str | None = None
    bindings: ChannelBindings | None = None
    plus_bindings: ChannelBindings | None = field(default=None, repr=False)
    external_ssf: int = 0
    environment: Environment | None = field(default=None, repr=False)
    max_message: int = 0
    force: bool = False
    client_class: type[Client] = Client

    @classmethod
    def of(cls, service: str, mechanism: MechanismNames = None, **options: Any) -> Self:
        """Make a logon of what a person has at hand.

        Args:
            service: The GSSAPI service name of the protocol.
            mechanism: See MechanismNames.
            options: Those of LogonOptions, and the fields of Logon.

        Raises:
            InvalidParameter: an option is not understood; the text says what to give.
        """
        _check_mechanism(mechanism)
        user, password = options.pop("user", None), options.pop("password", None)
        options["credentials"] = _understood(options.get("credentials"), user, password)
        if unknown := options.keys() - {each.name for each in fields(cls)}:
            raise InvalidParameter(f"there is no option {', '.join(sorted(unknown))} of a logon")
        for name, kind in _KINDS.items():
            if options.get(name) is not None:
                check_kind(name, options[name], kind)
        return cls(service=service, mechanism=mechanism, **options)

    def changed(self, **changes: Any) -> Self:
        """Return the same logon but for what is given; None leaves a thing as it was.

        Raises:
            InvalidParameter: see of.
        """
        kept = {each.name: getattr(self, each.name) for each in fields(self)}
        given = {name: value for name, value in changes.items() if value is not None}
        if "user" in given or "password" in given:
            del kept["credentials"]
        return type(self).of(**{**kept, **given})

    @property
    def effective_policy(self) -> Policy:
        """The policy that will be in force."""
        return self.policy or (self.environment or DEFAULT_ENVIRONMENT).policy

    @property
    def user(self) -> str:
        """Who logs on, for messages."""
        return "" if self.credentials is None or isinstance(self.credentials, Anonymous) else self.credentials.username

    @property
    def target(self) -> str:
        """The principal that is meant, as a security context takes it."""
        return principal(self.service, self.host or "", self.server_name)

    @property
    def names(self) -> tuple[str, ...]:
        """The mechanisms that the caller named, the preferred first."""
        if self.mechanism is None:
            return ()
        return (self.mechanism,) if isinstance(self.mechanism, str) else tuple(self.mechanism)

    @property
    def asks_server(self) -> bool:
        """Whether the choice depends on what the server lists."""
        return not isinstance(self.mechanism, str)

    def choose(self, offered: Iterable[str]) -> Mechanism:
        """Return the mechanism to use.

        Raises:
            PackageNotFound: none is left; says why for each.
        """
        return choose(
            offered,
            self.effective_policy,
            self.names,
            external_ssf=self.external_ssf,
            bindings=self.bindings or self.plus_bindings,
            credentials=self.credentials,
            force=self.force,
        ).mechanism

    def named(self) -> Mechanism:
        """Return the one mechanism that the caller named, whatever the server lists.

        Raises:
            PackageNotFound: it cannot be used here; says why.
        """
        assert isinstance(self.mechanism, str)
        mechanism = find_mechanism(self.mechanism)
        bindings = self.bindings or self.plus_bindings
        problem = objection(mechanism, self.effective_policy, external_ssf=self.external_ssf, bindings=bindings)
        if problem:
            raise PackageNotFound(f"{mechanism.name} cannot be used here: {problem}")
        return mechanism

    def begin(
        self, offered: Iterable[str], make: Callable[[Mechanism], Client] | None = None
    ) -> tuple[Client, bytes | None]:
        """Return a client that has begun, and its initial response.

        Where there is a choice, a mechanism that cannot even begin here (no Kerberos, say) is followed by the next one.

        Args:
            offered: What the server lists.
            make: Makes the client; None for `client`.

        Raises:
            PackageNotFound: no mechanism is left; says why for each.
            SaslError: the one mechanism that was named cannot begin.
        """
        problems: dict[str, SaslError] = {}
        remaining = list(offered)
        while True:
            try:
                mechanism = self.choose(remaining) if self.asks_server else self.named()
            except PackageNotFound as error:
                if not problems:
                    raise
                tried = "; ".join(f"{name}: {problem.text}" for name, problem in problems.items())
                raise PackageNotFound(f"{error.text}; tried: {tried}") from error
            try:
                client = make(mechanism) if make is not None else self.client(mechanism)
                return client, client.start()
            except SaslError as error:
                if not self.asks_server:
                    raise
                problems[mechanism.name] = error
                remaining = without(remaining, mechanism.name)

    def client(self, mechanism: Mechanism) -> Client:
        """Make the client's side of an exchange."""
        return self.client_class(
            mechanism,
            service=self.service,
            host=self.host or "",
            credentials=self.credentials,
            server_name=self.server_name,
            authzid=self.authzid,
            policy=self.policy,
            bindings=(self.plus_bindings or self.bindings) if mechanism.name.endswith(_PLUS) else self.bindings,
            external_ssf=self.external_ssf,
            environment=self.environment,
            max_message=self.max_message,
        )

    def may_unbind(self, mechanism: Mechanism, *, bindings_given: bool) -> bool:
        """Whether channel bindings that nobody asked for may be given up."""
        asked = bindings_given or mechanism.name in (name.upper() for name in self.names)
        return not asked and self.effective_policy.channel_binding is ChannelBindingPolicy.ALLOW

    def unbound(self) -> Self:
        """Return the same logon without channel bindings."""
        return replace(self, bindings=None, plus_bindings=None)

    def check_not_hidden(self, used: str, before: Iterable[str], under_layer: Iterable[str]) -> None:
        """Compare the offer in clear with the one under the layer (RFC 4422 section 6.1.2).

        Args:
            used: The mechanism that was used.
            before: What the server listed in clear.
            under_layer: What it lists now.

        Raises:
            DowngradeDetected: the server lists, under protection, what we would have preferred and were not shown.
        """
        try:
            better = self.choose(under_layer).name
        except PackageNotFound:
            return  # a server may list nothing to those who are in
        if better != used and better not in {name.upper() for name in before}:
            raise DowngradeDetected(
                f"{better} was hidden from the offer in clear: the server lists it under the layer of {used}",
                requirement="RFC4422-6.1.2-04",
            )


def options_of(logon: Logon) -> LogonOptions:
    """Return a logon as the keywords that an adapter takes."""
    own = {each.name: getattr(logon, each.name) for each in fields(logon)}
    return cast(LogonOptions, {name: own[name] for name in LogonOptions.__optional_keys__ & own.keys()})


def without(offered: Iterable[str], mechanism: str) -> list[str]:
    """Return an offer less one mechanism, however the server spells it."""
    return [name for name in offered if name.upper() != mechanism.upper()]


_KINDS: Final[dict[str, type]] = {
    "authzid": str,
    "policy": Policy,
    "host": str,
    "server_name": str,
    "bindings": ChannelBindings,
    "environment": Environment,
}


def _check_mechanism(mechanism: object) -> None:
    named = [mechanism] if isinstance(mechanism, str) else [] if mechanism is None else mechanism
    if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
        raise InvalidParameter(f"mechanism is a name, a list of names, or None; not {type(mechanism).__name__}")


def _understood(credentials: object, user: object, password: object) -> Credentials | None:
    """Return credentials from what a person has at hand."""
    if user is not None or password is not None:
        if credentials is not None:
            raise InvalidParameter("credentials= and user=, password= exclude each other: give one of the two")
        credentials = (user, password)
    if credentials is None or isinstance(credentials, Credentials):
        return credentials
    if isinstance(credentials, tuple) and len(credentials) == 2 and all(isinstance(one, str) for one in credentials):
        return Password(*credentials)
    if user is not None or password is not None:
        raise InvalidParameter("user= goes with password=, or say credentials=saslsspi.Password(...)")
    given = type(credentials).__name__
    raise InvalidParameter(f"credentials are a saslsspi.Password or a pair of user and password, not {given}")
