"""The contract between the engine and a security package.

A package is one object: it describes itself, acquires credentials and begins exchanges. An exchange turns the
peer's tokens into ours, one leg at a time, and ends in an Outcome with the Protection of the messages that follow.
State, handles, flags and attributes belong to the engine; a package never sees them. A package of another
distribution is found by its entry point in the group `saslsspi.packages` and serves in the same way.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple, TypeAlias, TypeVar

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import ContextMisuse, QopNotSupported, UnsupportedFunction
from saslsspi.sspi.attributes import SecPkgContext, SecPkgContextSizes, SecPkgContextStreamSizes, SecPkgInfo
from saslsspi.sspi.environment import Account, Environment, Question
from saslsspi.sspi.flags import AscReq, IscReq, QopFlags
from saslsspi.sspi.identity import AuthIdentity, Delegated

__all__ = [
    "Credential",
    "Event",
    "Exchange",
    "Leg",
    "Numbering",
    "Octets",
    "Opened",
    "Outcome",
    "Package",
    "Part",
    "Protection",
    "Request",
    "Side",
]

Attribute = TypeVar("Attribute", bound=SecPkgContext)
Octets: TypeAlias = bytes | memoryview


class Side(enum.Enum):
    """Which end of a context this is."""

    INITIATE = "initiate"
    ACCEPT = "accept"

    __hash__ = object.__hash__  # members are singletons; the inherited hash costs more than the look-up it serves


class Event(enum.Enum):
    """What the engine learns from a package's leg, or is told by its caller."""

    CONTINUE = enum.auto()
    ASK_COMPLETION = enum.auto()
    ASK_COMPLETION_AND_CONTINUE = enum.auto()
    ASK_CREDENTIALS = enum.auto()
    COMPLETE = enum.auto()
    REAUTHENTICATE = enum.auto()
    REJECT = enum.auto()
    DELETE = enum.auto()

    __hash__ = object.__hash__  # as for Side


class Leg(NamedTuple):
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
        wished: Flags to obtain where the peer agrees; includes the required ones.
        bindings: Channel bindings of the channel around the exchange.
        parameters: The SECBUFFER_PKG_PARAMS buffers, in order.
        authzid: Initiating: the identity to act as, "" for one's own.
        protocols: The SECBUFFER_APPLICATION_PROTOCOLS buffer.
    """

    target: str = ""
    required: int = 0
    wished: int = 0
    bindings: ChannelBindings | None = None
    parameters: tuple[bytes, ...] = ()
    authzid: str = ""
    target_host: bytes = b""
    protocols: bytes = b""


class Numbering(enum.Enum):
    """What the caller's seq_no means to the message functions."""

    ZERO = enum.auto()  # it must be 0: the context counts its messages itself
    OWN = enum.auto()  # it is ignored: the context counts its messages itself
    CALLER = enum.auto()  # it is the message's number: the context is datagram-oriented


class Opened(NamedTuple):
    """What came out of the first record of a stream.

    Attributes:
        text: The plain text; empty for a record that is about the stream itself.
        used: How many octets the record had.
        closed: Whether the peer has closed its direction (close_notify).
    """

    text: bytes
    used: int
    closed: bool = False


class Part(NamedTuple):
    """One DATA buffer of a message; all parts are signed.

    Attributes:
        sealed: Whether it is encrypted as well.
    """

    octets: bytes
    sealed: bool


class Protection(ABC):
    """Signs, seals and opens the messages of an established context.

    The two hot operations are bound functions, made once for a context and called once a message:

    Attributes:
        seal: Takes a message, returns the octets of the protected one in pieces to be joined.
        unseal: Takes a protected message, returns the plain one. Raises OutOfSequence, before anything is
            consumed, or MessageAltered.
        encrypts: Whether seal hides the message or only signs it.
        recovers: Whether the context can go on after a message that did not verify; a cipher that runs on cannot.
        header_size: How many of the first octets of a protected message precede the message.
        sizes: What the message functions need.
        max_payload: Largest message whose protected form the peer takes, in octets.
        max_receive: Largest protected message that we take, in octets.
        session_key: The key under it all, or None.
        numbering: What the caller's seq_no means.
        detached: Whether the signature stands apart from the message: seal_parts and unseal_parts work then.
        signs_readonly: Whether the signature covers READONLY buffers too.
        stream: Whether protected messages are records of a byte stream: open_record works then, and seal_apart
            serves EncryptMessage with STREAM_HEADER and STREAM_TRAILER buffers.
        wants_mech_list_mic: Whether Negotiate must protect its list, as the exchange was (MS-SPNG section 6 note 8).
    """

    numbering: Numbering = Numbering.ZERO
    detached: bool = False
    signs_readonly: bool = False
    stream: bool = False
    wants_mech_list_mic: bool = False
    seal: Callable[[Octets], tuple[Octets, ...]]
    unseal: Callable[[Octets], bytes]
    encrypts: bool
    recovers: bool
    header_size: int
    sizes: SecPkgContextSizes
    max_payload: int
    max_receive: int
    session_key: bytes | None
    signature_algorithm: str
    encryption_algorithm: str
    key_bits: int

    @abstractmethod
    def overhead(self, size: int) -> int:
        """Return how many octets seal adds to a message of size octets."""

    def seal_apart(self, message: bytes, *, signed_only: bool) -> tuple[bytes, bytes, bytes]:
        """Protect a message and return what precedes it on the wire, its own octets, and what follows them.

        Args:
            message: The plain message.
            signed_only: Sign it and leave it clear, even where seal would hide it (SECQOP_WRAP_NO_ENCRYPT).

        Raises:
            QopNotSupported: this context cannot leave a message clear.
        """
        if signed_only and self.encrypts:
            raise QopNotSupported("this context encrypts every message; pass 0 as quality of protection")
        wire, body = b"".join(self.seal(message)), self.header_size
        return wire[:body], wire[body : body + len(message)], wire[body + len(message) :]

    def open_record(self, octets: Octets) -> Opened:
        """Open the first record of a stream.

        Raises:
            IncompleteMessage: it is not whole yet; nothing was consumed.
        """
        raise UnsupportedFunction("this protection has no stream")

    def stream_sizes(self) -> SecPkgContextStreamSizes | None:
        """Return what EncryptMessage needs of a stream, or None without one."""
        return None

    def unseal_with_qop(self, protected: bytes) -> tuple[bytes, int]:
        """Like unseal; also return the QopFlags of DecryptMessage, 0 for an encrypted message."""
        return self.unseal(protected), 0 if self.encrypts else int(QopFlags.SIGN_ONLY)

    @abstractmethod
    def sign(self, message: bytes, sequence: int) -> bytes:
        """Return the signature of a message; sequence counts only where the context is datagram-oriented."""

    @abstractmethod
    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Raise MessageAltered or OutOfSequence unless the signature is right; nothing is consumed then."""

    def seal_parts(self, parts: Sequence[Part], sequence: int) -> tuple[bytes, list[bytes]]:
        """Protect a message of several buffers; return the signature and each part's octets for the wire."""
        raise UnsupportedFunction("this protection takes one buffer a message")

    def unseal_parts(self, parts: Sequence[Part], signature: bytes, sequence: int) -> tuple[list[bytes], bool]:
        """Open a message of several buffers; return the plain parts, and whether the sealed ones were sealed.

        Raises:
            MessageAltered, OutOfSequence: see unseal.
        """
        raise UnsupportedFunction("this protection takes one buffer a message")

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """Return mechListMIC (RFC 4178 section 5); a stream cipher stands afterwards where it stood."""
        return self.sign(mech_list, 0)

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """Verify mechListMIC; a stream cipher stands afterwards where it stood."""
        self.verify(mech_list, signature, 0)


class Outcome(NamedTuple):
    """What an exchange ended in; the same record for contexts and for mechanisms without one.

    Attributes:
        flags: What was granted, in the bits of the own side.
        protection: How messages are protected from here on; None: not at all.
        username: Who was authenticated (on the client: as whom).
        authzid: The authorization identity in force, "" for the user's own.
        qop: auth, auth-int or auth-conf.
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
    qop: str = "auth"
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


class Exchange(ABC):
    """One side of a running authentication exchange."""

    __slots__ = ()

    outcome: Outcome | None

    @abstractmethod
    def step(self, token: bytes, request: Request) -> Leg | Question:
        """Take the peer's token, b"" when there is none, and answer with a leg.

        An acceptor that must first know something of the user answers with a Question; resume then goes on.
        Outcome is set when the leg's event is COMPLETE.
        """

    def resume(self, account: Account | None) -> Leg | Question:
        """Go on with what the authority answered."""
        raise UnsupportedFunction("this exchange asks nothing")

    def complete(self, token: bytes) -> Leg:
        """CompleteAuthToken: finish a message that the transport has changed; the last leg asked for completion.

        The answer's event is COMPLETE, or CONTINUE where the peer's next token is awaited.
        """
        raise UnsupportedFunction("this package's tokens need no completion")

    def renew_credential(self, credential: Credential) -> None:
        """Go on with another credential, after a leg whose event was ASK_CREDENTIALS."""
        raise UnsupportedFunction("this exchange keeps its credential")

    def control(self, token: bytes) -> None:
        """ApplyControlToken: take what the caller wants of an established context; the next call's token carries it."""
        raise UnsupportedFunction("this package has no control tokens")

    def controlled(self) -> bytes:
        """Return the token that a control token has called for."""
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


class Credential(ABC):
    """A package's acquired credential; secrets in it stay out of its repr."""

    __slots__ = ()

    username: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Package(ABC):
    """A security package.

    Attributes:
        aliases: Other names of the package, compared without regard to case.
        takes_records: Whether its tokens are cut anywhere out of a byte stream: the buffers EMPTY, EXTRA, MISSING and
            ALERT are for it.
        refused: Flags of each side (ISC_REQ or ASC_REQ bits) that the package can never take.
    """

    info: SecPkgInfo
    aliases: ClassVar[tuple[str, ...]] = ()
    takes_records: ClassVar[bool] = False
    refused: ClassVar[Mapping[Side, int]] = MappingProxyType({})

    def problem(self) -> str | None:
        """Why the package is listed and cannot be used on this machine, and what to install; None when it can."""
        return None

    def inbound_problem(self) -> str | None:
        """Why no client can be accepted on this machine as it is set up, for want of a keytab say; None when it can."""
        return self.problem()

    @abstractmethod
    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> Credential:
        """Make a credential for the given sides.

        Raises:
            NoCredentials: there is nothing to authenticate with, or no authority to ask.
            UnknownCredentials: auth_data is of a kind that the package does not understand.
        """

    @abstractmethod
    def initiate(self, credential: Credential, environment: Environment) -> Exchange:
        """Begin the client's side of an exchange."""

    @abstractmethod
    def accept(self, credential: Credential, environment: Environment) -> Exchange:
        """Begin the server's side of an exchange."""

    def check_flags(self, side: Side, flags: int) -> None:
        """Raise UnsupportedFunction or SecurityQosFailed where the package cannot take a flag."""
        if unwelcome := flags & self.refused.get(side, 0):
            named = IscReq(unwelcome) if side is Side.INITIATE else AscReq(unwelcome)
            raise UnsupportedFunction(f"{self.info.name} does not take {named!r}")

    def reauthenticate(self, side: Side) -> None:
        """Raise where an established context takes no further token; return where a new exchange may begin."""
        raise ContextMisuse(f"the {self.info.name} context is established; begin a new one for the next logon")
