"""Both ends of GSSAPI, with the last two messages in a case's hand (RFC 4752 sections 3.1 to 3.3).

Against our own library the context underneath is the stand-in; against others it is Kerberos, with the tickets that
the tester's user has.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from saslsspi.accounts import MemoryAuthority
from saslsspi.accounts.account import Account as KnownAccount
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Event, Request, Side
from saslsspi.engine.flags import IscReq
from saslsspi.engine.identity import WinNTAuthIdentity
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.protection import Protection
from saslsspi.engine.registry import find_package
from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import DEFAULT, Answer, CaseRun, ClientConversation, ServerConversation, Setting
from saslsspi_conformance.outcome import CaseError, NotApplicable, Observation, Reaction
from saslsspi_conformance.peers.frames import Stream
from saslsspi_conformance.peers.gss.stand_in import STAND_IN

__all__ = ["CONFIDENTIALITY", "INTEGRITY", "NONE", "SIGNS_ONLY", "GssClient", "GssServer", "ScriptedChoice", "word"]

NONE, INTEGRITY, CONFIDENTIALITY = 1, 2, 4
_LARGEST: Final = 0xFFFFFF
_ALL: Final = int(
    IscReq.ISC_REQ_INTEGRITY
    | IscReq.ISC_REQ_CONFIDENTIALITY
    | IscReq.ISC_REQ_MUTUAL_AUTH
    | IscReq.ISC_REQ_SEQUENCE_DETECT
    | IscReq.ISC_REQ_REPLAY_DETECT
)
SIGNS_ONLY: Final = _ALL & ~int(IscReq.ISC_REQ_CONFIDENTIALITY)


def _package(run: CaseRun) -> AnyPackage:
    if run.target.local:
        return STAND_IN
    package = find_package("Kerberos")
    if (problem := package.problem()) is not None:
        raise NotApplicable(problem)
    return package


def word(mask: int, size: int) -> bytes:
    """The four octets of an offer, or with which a choice begins."""
    return bytes([mask]) + size.to_bytes(3)


class ScriptedChoice(NamedTuple):
    """What a client has chosen."""

    mask: int
    size: int
    authzid: bytes


class GssClient:
    """The client's side.

    Args:
        run: The case: where the target is, and what crossed the wire.
        setting: What the server should be like.
        requested: What to ask of the context.
    """

    def __init__(self, run: CaseRun, setting: Setting = DEFAULT, *, requested: int = _ALL) -> None:
        run.need("GSSAPI")
        package, target = _package(run), run.target
        environment = Environment()
        identity = WinNTAuthIdentity(target.account.user, None, target.account.password)
        try:
            credential = package.acquire(
                None, identity if target.local else None, frozenset({Side.INITIATE}), environment
            )
        except SaslError as error:
            raise NotApplicable(f"the tester has no ticket: {error.text}") from error
        self._context = SecurityContext(package, credential, Side.INITIATE, environment)
        self._request = Request(target=f"{target.service}/{target.host}", requested=requested)
        self.connection: ServerConversation = run.connect(setting)
        self.mask = self.size = 0
        self.offer = b""

    def token(self) -> bytes:
        """The context's first token."""
        return self._context.advance(b"", self._request).token or b""

    def begin(self, *, last: bytes | None = None) -> Answer:
        """Establish the context and take the offer.

        Args:
            last: What to send for the empty response that is due when the context stands.
        """
        answer = self.connection.begin("GSSAPI", self.token())
        # Without mutual authentication the context stands after one token, and the offer comes at once.
        while answer.outcome is Reaction.CHALLENGE and self._context.outcome is None:
            step = self._context.advance(answer.data or b"", self._request)
            if step.event is Event.COMPLETE:
                answer = self.connection.respond(last if last is not None else step.token or b"")
                break
            answer = self.connection.respond(step.token or b"")
        if answer.outcome is Reaction.CHALLENGE and last is None:
            self.offer = self.signer().unseal(answer.data or b"")
            if len(self.offer) == 4:
                self.mask, self.size = self.offer[0], int.from_bytes(self.offer[1:])
        return answer

    def signer(self, *, encrypt: bool = False) -> Protection:
        """What wraps the last two messages."""
        return self._context.layer(encrypt=encrypt, max_send=_LARGEST, max_receive=_LARGEST)

    def wrapped(self, message: bytes, *, encrypt: bool = False) -> bytes:
        """Wrap a message."""
        return b"".join(self.signer(encrypt=encrypt).seal(message))

    def choose(self, mask: int = NONE, size: int = 0, authzid: bytes = b"") -> Answer:
        """Begin, and send a choice."""
        if not self.offer:
            answer = self.begin()
            if answer.outcome is not Reaction.CHALLENGE or len(self.offer) != 4:
                raise CaseError(f"no offer of layers came, but {answer.outcome}: {answer.text}")
        return self.connection.respond(self.wrapped(word(mask, size) + authzid))

    def layer(self, mask: int, size: int = 65536) -> GssLayer:
        """Log on with a layer, for the receipt of buffers of a size."""
        if not self.offer:
            self.begin()
        if not self.mask & mask:
            raise NotApplicable(f"the server offers the layers {self.mask:#04x}")
        answer = self.choose(mask, size)
        if answer.outcome is not Reaction.SUCCESS:
            raise CaseError(f"a right choice was not accepted: {answer.outcome} {answer.text}")
        protection = self._context.layer(encrypt=mask == CONFIDENTIALITY, max_send=self.size, max_receive=size)
        return GssLayer(self.connection, protection)


class GssLayer:
    """The layer of a client that has logged on."""

    def __init__(self, connection: ServerConversation, protection: Protection) -> None:
        self._connection = connection
        self._protection = protection
        self._stream = Stream(connection.receive)
        self.probe, self.large_probe = connection.probe, connection.large_probe
        self.buffers: list[bytes] = []

    def wrap(self, text: bytes) -> bytes:
        """Return one buffer with its length."""
        buffer = b"".join(self._protection.seal(text))
        return len(buffer).to_bytes(4) + buffer

    def ask(self, wire: bytes) -> Observation:
        """Send octets and see whether the answer to a probe comes back."""
        self._connection.send(wire)
        text = b""
        while (buffer := self._stream.buffer()) is not None:
            self.buffers.append(buffer)
            try:
                text += self._protection.unseal(buffer)
            except SaslError as error:
                return Observation(Reaction.BROKEN, error.text)
            if self._connection.answers(text):
                return Observation(Reaction.DELIVERED)
        return Observation(Reaction.CLOSED, self._stream.state)


class GssServer:
    """The server's side; it has established the context when it is made, and makes the offer next.

    Args:
        run: The case: where the target is, and what crossed the wire.
        setting: What the client should be like.
    """

    def __init__(self, run: CaseRun, setting: Setting = DEFAULT) -> None:
        run.need("GSSAPI")
        package, account = _package(run), run.target.account
        known = KnownAccount(username=setting.user or account.user, password=setting.password or account.password)
        environment = Environment(authority=MemoryAuthority([known]))
        identity = WinNTAuthIdentity(None, account.realm, None)
        try:
            credential = package.acquire(None, identity, frozenset({Side.ACCEPT}), environment)
        except SaslError as error:
            raise NotApplicable(f"the tester has no keytab: {error.text}") from error
        self._context = SecurityContext(package, credential, Side.ACCEPT, environment)
        self.connection: ClientConversation = run.meet("GSSAPI", setting)
        self.initial = self.connection.start()
        self.response: bytes | None = None
        self.choice: ScriptedChoice | None = None
        self.plain = b""

    def establish(self, *, corrupt: bool = False) -> Answer:
        """Take the client's tokens until the context stands; the answer is what it sent then."""
        answer = self.initial if self.initial.data is not None else self.connection.challenge(b"")
        while answer.outcome is Reaction.RESPONSE:
            step = self._context.advance(answer.data or b"", Request())
            token = step.token or b""
            if corrupt and token:
                token = token[:-1] + bytes([token[-1] ^ 1])
            if step.event is not Event.COMPLETE:
                answer = self.connection.challenge(token)
                continue
            return self.connection.challenge(token) if token else answer
        return answer

    def signer(self, *, encrypt: bool = False) -> Protection:
        """What wraps the last two messages."""
        return self._context.layer(encrypt=encrypt, max_send=_LARGEST, max_receive=_LARGEST)

    def offer(self, message: bytes, *, encrypt: bool = False, unwrapped: bool = False) -> Observation:
        """Establish the context and send an offer: RESPONSE, with what the client chose, or how it gave up."""
        answer = self.establish()
        if answer.outcome is not Reaction.RESPONSE:
            raise CaseError(f"the client did not establish the context: {answer.outcome} {answer.text}")
        self.response = answer.data
        wire = message if unwrapped else b"".join(self.signer(encrypt=encrypt).seal(message))
        answer = self.connection.challenge(wire)
        if answer.outcome is Reaction.RESPONSE:
            self.plain = self.signer().unseal(answer.data or b"")
            if len(self.plain) >= 4:
                self.choice = ScriptedChoice(self.plain[0], int.from_bytes(self.plain[1:4]), self.plain[4:])
        return answer.seen

    def chosen(self, mask: int, size: int = 65536) -> ScriptedChoice:
        """Make an offer that the client has to answer."""
        seen = self.offer(word(mask, size))
        if self.choice is None:
            raise CaseError(f"the client made no choice: {seen.outcome} {seen.detail}")
        return self.choice

    def layer(self, mask: int, size: int = 65536) -> GssServerLayer:
        """Let the client log on with a layer."""
        choice = self.chosen(mask, size)
        if choice.mask != mask:
            raise NotApplicable(f"the client chose {choice.mask:#04x} out of {mask:#04x}")
        protection = self._context.layer(encrypt=mask == CONFIDENTIALITY, max_send=choice.size, max_receive=size)
        layer = GssServerLayer(self.connection, protection)
        unasked = self.connection.unasked
        seen = self.connection.succeed(None, layer.wrap(unasked) if unasked else b"").seen
        if seen.outcome is not Reaction.SUCCESS:
            raise CaseError(f"the client did not take success: {seen.outcome} {seen.detail}")
        return layer


class GssServerLayer:
    """The layer of a server that a client has logged on to."""

    def __init__(self, connection: ClientConversation, protection: Protection) -> None:
        self._connection = connection
        self._protection = protection
        self._stream = Stream(connection.receive)

    def request(self) -> tuple[bytes, str]:
        """Return the client's next buffer, and what is wrong with it."""
        buffer = self._stream.buffer()
        if buffer is None:
            return b"", self._stream.state
        try:
            self._protection.unseal(buffer)
        except SaslError as error:
            return buffer, error.text
        return buffer, ""

    def wrap(self, text: bytes) -> bytes:
        """Return one buffer with its length."""
        buffer = b"".join(self._protection.seal(text))
        return len(buffer).to_bytes(4) + buffer

    def send(self, wire: bytes) -> Observation:
        """Send octets: DELIVERED, or how the client refused them."""
        return self._connection.send(wire).seen
