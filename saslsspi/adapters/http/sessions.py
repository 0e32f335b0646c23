"""A client's Digest sessions: one challenge, answered by any number of requests (RFC 2617 section 3.3).

A session is shared by threads and tasks, so it holds nothing of a request: what a request sent is given back when the
server's proof for it is verified, whatever was sent and answered in between.
"""

from __future__ import annotations

import threading
from typing import Final

from saslsspi import sspi
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.adapters.http.headers import bound
from saslsspi.adapters.http.spaces import ProtectionSpace
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import ContextMisuse
from saslsspi.packages.digest.http.messages import HttpChallenge
from saslsspi.sspi import IscReq, SecBuffer, SecBufferDesc, SecBufferType

__all__ = ["DigestSession"]

_TOKEN: Final = SecBufferType.SECBUFFER_TOKEN
_PARAMETER: Final = SecBufferType.SECBUFFER_PKG_PARAMS


class DigestSession:
    """What follows from one challenge. Safe under threads.

    Args:
        credential: An outbound handle of WDigest.
        challenge: As it was read.
        text: As it came, for the package, which reads it by the tolerances of its policy.
        space: Where it may be answered unasked.
        bindings: Of the TLS connection that it came over.

    Attributes:
        space: See above.
        covers_bodies: Whether the server wants bodies covered, and covers its own (auth-int).
        context: The context, established by `begin`.
    """

    def __init__(
        self,
        credential: sspi.CredHandle,
        challenge: HttpChallenge,
        text: bytes,
        space: ProtectionSpace,
        bindings: ChannelBindings | None,
    ) -> None:
        self.space = space
        self.covers_bodies = bool(challenge.qop) and b"auth" not in challenge.qop
        self.context = sspi.CtxtHandle()
        self._credential = credential
        self._text = text
        self._algorithm = challenge.algorithm.name.decode()
        self._bindings = bindings
        self._lock = threading.Lock()

    def begin(self, method: str, target: str, body: bytes | None) -> bytes:
        """Answer the challenge for the request that it came for.

        Raises:
            SaslError: the policy or the credentials do not allow an answer.
        """
        buffers = [SecBuffer(self._text, _TOKEN), SecBuffer(method.encode(), _PARAMETER)]
        buffers += [SecBuffer(self._entity(body), _PARAMETER), *bound(self._bindings)]
        output = SecBuffer(None, _TOKEN)
        sspi.initialize_security_context(
            self._credential, self.context, target,
            IscReq.ISC_REQ_HTTP | (IscReq.ISC_REQ_INTEGRITY if self.covers_bodies else 0), 0,
            SecBufferDesc(buffers), SecBufferDesc([output]),
        )  # fmt: skip
        return output.data

    def go_on(self, method: str, target: str, body: bytes | None) -> bytes:
        """Return the credentials of a further request, under the next nonce count."""
        buffers = [SecBuffer(None, _TOKEN), SecBuffer(method.encode(), _PARAMETER)]
        buffers += [SecBuffer(target.encode(), _PARAMETER), SecBuffer(self._entity(body), _PARAMETER)]
        with self._lock:
            sspi.make_signature(self.context, 0, SecBufferDesc(buffers), 0)
        return buffers[0].data

    def verify(self, sent: bytes, proof: bytes, body: bytes) -> None:
        """Verify a server's proof.

        Args:
            sent: The credentials that it is for, as `begin` or `go_on` returned them.
            proof: The value of Authentication-Info.
            body: The answer's; counts where covers_bodies.

        Raises:
            MutualAuthFailed: the proof is wrong, or for another request.
        """
        buffers = [SecBuffer(proof, _TOKEN), SecBuffer(self._entity(body), _PARAMETER), SecBuffer(sent, _PARAMETER)]
        with self._lock:
            sspi.verify_signature(self.context, SecBufferDesc(buffers), 0)

    def _entity(self, body: bytes | None) -> bytes:
        if not self.covers_bodies:
            return b""
        if body is None:
            raise ContextMisuse("the server wants the body covered (auth-int): give it as octets")
        digest = EntityHash(self._algorithm)
        digest.update(body)
        return digest.hexdigest()
