"""A stand-in for Kerberos, so that what GSSAPI adds to it can be tested where there is no realm.

A password takes the place of the ticket. Two tokens establish the context; afterwards messages are signed by an HMAC,
or signed and hidden, and counted. It protects nobody: it is what the mechanism GSSAPI of the target `self` stands on.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.engine.attributes import SecPkgContextSizes, SecPkgInfo
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import IscReq, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity, WinNTAuthIdentity
from saslsspi.engine.package import AnyPackage, Package
from saslsspi.engine.protection import Octets, Protection
from saslsspi.errors import InvalidToken, LogonDenied, MessageAltered, OutOfSequence, QopNotSupported
from saslsspi.sasl.drivers.after_context import AFTER_CONTEXT
from saslsspi.sasl.mechanism import (
    ClientExchange,
    ClientParameters,
    First,
    Mechanism,
    ServerExchange,
    ServerParameters,
)
from saslsspi.sasl.registry import find_mechanism

__all__ = ["STAND_IN", "mechanism"]

_MAC_SIZE: Final = 32
_HEAD: Final = 5  # the kind, and the number in four octets
_OVERHEAD: Final = _HEAD + _MAC_SIZE
_SIGNED, _SEALED = b"S", b"E"
_INTEGRITY: Final = int(IscReq.ISC_REQ_INTEGRITY)
_CONFIDENTIALITY: Final = int(IscReq.ISC_REQ_CONFIDENTIALITY)


class _Credential(Credential):
    def __init__(self, username: str, password: str, realm: str) -> None:
        self.username, self.password, self.realm = username, password, realm


class _Protection(Protection):
    """Messages of one context and one direction each: kind, number, HMAC, text."""

    recovers = False
    header_size = _OVERHEAD
    session_key = None
    signature_algorithm = encryption_algorithm = "stand-in"
    key_bits = 256
    sizes = SecPkgContextSizes(max_signature=_OVERHEAD)

    def __init__(self, exchange: _Exchange, *, encrypt: bool, max_send: int, max_receive: int) -> None:
        if max_send <= _OVERHEAD:
            raise QopNotSupported(f"{max_send} octets hold no message")
        self._exchange = exchange
        self.encrypts = encrypt
        self.max_payload, self.max_receive = max_send - _OVERHEAD, max_receive
        self.seal, self.unseal = self._seal, self._unseal

    def overhead(self, size: int) -> int:
        return _OVERHEAD

    def _seal(self, message: Octets) -> tuple[Octets, ...]:
        number = self._exchange.sent.to_bytes(4)
        self._exchange.sent += 1
        head = (_SEALED if self.encrypts else _SIGNED) + number
        mac = self._exchange.mac(head, bytes(message), sends=True)
        return head, mac, self._hidden(bytes(message)) if self.encrypts else message

    def _unseal(self, octets: Octets) -> bytes:
        data = bytes(octets)
        head, mac, text = data[:_HEAD], data[_HEAD:_OVERHEAD], data[_OVERHEAD:]
        if head[:1] != (_SEALED if self.encrypts else _SIGNED):
            raise MessageAltered("a message is signed where it should be hidden, or the other way round")
        text = self._hidden(text) if self.encrypts else text
        if not hmac.compare_digest(mac, self._exchange.mac(head, text, sends=False)):
            raise MessageAltered("the signature does not verify")
        if int.from_bytes(head[1:]) != self._exchange.received:
            raise OutOfSequence("another message was due")
        self._exchange.received += 1
        return text

    @staticmethod
    def _hidden(text: bytes) -> bytes:
        return bytes(octet ^ 0xA5 for octet in text)


class _Exchange(Exchange):
    """What both sides have in common."""

    side: Side

    def __init__(self, credential: _Credential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self.sent = self.received = 0
        self._credential = credential
        self._key = b""

    def mac(self, head: bytes, text: bytes, *, sends: bool) -> bytes:
        by_initiator = sends == (self.side is Side.INITIATE)
        return hmac.digest(self._key, (b"C" if by_initiator else b"S") + head + text, "sha256")

    def layer(self, *, encrypt: bool, max_send: int, max_receive: int) -> Protection:
        return _Protection(self, encrypt=encrypt, max_send=max_send, max_receive=max_receive)

    def _complete(self, flags: int, **who: object) -> None:
        ssf = 256 if flags & _CONFIDENTIALITY else int(bool(flags & _INTEGRITY))
        self.outcome = Outcome(flags=flags, ssf=ssf, cipher="stand-in", **who)  # type: ignore[arg-type]


def _derived(password: str, token: bytes) -> bytes:
    return hashlib.sha256(password.encode() + b"\0" + token).digest()


class _Initiator(_Exchange):
    """AP-REQ, flags, user, target; then AP-REP."""

    side = Side.INITIATE

    def step(self, token: bytes, request: Request) -> StepResult:
        requested = request.requested & (_INTEGRITY | _CONFIDENTIALITY)
        told = b"\0".join(
            (b"AP-REQ", str(requested).encode(), self._credential.username.encode(), request.target.encode())
        )
        if not self._key:
            self._key = _derived(self._credential.password, told)
            return StepResult(Event.CONTINUE, told + b"\0" + hmac.digest(self._key, told, "sha256").hex().encode())
        if not hmac.compare_digest(token, b"AP-REP" + hmac.digest(self._key, b"AP-REP", "sha256")):
            raise InvalidToken("the acceptor's token does not verify")
        self._complete(requested, username=self._credential.username, target=request.target)
        return StepResult(Event.COMPLETE, None)


class _Acceptor(_Exchange):
    """The other side; it asks the authority for the password."""

    side = Side.ACCEPT

    def step(self, token: bytes, request: Request) -> Question:
        told, _, self._proof = token.rpartition(b"\0")
        parts = told.split(b"\0")
        if len(parts) != 4 or parts[0] != b"AP-REQ" or not parts[1].isdigit():
            raise InvalidToken("no token of the stand-in")
        self._told, self._flags, self._target = told, int(parts[1]), parts[3].decode("utf-8", "replace")
        self._user = parts[2].decode("utf-8", "replace")
        return Question(self._user, self._credential.realm, (Secret.PASSWORD,))

    def resume(self, account: Account | None) -> StepResult:
        if account is None or account.password is None:
            raise LogonDenied("nobody of that name")
        self._key = _derived(account.password, self._told)
        if not hmac.compare_digest(self._proof, hmac.digest(self._key, self._told, "sha256").hex().encode()):
            raise InvalidToken("the initiator's token does not verify")
        realm = self._credential.realm
        self._complete(self._flags, username=self._user, realm=realm, account=account, target=self._target)
        return StepResult(Event.COMPLETE, b"AP-REP" + hmac.digest(self._key, b"AP-REP", "sha256"))


class _StandIn(Package[Credential]):
    info = SecPkgInfo(
        capabilities=SecurityPackageCapability(0),
        version=1,
        rpcid=0,
        max_token=4096,
        name="stand-in",
        comment="for conformance",
    )

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> Credential:
        assert isinstance(auth_data, WinNTAuthIdentity)
        return _Credential(auth_data.username or "", auth_data.password or "", auth_data.domain or "")

    def initiate(self, credential: Credential, environment: Environment, request: Request) -> Exchange:
        assert isinstance(credential, _Credential)
        return _Initiator(credential, environment)

    def accept(self, credential: Credential, environment: Environment, request: Request) -> Exchange:
        assert isinstance(credential, _Credential)
        return _Acceptor(credential, environment)

    def check_flags(self, side: Side, flags: int) -> None:
        return


STAND_IN: Final[AnyPackage] = _StandIn()


def _client(parameters: ClientParameters) -> ClientExchange:
    given, environment = parameters.credentials, parameters.environment
    assert given is not None
    identity = WinNTAuthIdentity(getattr(given, "username", ""), "", getattr(given, "password", ""))
    credential = STAND_IN.acquire(None, identity, frozenset({Side.INITIATE}), environment)
    _, requested = AFTER_CONTEXT.flags(STAND_IN, Side.INITIATE, environment.policy)
    target = f"{parameters.service}/{parameters.host}"
    request = Request(target=target, requested=requested, authzid=parameters.authzid)
    context = SecurityContext(STAND_IN, credential, Side.INITIATE, environment)
    return AFTER_CONTEXT.client(context, request, environment.policy)


def _server(parameters: ServerParameters) -> ServerExchange:
    environment = parameters.environment
    identity = WinNTAuthIdentity("", parameters.realms[0] if parameters.realms else "", "")
    credential = STAND_IN.acquire(None, identity, frozenset({Side.ACCEPT}), environment)
    context = SecurityContext(STAND_IN, credential, Side.ACCEPT, environment)
    _, requested = AFTER_CONTEXT.flags(STAND_IN, Side.ACCEPT, environment.policy)
    return AFTER_CONTEXT.server(context, Request(requested=requested), environment.policy, first=First.CLIENT)


def mechanism() -> Mechanism:
    """Return our GSSAPI, with the stand-in where Kerberos was."""
    return replace(find_mechanism("GSSAPI"), package=None, client=_client, server=_server)
