"""Which mechanism a client of a line protocol uses, in which order others are tried, and what ends a logon."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Final, NamedTuple, Self, TypeAlias, TypedDict

from saslsspi.adapters.mail.dialogue import MAX_MESSAGE, Refused, Turn, converse
from saslsspi.adapters.mail.line_protocol import Capabilities, LineProtocol, Reply, ReplyKind, printable
from saslsspi.adapters.mail.lines import carry, strength_of
from saslsspi.adapters.stream.tls_bindings import tls_bindings
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Credentials
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.policy import ChannelBindingPolicy, Policy
from saslsspi.engine.security import Security
from saslsspi.errors import (
    DowngradeDetected,
    InvalidToken,
    LogonDenied,
    PackageNotFound,
    PeerUnsupported,
    SaslError,
)
from saslsspi.sasl.acceptance import choose
from saslsspi.sasl.client import Client
from saslsspi.sasl.layer import Layer

__all__ = [
    "Carrier",
    "Dialogue",
    "Established",
    "Logon",
    "LogonOptions",
    "authenticate",
    "check_not_hidden",
    "closing_on_error",
    "layer_is_spoken",
    "log_on",
]


_PLUS: Final = "-PLUS"


class Established(NamedTuple):
    """A successful exchange: what was negotiated, and the layer to install now, if any."""

    security: Security
    layer: Layer | None


class LogonOptions(TypedDict, total=False):
    """The keywords of every authenticate_sasl.

    Attributes:
        credentials: What to authenticate with.
        authzid: The identity to act as, "" for one's own.
        policy: What to accept.
        host: The server's name; without it, the one that the connection was opened with.
        server_name: Name of a replicated service, when it is not the host's.
        bindings: Channel bindings; without them those of the connection's TLS: tls-server-end-point, and for the
            mechanisms with -PLUS tls-unique where TLS is 1.2.
        initial_response: False for a server that invites one and cannot take it.
        environment: Clock, randomness and policy of the exchange.
    """

    credentials: Credentials | None
    authzid: str
    policy: Policy | None
    host: str
    server_name: str | None
    bindings: ChannelBindings | None
    initial_response: bool
    environment: Environment | None


Dialogue: TypeAlias = Generator[Turn, Reply, Established | Refused]
"""Yields a command after each final reply, and responses after challenges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logon:
    """What a caller of authenticate_sasl asked for, and what its connection gives; see LogonOptions.

    Attributes:
        mechanism: One name, names in order of preference, or None for the strongest that policy and server permit.
        external_ssf: Strength of the verified TLS around the exchange; 0 without.
        plus_bindings: Channel bindings for the mechanisms with -PLUS.
        bindings_given: Whether the caller brought them.
    """

    mechanism: str | Sequence[str] | None
    host: str
    bindings: ChannelBindings | None
    plus_bindings: ChannelBindings | None
    bindings_given: bool
    external_ssf: int
    credentials: Credentials | None = None
    authzid: str = ""
    policy: Policy | None = None
    server_name: str | None = None
    initial_response: bool = True
    environment: Environment | None = None

    @classmethod
    def over(
        cls,
        sock: object,
        mechanism: str | Sequence[str] | None,
        options: LogonOptions,
        *,
        host: str,
    ) -> Self:
        """Make a logon over a connected socket (or TLS object), whose TLS speaks for itself."""
        own: LogonOptions = {"host": host, **options}
        given = own.get("bindings")
        found = tls_bindings(sock) if isinstance(sock, ssl.SSLSocket | ssl.SSLObject) else ()
        # NTLM and Kerberos have tls-server-end-point on every version of TLS, SCRAM its own default.
        own["bindings"] = given or next((one for one in found if one.type_name == "tls-server-end-point"), None)
        plus = given or next(iter(found), None)
        return cls(
            mechanism=mechanism,
            external_ssf=strength_of(sock),
            plus_bindings=plus,
            bindings_given=given is not None,
            **own,
        )

    @property
    def effective_policy(self) -> Policy:
        """The policy that will be in force."""
        return self.policy or (self.environment or DEFAULT_ENVIRONMENT).policy

    @property
    def preferred(self) -> tuple[str, ...]:
        """The mechanisms that the caller named."""
        if self.mechanism is None:
            return ()
        return (self.mechanism,) if isinstance(self.mechanism, str) else tuple(self.mechanism)

    def choose(self, offered: Iterable[str]) -> str:
        """Return the mechanism to use; raises PackageNotFound, which says why none is left."""
        return choose(
            offered,
            self.effective_policy,
            self.preferred,
            external_ssf=self.external_ssf,
            bindings=self.bindings,
            credentials=self.credentials,
        ).mechanism.name

    def may_unbind(self, mechanism: str) -> bool:
        """Whether channel bindings that nobody asked for may be given up."""
        asked = self.bindings_given or mechanism.upper() in (name.upper() for name in self.preferred)
        return not asked and self.effective_policy.channel_binding is ChannelBindingPolicy.ALLOW

    def candidates(self, listed: Sequence[str] | None) -> list[str]:
        """Return what may be tried of a server's list: one mechanism that was named is, listed or not.

        Raises:
            PeerUnsupported: the server lists no mechanisms at all (None), and none was named.
        """
        named = self.mechanism if isinstance(self.mechanism, str) else None
        if listed is None and named is None:
            raise PeerUnsupported("the server does not offer SASL; name a mechanism to try that one all the same")
        found = list(listed or ())
        if named is not None and named.upper() not in (name.upper() for name in found):
            found.append(named)
        return found

    def client(self, mechanism: str, protocol: LineProtocol) -> Client:
        """Make the client's side of an exchange."""
        policy = self.effective_policy
        if mechanism.upper() in protocol.clear_after and policy.min_ssf == 0:
            policy = replace(policy, max_ssf=0)
        return Client(
            mechanism,
            service=protocol.service,
            host=self.host,
            credentials=self.credentials,
            server_name=self.server_name,
            authzid=self.authzid,
            policy=policy,
            bindings=self.plus_bindings if mechanism.endswith(_PLUS) else self.bindings,
            external_ssf=self.external_ssf,
            environment=self.environment,
            max_message=MAX_MESSAGE,
        )


def log_on(
    logon: Logon,
    protocol: LineProtocol,
    offered: Sequence[str],
    *,
    initial_response: bool,
    tags: Iterable[bytes] = repeat(b""),
) -> Dialogue:
    """Yield turns and be sent replies as in converse, through one mechanism after another.

    A mechanism that the server finds unsuitable is followed by the next (RFC 4954 section 6). A refusal without a
    reason could mean the password, and another try would be another guess: it is followed by the next only where the
    caller named several mechanisms.

    Raises:
        PackageNotFound: no mechanism is left; says why for each.
        SaslError: see converse.
    """
    tag = iter(tags)
    remaining = list(offered)
    policy = logon.effective_policy
    refused: Refused | None = None
    while True:
        try:
            mechanism = logon.choose(remaining)
        except PackageNotFound:
            if refused is None:
                raise
            return refused
        client = logon.client(mechanism, protocol)
        ended = yield from converse(
            client,
            protocol,
            policy=policy,
            initial_response=initial_response and logon.initial_response,
            tag=next(tag),
        )
        if not isinstance(ended, Refused):
            security = client.security
            return Established(replace(security, tolerances=security.tolerances + ended), client.layer)
        refused = ended
        why = ended.reply.kind
        if mechanism.endswith(_PLUS) and why is ReplyKind.REFUSED and logon.may_unbind(mechanism):
            # Servers know one type of bindings or another (Cyrus tls-unique alone, with TLS 1.3 too), and say no more
            # than no. The client claims none now, which is allowed to those who cannot agree.
            logon = replace(logon, bindings=None, plus_bindings=None)
            remaining = [name for name in remaining if not name.upper().endswith(_PLUS)]
        elif why is ReplyKind.UNSUITABLE or (why is ReplyKind.REFUSED and len(logon.preferred) > 1):
            remaining = [name for name in remaining if name.upper() != mechanism.upper()]
        else:
            return refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """What a blocking client's connection does for a logon.

    Attributes:
        ask: Sends a turn and reads the reply.
        install: Puts a layer into force.
        capabilities: Asks what the server lists, under the layer.
        drop: Closes the connection without another word.
        denied: Makes the error for credentials that are refused.
        foreign: What the library below raises of its own.
    """

    ask: Callable[[Turn], Reply]
    install: Callable[[Layer], None]
    capabilities: Callable[[], Capabilities]
    drop: Callable[[], object]
    denied: Callable[[Refused], LogonDenied]
    foreign: tuple[type[Exception], ...] = ()


def authenticate(
    carrier: Carrier,
    protocol: LineProtocol,
    logon: Logon,
    listed: Capabilities,
    *,
    tags: Iterable[bytes] = repeat(b""),
) -> Security:
    """Log on over a blocking connection, and put the layer into force.

    Raises:
        LogonDenied, NoAuthenticatingAuthority, AlgorithmMismatch, PackageNotFound, PeerUnsupported: the server
            refuses, or nothing is left to try; the connection stands before a command again.
        SaslError: the exchange failed, and the connection is closed.
    """
    offered = logon.candidates(listed.mechanisms)
    dialogue = log_on(logon, protocol, offered, initial_response=listed.initial_response, tags=tags)
    turn = next(dialogue)
    with closing_on_error(carrier.drop, *carrier.foreign):
        ended = carry(dialogue, turn, carrier.ask)
        if isinstance(ended, Established) and ended.layer is not None:
            carrier.install(ended.layer)
            with layer_is_spoken(protocol, ended.security):
                under_layer = carrier.capabilities()
            check_not_hidden(logon, ended.security, offered, under_layer.mechanisms or ())
    if isinstance(ended, Refused):
        raise ended.error(carrier.denied)
    return ended.security


@contextlib.contextmanager
def closing_on_error(close: Callable[[], object], *foreign: type[Exception]) -> Iterator[None]:
    """Close a connection when anything goes wrong on it: it stands in the middle of a command.

    Raises:
        InvalidToken: the connection was lost, or the client library says so in an error of its own (foreign).
    """
    try:
        yield
    except BaseException as error:
        close()
        lost: tuple[type[Exception], ...] = (ConnectionError, ssl.SSLError, EOFError, *foreign)
        if isinstance(error, lost) and not isinstance(error, SaslError):
            said = printable(str(error).encode("utf-8", "replace")) or type(error).__name__
            raise InvalidToken(f"the server broke off the exchange: {said}") from error
        raise


@contextlib.contextmanager
def layer_is_spoken(protocol: LineProtocol, security: Security) -> Iterator[None]:
    """Say what a layer has to do with it when a server goes on in clear.

    Raises:
        InvalidToken: it does, in a protocol that goes on in clear behind this mechanism (LineProtocol.clear_after).
    """
    try:
        yield
    except (SaslError, OSError) as error:
        if security.mechanism not in protocol.clear_after:
            raise
        raise InvalidToken(
            f"the server does not speak the layer that Policy.min_ssf asks for: behind {security.mechanism} "
            f"{protocol.title} goes on in clear on most servers, so leave min_ssf at 0 and use TLS"
        ) from error


def check_not_hidden(logon: Logon, security: Security, before: Iterable[str], under_layer: Sequence[str]) -> None:
    """Compare the offer in clear with the one under the layer (RFC 4422 section 6.1.2, RFC 4954 section 4).

    Raises:
        DowngradeDetected: the server offers, under protection, what we would have preferred and were not shown.
    """
    try:
        better = logon.choose(under_layer)
    except PackageNotFound:
        return  # many servers offer nothing to those who are in
    if better != security.mechanism and better.upper() not in {name.upper() for name in before}:
        raise DowngradeDetected(
            f"{better} was hidden from the offer in clear: the server lists it under the layer of {security.mechanism}"
        )
