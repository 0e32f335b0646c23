"""The contract of one side of a running exchange: its steps, what is asked of it, and what it ends in."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import NamedTuple, TypeVar

from saslsspi.accounts.account import Account, Question
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.attributes import SecPkgContext, SecPkgCred
from saslsspi.engine.identity import Delegated
from saslsspi.engine.protection import Protection
from saslsspi.errors import InvalidParameter, SaslError, UnsupportedFunction

__all__ = ["Credential", "Event", "Exchange", "Outcome", "Qop", "Request", "Side", "StepResult"]

Attribute = TypeVar("Attribute", bound=SecPkgContext)


class Side(enum.Enum):
    """Which end of a context this is."""

    INITIATE = "initiate"
    ACCEPT = "accept"

    __hash__ = object.__hash__  # members are singletons; the inherited hash costs more than the look-up it serves


class Event(enum.Enum):
    """What the engine learns from a package's step, or is told by its caller."""

    TOKEN = enum.auto()  # the peer's token has come, or the first call
    QUESTION = enum.auto()
    ANSWER = enum.auto()
    CONTINUE = enum.auto()
    ASK_COMPLETION = enum.auto()
    ASK_COMPLETION_AND_CONTINUE = enum.auto()
    ASK_CREDENTIALS = enum.auto()
    COMPLETE = enum.auto()
    CONTROL = enum.auto()
    REJECT = enum.auto()
    DELETE = enum.auto()

    __hash__ = object.__hash__  # as for Side


class Qop(enum.StrEnum):
    """What the layer after an exchange gives (RFC 2831 section 2.1.1, RFC 4752 section 3.3); equal to its word."""

    AUTH = "auth"
    AUTH_INT = "auth-int"
    AUTH_CONF = "auth-conf"

    __repr__ = str.__repr__


class StepResult(NamedTuple):
    """One step of an exchange: what happened, and what goes to the peer (None: nothing, b"": an empty token).

    Attributes:
        extra: How many of the last octets of the peer's token were not taken; they come again, with what follows them.
    """

    event: Event
    token: bytes | None
    extra: int = 0


class Request(NamedTuple):
    """What a caller asks of a context, in the flag bits of its own side.

    Attributes:
        target: Initiating: the principal that is meant, such as "ldap/host".
        required: Flags without which the context is no use.
        requested: Flags to obtain where the peer agrees; includes the required ones.
        bindings: Channel bindings of the channel around the exchange.
        parameters: The SECBUFFER_PKG_PARAMS buffers, in order.
        authzid: Initiating: the identity to act as, "" for one's own.
        protocols: The SECBUFFER_APPLICATION_PROTOCOLS buffer.
        alternate_bindings: Accepting: bindings of the same channel by other types, where the client names the type.
        seals_signed: Whether messages are sealed too where the two sides agree on signing alone; see
            saslsspi.engine.security.seals_signed.
    """

    target: str = ""
    required: int = 0
    requested: int = 0
    bindings: ChannelBindings | None = None
    parameters: tuple[bytes, ...] = ()
    authzid: str = ""
    target_host: bytes = b""
    protocols: bytes = b""
    seals_signed: bool = False
    alternate_bindings: tuple[ChannelBindings, ...] = ()

    def joined(self, later: Request) -> Request:
        """Return what this call and a later one of the same exchange ask together.

        What was asked once stays asked: programs repeat themselves or do not, and a context that forgets the flags, the
        target or the bindings of its first call would check less than was asked. The parameters are the later call's.

        Raises:
            InvalidParameter: the later call names another target.
        """
        if later.target and self.target and later.target != self.target:
            raise InvalidParameter("a later call names another target than the first; begin a new context for it")
        return Request(
            later.target or self.target,
            self.required | later.required,
            self.requested | later.requested,
            self.bindings if later.bindings is None else later.bindings,
            later.parameters,
            later.authzid or self.authzid,
            later.target_host or self.target_host,
            later.protocols or self.protocols,
            self.seals_signed or later.seals_signed,
        )


class Outcome(NamedTuple):
    """What an exchange ended in; the same record for contexts and for mechanisms without one. Built by keyword.

    Attributes:
        flags: What was granted, in the bits of the own side.
        protection: How messages are protected from here on; None: not at all.
        username: Who was authenticated (on the client: as whom).
        authzid: The authorization identity in force, "" for the user's own.
        qop: Whether messages are signed, or sealed as well.
        ssf: Security strength factor of the layer: 0, 1, or the cipher's bits.
        max_send: Largest protected buffer that the peer takes, in octets; 0 without a layer.
        target: Accepting: the principal that the client meant.
        channel_binding: Type of the bindings that were verified, "" without.
        tolerances: Names of the tolerances that the peer made necessary.
        account: Accepting: what the authority knew of the user.
        trace: Accepting: what an anonymous client says of itself; anybody may say anything.
        delegated: Accepting: the credentials that the client has handed over, or None.
        negotiated: The package that Negotiate chose, "" where nothing was negotiated.
    """

    flags: int = 0
    protection: Protection | None = None
    username: str = ""
    realm: str = ""
    authzid: str = ""
    qop: Qop = Qop.AUTH
    cipher: str = ""
    ssf: int = 0
    max_send: int = 0
    max_receive: int = 0
    target: str = ""
    channel_binding: str = ""
    reauthenticated: bool = False
    tolerances: tuple[str, ...] = ()
    account: Account | None = None
    trace: str = ""
    delegated: Delegated | None = None
    negotiated: str = ""


class Credential(ABC):
    """A package's acquired credential; secrets in it stay out of its repr."""

    __slots__ = ()

    username: str

    def accept_setting(self, setting: SecPkgCred) -> bool:
        """SetCredentialsAttributes: take a setting; False where there is no such one."""
        return False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Exchange(ABC):
    """One side of a running authentication exchange."""

    __slots__ = ()

    outcome: Outcome | None

    @abstractmethod
    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the peer's token, b"" when there is none, and answer with a step.

        An acceptor that must first know something of the user answers with a Question; resume then goes on.
        Outcome is set when the step's event is COMPLETE.
        """

    def resume(self, account: Account | None) -> StepResult | Question:
        """Go on with what the authority answered."""
        raise UnsupportedFunction("this exchange asks nothing")

    def unanswered(self, error: SaslError) -> None:  # noqa: B027  # most packages have nothing to say
        """The authority could not answer: put what still goes to the peer into the error, as a failed step would."""

    def complete(self, token: bytes) -> StepResult:
        """CompleteAuthToken: finish a message that the transport has changed; the last step asked for completion.

        The answer's event is COMPLETE, or CONTINUE where the peer's next token is awaited.
        """
        raise UnsupportedFunction("this package's tokens need no completion")

    def renew_credential(self, credential: Credential) -> None:
        """Go on with another credential, after a step whose event was ASK_CREDENTIALS."""
        raise UnsupportedFunction("this exchange keeps its credential")

    def control(self, token: bytes) -> None:
        """ApplyControlToken: take what the caller wants the peer told; the next call's token carries it."""
        raise UnsupportedFunction("this package has no control tokens")

    def controlled(self) -> bytes | None:
        """Return the token that a control token, or a request of the peer, has called for; None if it is gone out."""
        raise UnsupportedFunction("this package has no control tokens")

    def layer(self, *, encrypt: bool, max_send: int, max_receive: int) -> Protection:
        """What protects messages under a layer that the two sides agree on after the exchange (RFC 4752 section 3.3).

        It serves whatever the outcome's flags promise: the agreement itself is signed before there is a layer.

        Args:
            encrypt: Whether every message is hidden; both sides sign.
            max_send: Largest protected message that the peer takes, in octets.
            max_receive: Largest protected message that we take, in octets.
        """
        raise UnsupportedFunction("no layer can be agreed on after this exchange")

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """A package's own attribute, or None for one it does not have."""
        return None
