"""The server's half of AUTH and AUTHENTICATE in line protocols, for servers of any kind: no socket, no event loop.

SaslService says what a server offers; each command makes one ServerDialogue. The server reads its own lines, hands
over the command's arguments and then each response line, and sends what the dialogue makes of each step in the
protocol's own words.

    dialogue = service.dialogue(external_ssf=bits_of_tls)
    step = dialogue.begin(b"PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=")
    while step.verdict is None:
        send(dialogue.line(step))
        step = dialogue.receive(read_line())
    send(dialogue.line(step, tag))
    if dialogue.layer is not None:
        ...  # every octet behind that line is under the layer, in both directions
"""

from __future__ import annotations

import base64
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from saslsspi.accounts.account import AccountLookup
from saslsspi.accounts.authority import secrets_of
from saslsspi.accounts.failures import Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.adapters.mail.dialogue import CANCEL, EMPTY_INITIAL_RESPONSE, MAX_LINE, MAX_MESSAGE, decode_line
from saslsspi.adapters.mail.identity import MailAuthority
from saslsspi.adapters.mail.line_protocol import LineProtocol, Verdict
from saslsspi.adapters.mail.protocols import protocol_of_service
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.adapters.stream.tls_bindings import tls_bindings
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.hooks.audit import Attempt, AuditRecord, refusals
from saslsspi.engine.policy import DEFAULT_POLICY, Policy, Property
from saslsspi.engine.security import Security
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, NoAuthenticatingAuthority, SaslError
from saslsspi.sasl.acceptance import offer
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.mechanism import First, Mechanism
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.sasl.server import ABANDONED, Server
from saslsspi.sasl.session import SessionState

__all__ = ["SaslService", "ServerDialogue", "Step", "server_bindings"]

_LOG: Final = logging.getLogger("saslsspi.mail")
_LOG.addHandler(logging.NullHandler())
_MAX_ROUND_TRIPS: Final = 64
_REASONS: Final = {
    Verdict.TOO_LONG: "a line is longer than we read, or the exchange is",
    Verdict.MALFORMED: "the command is not a mechanism and at most one initial response",
    Verdict.UNINVITED: "an initial response came, and the mechanism has none",
    Verdict.UNSUITABLE: "the mechanism is not offered here",
    Verdict.TOO_WEAK: "the policy does not permit the mechanism",
}
"""Why a command ends without an error, for the audit record."""


def server_bindings(tls: object, end_point: ChannelBindings | None) -> list[ChannelBindings]:
    """Return the channel bindings that a server takes on a connection: TLS's own and its certificate's."""
    if not isinstance(tls, ssl.SSLSocket | ssl.SSLObject):
        return []
    return [*tls_bindings(tls), *([end_point] if end_point is not None else [])]


class Step(NamedTuple):
    """What to do next: send a challenge, or end the command with a verdict.

    Attributes:
        challenge: In base64; with Verdict.SUCCESS what the mechanism says with it, "" where it says nothing.
        verdict: None while the exchange goes on.
    """

    challenge: bytes
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslService:
    """What a server offers to everybody who connects.

    Attributes:
        service: The GSSAPI service name: smtp, imap, pop ... It says which protocol's words are spoken, too.
        host: The name or names under which clients know this server.
        authority: Who may log on.
        realm: The realm or realms to offer.
        policy: What to offer and accept.
        mechanisms: The mechanisms to offer; empty for all that are installed and permitted.
        nonce_store: Where sessions are remembered for subsequent authentication; None offers none.
        max_line: Longest line that a client may send, in octets.
        throttle: Counts failed logons and says how long their refusals are held back; None counts nothing.
    """

    service: str
    host: str | Sequence[str]
    authority: AccountLookup
    realm: str | Sequence[str] | None = None
    policy: Policy = DEFAULT_POLICY
    mechanisms: Sequence[str] = ()
    nonce_store: NonceStore | None = None
    max_line: int = MAX_LINE
    throttle: Throttle | None = None

    @property
    def mail_authority(self) -> MailAuthority:
        """The authority, whose accounts take authorization identities as mail protocols write them."""
        return self.authority if isinstance(self.authority, MailAuthority) else MailAuthority(self.authority)

    @property
    def protocol(self) -> LineProtocol:
        """The protocol of that name; another one, such as NNTP, is taken to write as POP3 does."""
        return protocol_of_service(self.service) or POP3

    def dialogue(
        self,
        *,
        external_ssf: int = 0,
        external_identity: str | None = None,
        bindings: ChannelBindings | Sequence[ChannelBindings] | None = None,
    ) -> ServerDialogue:
        """Begin a command on a channel; the keywords describe the TLS around it, if any."""
        return ServerDialogue(self, _Channel(external_ssf, external_identity, bindings))

    def offered(
        self,
        *,
        external_ssf: int = 0,
        external_identity: str | None = None,
        bindings: ChannelBindings | Sequence[ChannelBindings] | None = None,
    ) -> tuple[str, ...]:
        """Return what to list on such a channel, the strongest first."""
        return _Channel(external_ssf, external_identity, bindings).offered(self)


@dataclass(frozen=True, slots=True)
class _Channel:
    external_ssf: int
    external_identity: str | None
    bindings: ChannelBindings | Sequence[ChannelBindings] | None = field(repr=False)

    def policy(self, service: SaslService, mechanism: str = "") -> Policy:
        """Return what exchanges have to satisfy: TLS that is strong enough makes up for a layer.

        Where the protocol goes on in clear behind the mechanism there is a layer only if the policy demands one.
        """
        policy = service.policy
        if 0 < policy.min_ssf <= self.external_ssf:
            policy = replace(policy, min_ssf=0)
        if policy.min_ssf == 0 and mechanism in service.protocol.clear_after:
            policy = replace(policy, max_ssf=0)
        return policy

    def offered(self, service: SaslService) -> tuple[str, ...]:
        return offer(
            self.policy(service),
            service.mechanisms,
            external_ssf=self.external_ssf,
            bindings=self.bindings,
            external_identity=self.external_identity,
            secrets=secrets_of(service.mail_authority),
        ).names

    def server(self, service: SaslService, mechanism: Mechanism) -> Server:
        return Server(
            mechanism,
            service=service.service,
            host=service.host,
            authority=service.mail_authority,
            realm=service.realm,
            policy=self.policy(service, mechanism.name),
            nonce_store=service.nonce_store,
            bindings=self.bindings,
            external_ssf=self.external_ssf,
            external_identity=self.external_identity,
            success_data=service.protocol.success_data,
            max_message=MAX_MESSAGE,
        )


class ServerDialogue:
    """One AUTH or AUTHENTICATE command; made by SaslService.dialogue. What fails is logged by "saslsspi.mail".

    After any verdict but SUCCESS the session is as if the command had not been given, and another may follow.

    Attributes:
        error: Why the exchange failed, for the server's log; its text is not for the client.
        delay: Seconds to hold the refusal back, where the service has a throttle.
    """

    def __init__(self, service: SaslService, channel: _Channel) -> None:
        self._service = service
        self._protocol = service.protocol
        self._channel = channel
        self._data: bytes | None = None  # what the mechanism says with success
        self._server: Server | None = None
        self._mechanism = "an unknown mechanism"
        self._after_token: Verdict | None = None
        self._round_trips = 0
        self._ended = False
        self.error: SaslError | None = None
        self.delay = 0.0

    @property
    def security(self) -> Security:
        """Who authenticated and how; raises ContextMisuse before SUCCESS."""
        if self._server is None:
            raise ContextMisuse("the exchange has not begun")
        return self._server.security

    @property
    def layer(self) -> Layer | None:
        """The layer to install right behind the success reply, or None."""
        return self._server.layer if self._server is not None else None

    def line(self, step: Step, tag: bytes = b"") -> bytes:
        """Return the line that says a step, without its CRLF; tag is the command's, where the protocol has tags."""
        if step.verdict is None:
            return self._protocol.challenge(step.challenge)
        return self._protocol.reply(step.verdict, self._data, tag)

    def begin(self, arguments: bytes) -> Step:
        """Take the command's arguments: a mechanism and perhaps an initial response, in base64."""
        if self._server is not None or self._ended:
            raise ContextMisuse("a dialogue serves one command")
        try:
            words = self._protocol.arguments(arguments) or [b""]
        except InvalidToken as error:
            return self._end(Verdict.MALFORMED, error)
        if not words[0] or len(words) > 2 or not words[0].isascii():
            return self._end(Verdict.MALFORMED)
        if len(arguments) > self._service.max_line:
            return self._end(Verdict.TOO_LONG)
        name = words[0].decode("ascii").upper()
        mechanism = MECHANISMS.find(name)
        if mechanism is not None:
            self._mechanism = mechanism.name
        if mechanism is None or name not in (listed.upper() for listed in self._channel.offered(self._service)):
            return self._end(self._why_not(name, mechanism))
        initial = None
        if len(words) == 2:
            # RFC 4954 section 4: an initial response "if the selected mechanism does not support" one is an error.
            # DIGEST-MD5 has one only for a session that it takes up again (RFC 2831 section 2.2).
            if mechanism.first is First.SERVER and not mechanism.takes_early and self._service.nonce_store is None:
                return self._end(Verdict.UNINVITED)
            try:
                initial = b"" if words[1] == EMPTY_INITIAL_RESPONSE else decode_line(words[1])
            except InvalidToken as error:
                return self._end(Verdict.UNDECODABLE, error)
        try:
            self._server = self._channel.server(self._service, mechanism)
        except SaslError as error:
            return self._end(Verdict.TEMPORARY, error)
        if initial is None and mechanism.first is First.CLIENT:
            return Step(b"", None)
        return self._advance(initial)

    def receive(self, line: bytes) -> Step:
        """Take a response line, without its CRLF."""
        server = self._server
        if server is None or self._ended:
            raise ContextMisuse("no response is due")
        self._round_trips += 1
        if len(line) > self._service.max_line or self._round_trips > _MAX_ROUND_TRIPS:
            return self._end(Verdict.TOO_LONG)
        try:
            line = self._protocol.unwritten(line)
        except InvalidToken as error:
            return self._end(Verdict.UNDECODABLE, error)
        if line == CANCEL:
            return self._end(Verdict.CANCELLED)
        if self._after_token is not None:
            return self._end(self._after_token)
        try:
            response = decode_line(line)
        except InvalidToken as error:
            return self._end(Verdict.UNDECODABLE, error)
        return self._advance(response)

    def abandon(self) -> None:
        """End an exchange whose client has gone, as a server does at the end of a connection; else nothing."""
        if not self._ended:
            self._end(Verdict.CANCELLED)

    def _advance(self, response: bytes | None) -> Step:
        server = self._server
        assert server is not None
        try:
            with refusals() as found:
                challenge = server.step(response)
        except SaslError as error:
            self.error = error
            verdict = Verdict.TEMPORARY if isinstance(error, NoAuthenticatingAuthority) else Verdict.DENIED
            if verdict is Verdict.DENIED:  # while the accounts cannot be had nobody guesses
                self._count(found)
            if error.token is None:
                return self._end(verdict, error)
            # What is still due to the client goes as one more challenge; its answer says nothing any more.
            self._after_token = verdict
            return Step(base64.b64encode(error.token), None)
        if server.done:
            self._ended = True
            self._data = None if challenge is None else base64.b64encode(challenge)
            return Step(self._data or b"", Verdict.SUCCESS)
        return Step(base64.b64encode(challenge or b""), None)

    def _why_not(self, name: str, mechanism: Mechanism | None) -> Verdict:
        asked = {listed.upper() for listed in self._service.mechanisms}
        if mechanism is None or (asked and name not in asked):
            return Verdict.UNSUITABLE
        needs_encryption = not mechanism.properties & Property.NO_PLAINTEXT and self._channel.external_ssf <= 1
        return Verdict.UNSUITABLE if needs_encryption else Verdict.TOO_WEAK

    def _end(self, verdict: Verdict, error: SaslError | None = None) -> Step:
        self._ended = True
        self.error = error or self.error
        reason = self.error or LogonDenied(_REASONS.get(verdict, ABANDONED))
        _LOG.info("%s %s refused: %s", self._service.service, self._mechanism, self.error or verdict.name.lower())
        with refusals() as found:
            # Who was let speak and says nothing has begun for us, and not yet for the exchange.
            if self._server is None or self._server.state is SessionState.NEW:
                Attempt(self._mechanism).refused(reason)
            else:
                self._server.abort(reason)
        # Whoever gives up has guessed nothing, and may be gone.
        if verdict not in (Verdict.CANCELLED, Verdict.TEMPORARY):
            self._count(found)
        return Step(b"", verdict)

    def _count(self, found: list[AuditRecord]) -> None:
        throttle = self._service.throttle
        if throttle is None:
            return
        for refusal in found:
            self.delay = max(self.delay, throttle.failed(refusal.username, refusal.peer))
