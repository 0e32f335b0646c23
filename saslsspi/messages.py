"""What an established context does with messages: the half of Context that has nothing to do with tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from saslsspi.engine.attributes import SecPkgContextUnpromised
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.protection import Detached, Numbering, Octets, Part, Protection, Records, Signing
from saslsspi.errors import ContextExpired, ContextMisuse, InvalidParameter, MessageAltered, UnsupportedFunction

__all__ = ["Messages"]

_UNLIMITED: Final = 1 << 62  # while there is nothing to protect, which is said instead


class Messages:
    """Wraps and unwraps, signs and verifies; see Context, which derives from it."""

    __slots__ = ("_context", "_largest", "_seal", "_untaken")

    def __init__(self, context: SecurityContext) -> None:
        self._context = context
        self._untaken = bytearray()  # of a stream
        self._seal: Callable[[Octets], tuple[Octets, ...]]
        self._largest: int
        self._protect()

    @property
    def header_size(self) -> int:
        """How many octets precede the message in what wrap returns, at most; raises ContextMisuse as wrap does."""
        return self._context.protection().header_size

    def wrap(self, message: bytes) -> bytes:
        """Return the protected message for the wire: sealed, or signed where only integrity was agreed on.

        Raises:
            ContextMisuse: the context is not done.
            QopNotSupported: it was established without protection of messages.
            InvalidParameter: the message is longer than the peer takes at once; nothing was consumed.
        """
        if len(message) > self._largest:
            raise InvalidParameter(f"{len(message)} octets are more than the peer takes at once ({self._largest})")
        return b"".join(self._seal(message))

    def unwrap(self, message: bytes) -> bytes:
        """Open what wrap returned on the other side.

        It is one whole protected message; of a stream any octets, and what is complete comes out: b"" where nothing is.

        Raises:
            OutOfSequence: not the next message; it is discarded and the context lives.
            MessageAltered: it does not verify, or came in clear where everything is encrypted. The context is dead
                where its cipher cannot go on.
            ContextExpired: the peer has closed its direction of the stream.
        """
        protection = self._context.protection()
        try:
            if not isinstance(protection, Records):
                return protection.unseal(message)
            self._untaken += message
            text, _, closed, _ = protection.open_whole(self._untaken)
        except MessageAltered:
            self._lose(protection)
            raise
        if closed and not text:
            raise ContextExpired("the peer has closed its direction")
        return text

    def unwrap_any(self, message: bytes) -> tuple[bytes, bool]:
        """Like unwrap, but take a message that is signed only as well; return it, and whether it was sealed.

        Where one is taken for the other an attacker without keys still changes nothing, and a peer who meant to seal
        and did not is not noticed; so look at the answer.
        """
        protection = self._context.protection()
        if not isinstance(protection, Detached) or protection.numbering is Numbering.CALLER:
            return self.unwrap(message), protection.encrypts
        try:
            return protection.unseal_joined(message, 0)
        except MessageAltered:
            self._lose(protection)
            raise

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, which travels beside it.

        Raises:
            UnsupportedFunction: the package (Schannel) makes no signatures apart from its messages.
            QopNotSupported: the context was established without integrity, and a signature would say nothing.
        """
        return self._signing().sign(message, 0)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Verify the peer's signature of a message.

        Raises:
            MessageAltered, OutOfSequence: the message is discarded and the context lives.
        """
        self._signing().verify(message, signature, 0)

    def wrap_parts(self, parts: Sequence[Part], *, encrypt: bool = True) -> tuple[bytes, list[bytes]]:
        """Protect a message of several parts under one signature; return it, and each part's octets for the wire.

        Args:
            parts: What it consists of, in order.
            encrypt: Whether sealed parts are hidden; if not, all of it is signed only, and unwrap refuses it.

        Raises:
            UnsupportedFunction: the package protects whole messages only; nothing was consumed.
            InvalidParameter: together they are longer than the peer takes at once; nothing was consumed.
        """
        protection = self._detached()
        size = sum(len(part.octets) for part in parts)
        if size > self._largest:
            raise InvalidParameter(f"{size} octets are more than the peer takes at once ({self._largest})")
        before, octets, after = protection.seal_parts(parts, 0, encrypt=encrypt)
        return before + after, octets

    def unwrap_parts(self, parts: Sequence[Part], signature: bytes) -> list[bytes]:
        """Open what wrap_parts returned on the other side; each part says whether it was sealed or signed only.

        Raises:
            OutOfSequence, MessageAltered: as unwrap.
            UnsupportedFunction: the package protects whole messages only.
        """
        plain, sealed = self.unwrap_parts_any(parts, signature)
        if not sealed and self._detached().encrypts and any(part.sealed for part in parts):
            raise MessageAltered("a message came in clear, and every message of this context is encrypted")
        return plain

    def unwrap_parts_any(self, parts: Sequence[Part], signature: bytes) -> tuple[list[bytes], bool]:
        """Like unwrap_parts, but take a message that is signed only as well; see unwrap_any."""
        protection = self._detached()
        try:
            return protection.unseal_parts(parts, *protection.split(signature, parts), 0)
        except MessageAltered:
            self._lose(protection)
            raise

    def protect_unpromised(self) -> None:
        """Let messages be wrapped though the context was established without integrity and confidentiality.

        Kerberos has keys whatever was asked for, and MIT's GSS-API uses them; the peer must do the same.

        Raises:
            ContextMisuse: the context is not done.
            UnsupportedFunction: the package has no keys then.
        """
        context = self._context
        found = context.query(SecPkgContextUnpromised).protection
        assert isinstance(found, Protection)
        assert context.outcome is not None, "what is not done has no attributes"
        if context.outcome.protection is None:
            context.outcome = context.outcome._replace(protection=found)
        self._protect()

    def _signing(self) -> Signing:
        protection = self._context.protection()
        if isinstance(protection, Signing) and protection.numbering is not Numbering.CALLER:
            protection.check_integrity()
            return protection
        raise UnsupportedFunction(f"{self._context.package.info.name} makes no signatures apart from its messages")

    def _detached(self) -> Detached:
        protection = self._context.protection()
        if isinstance(protection, Detached) and protection.numbering is not Numbering.CALLER:
            return protection
        raise UnsupportedFunction(f"{self._context.package.info.name} protects whole messages only")

    def _protect(self) -> None:
        """Bind what wraps, so that a message costs two calls; before completion and after an end it refuses."""
        context, outcome = self._context, self._context.outcome
        if outcome is not None and outcome.protection is not None:
            self._seal, self._largest = outcome.protection.seal, outcome.protection.max_payload
            return

        def refuse(message: Octets) -> NoReturn:
            context.protection()
            raise ContextMisuse("the context protects no messages")

        self._seal, self._largest = refuse, _UNLIMITED

    def _lose(self, protection: Protection) -> None:
        """End the context unless it can go on after a message that did not verify."""
        if not protection.recovers:
            self._context.fail()
            self._protect()
