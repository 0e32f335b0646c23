"""Which mechanism a client of a line protocol uses, in which order others are tried, and what ends a logon."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Final, NamedTuple, Self, TypeAlias

from saslsspi.adapters.mail.dialogue import MAX_MESSAGE, Refused, Turn, converse
from saslsspi.adapters.mail.line_protocol import Capabilities, LineProtocol, Reply, ReplyKind, printable
from saslsspi.adapters.mail.lines import strength_of
from saslsspi.adapters.stream.dialogue import carry
from saslsspi.adapters.stream.tls_bindings import channel_bindings_of, exports
from saslsspi.engine.security import Security
from saslsspi.errors import (
    InvalidToken,
    LogonDenied,
    PackageNotFound,
    PeerUnsupported,
    SaslError,
)
from saslsspi.sasl.client import Client
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import Logon, LogonOptions, MechanismNames, without
from saslsspi.sasl.mechanism import Mechanism

__all__ = [
    "Carrier",
    "Dialogue",
    "Established",
    "MailLogon",
    "MailOptions",
    "authenticate",
    "closing_on_error",
    "layer_is_spoken",
    "log_on",
]


_PLUS: Final = "-PLUS"


class Established(NamedTuple):
    """A successful exchange: what was negotiated, and the layer to install now, if any."""

    security: Security
    layer: Layer | None


class MailOptions(LogonOptions, total=False):
    """The keywords of every authenticate_sasl: those of every logon, and one more.

    Without bindings those of the connection's TLS are taken: tls-server-end-point, and for the mechanisms with -PLUS
    tls-unique where TLS is 1.2.

    Attributes:
        initial_response: False for a server that invites one and cannot take it.
    """

    initial_response: bool


Dialogue: TypeAlias = Generator[Turn, Reply, Established | Refused]
"""Yields a command after each final reply, and responses after challenges."""


class MailLogon(NamedTuple):
    """What a caller of authenticate_sasl asked for, and what its connection gives.

    Attributes:
        logon: What to log on with.
        initial_response: Whether one may be sent where the server invites it.
        bindings_given: Whether the caller brought channel bindings.
    """

    logon: Logon
    initial_response: bool
    bindings_given: bool

    @classmethod
    def over(cls, sock: object, mechanism: MechanismNames, options: MailOptions, *, host: str) -> Self:
        """Make a logon over a connected socket (or TLS object), whose TLS speaks for itself."""
        own: dict[str, Any] = {**options, "host": options.get("host") or host}
        initial_response, given = own.pop("initial_response", True), own.get("bindings")
        found = channel_bindings_of(sock) if isinstance(sock, ssl.SSLSocket | ssl.SSLObject) or exports(sock) else ()
        # NTLM and Kerberos have tls-server-end-point on every version of TLS, SCRAM its own default.
        own["bindings"] = given or next((one for one in found if one.type_name == "tls-server-end-point"), None)
        own["plus_bindings"] = given or next(iter(found), None)
        logon = Logon.of("", mechanism, external_ssf=strength_of(sock), max_message=MAX_MESSAGE, **own)
        return cls(logon, initial_response, given is not None)

    def candidates(self, listed: Sequence[str] | None) -> list[str]:
        """Return what may be tried of a server's list: one mechanism that was named is, listed or not.

        Raises:
            PeerUnsupported: the server lists no mechanisms at all (None), and none was named.
        """
        named = self.logon.mechanism if isinstance(self.logon.mechanism, str) else None
        if listed is None and named is None:
            raise PeerUnsupported("the server does not offer SASL; name a mechanism to try that one all the same")
        return [*without(listed or (), named), named] if named else list(listed or ())


def _client(logon: Logon, mechanism: Mechanism, protocol: LineProtocol) -> Client:
    """Make the client of an exchange, without a layer where the protocol goes on in clear behind the mechanism."""
    policy = logon.effective_policy
    if mechanism.name in protocol.clear_after and policy.min_ssf == 0:
        logon = replace(logon, policy=replace(policy, max_ssf=0))
    return replace(logon, service=protocol.service).client(mechanism)


def log_on(
    asked: MailLogon,
    protocol: LineProtocol,
    offered: Sequence[str],
    *,
    initial_response: bool,
    tags: Iterable[bytes] = repeat(b""),
) -> Dialogue:
    """Yield turns and be sent replies as in converse, through one mechanism after another.

    A mechanism that the server finds unsuitable is followed by the next (RFC 4954 section 6). A refusal without a
    reason could mean the password, and another try would be another guess: it is followed by the next only where the
    caller named several mechanisms. Where the credentials could be renewed the same mechanism is tried once more.

    Raises:
        PackageNotFound: no mechanism is left; says why for each.
        SaslError: see converse.
    """
    tag = iter(tags)
    remaining = list(offered)
    logon, policy = asked.logon, asked.logon.effective_policy
    refused: Refused | None = None
    renewed = False
    while True:
        try:
            mechanism = logon.choose(remaining)
        except PackageNotFound:
            if refused is None:
                raise
            return refused
        client = _client(logon, mechanism, protocol)
        ended = yield from converse(
            client,
            protocol,
            policy=policy,
            initial_response=initial_response and asked.initial_response,
            tag=next(tag),
        )
        if not isinstance(ended, Refused):
            security = client.security
            return Established(replace(security, tolerances=security.tolerances + ended), client.layer)
        refused = ended
        if ended.may_succeed and not renewed:
            renewed = True
            continue
        why = ended.reply.kind
        unbinds = why is ReplyKind.REFUSED and logon.may_unbind(mechanism, bindings_given=asked.bindings_given)
        if unbinds and mechanism.name.endswith(_PLUS):
            # Servers know one type of bindings or another (Cyrus tls-unique alone, with TLS 1.3 too), and say no more
            # than no. The client claims none now, which is allowed to those who cannot agree.
            logon = logon.unbound()
            remaining = [name for name in remaining if not name.upper().endswith(_PLUS)]
        elif why is ReplyKind.UNSUITABLE or (why is ReplyKind.REFUSED and len(logon.names) > 1):
            remaining = without(remaining, mechanism.name)
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
    logon: MailLogon,
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
            with layer_is_spoken(protocol, ended.security, *carrier.foreign):
                under_layer = carrier.capabilities()
            logon.logon.check_not_hidden(ended.security.mechanism, offered, under_layer.mechanisms or ())
    if isinstance(ended, Refused):
        raise ended.error(carrier.denied) from ended.cause
    return ended.security


@contextlib.contextmanager
def closing_on_error(close: Callable[[], object], *foreign: type[Exception]) -> Iterator[None]:
    """Close a connection when anything goes wrong on it: it stands in the middle of a command.

    Raises:
        InvalidToken: the connection was lost, or the client library says so in an error of its own (foreign).
        ssl.SSLCertVerificationError: as it is: nobody broke off, we do not trust the server.
    """
    try:
        yield
    except BaseException as error:
        close()
        lost: tuple[type[Exception], ...] = (ConnectionError, ssl.SSLError, EOFError, *foreign)
        if isinstance(error, lost) and not isinstance(error, SaslError | ssl.SSLCertVerificationError):
            said = printable(str(error).encode("utf-8", "replace")) or type(error).__name__
            raise InvalidToken(f"the server broke off the exchange: {said}") from error
        raise


@contextlib.contextmanager
def layer_is_spoken(protocol: LineProtocol, security: Security, *foreign: type[Exception]) -> Iterator[None]:
    """Say what a layer has to do with it when a server goes on in clear; foreign is the client library's own.

    Raises:
        InvalidToken: it does, in a protocol that goes on in clear behind this mechanism (LineProtocol.clear_after).
    """
    lost: tuple[type[Exception], ...] = (SaslError, OSError, EOFError, *foreign)
    try:
        yield
    except lost as error:
        if security.mechanism not in protocol.clear_after:
            raise
        raise InvalidToken(
            f"the server does not speak the layer that Policy.min_ssf asks for: behind {security.mechanism} "
            f"{protocol.title} goes on in clear on most servers, so leave min_ssf at 0 and use TLS"
        ) from error
