"""A client's Digest sessions: one challenge, answered by any number of requests (RFC 2617 section 3.3).

A session is shared by threads and tasks, so it holds nothing of a request: what a request sent is given back when the
server's proof for it is verified, whatever was sent and answered in between.
"""

from __future__ import annotations

import threading
from typing import Final

from saslsspi.adapters.http.client.spaces import ProtectionSpace
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Request
from saslsspi.engine.flags import IscReq
from saslsspi.engine.protection import RequestProtection
from saslsspi.errors import ContextMisuse
from saslsspi.packages.digest.http.messages import HttpChallenge

__all__ = ["DigestSession"]

_HTTP: Final = int(IscReq.ISC_REQ_HTTP)
_COVERS: Final = int(IscReq.ISC_REQ_INTEGRITY)


class DigestSession:
    """What follows from one challenge. Safe under threads.

    Args:
        context: A new one of WDigest.
        challenge: As it was read.
        text: As it came, for the package, which reads it by the tolerances of its policy.
        space: Where it may be answered unasked.
        bindings: Of the TLS connection that it came over.

    Attributes:
        space: See above.
        covers_bodies: Whether the server wants bodies covered, and covers its own (auth-int).
    """

    def __init__(
        self,
        context: SecurityContext,
        challenge: HttpChallenge,
        text: bytes,
        space: ProtectionSpace,
        bindings: ChannelBindings | None,
    ) -> None:
        self.space = space
        self.covers_bodies = bool(challenge.qop) and b"auth" not in challenge.qop
        self._context = context
        self._text = text
        self._algorithm = challenge.algorithm.name.decode()
        self._bindings = bindings
        self._lock = threading.Lock()

    def begin(self, method: str, target: str, body: bytes | None) -> bytes:
        """Answer the challenge for the request that it came for.

        Raises:
            SaslError: the policy or the credentials do not allow an answer.
        """
        request = Request(
            target=target,
            requested=_HTTP | (_COVERS if self.covers_bodies else 0),
            bindings=self._bindings,
            parameters=(method.encode(), self._entity(body)),
        )
        return self._context.advance(self._text, request).token or b""

    def go_on(self, method: str, target: str, body: bytes | None) -> bytes:
        """Return the credentials of a further request, under the next nonce count."""
        described = (method.encode(), target.encode(), self._entity(body))
        with self._lock:
            return self._requests().sign_request(described, lambda size: None)

    def verify(self, sent: bytes, proof: bytes, body: bytes) -> None:
        """Verify a server's proof.

        Args:
            sent: The credentials that it is for, as `begin` or `go_on` returned them.
            proof: The value of Authentication-Info.
            body: The answer's; counts where covers_bodies.

        Raises:
            MutualAuthFailed: the proof is wrong, or for another request.
        """
        entity = self._entity(body)
        with self._lock:
            self._requests().verify_request((entity, sent), proof)

    def _requests(self) -> RequestProtection:
        protection = self._context.protection()
        assert isinstance(protection, RequestProtection), "a context of Digest for HTTP"
        return protection

    def _entity(self, body: bytes | None) -> bytes:
        if not self.covers_bodies:
            return b""
        if body is None:
            raise ContextMisuse("the server wants the body covered (auth-int): give it as octets")
        digest = EntityHash(self._algorithm)
        digest.update(body)
        return digest.hexdigest()
