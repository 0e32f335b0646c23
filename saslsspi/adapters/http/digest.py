"""Digest credentials of one request, given to the WDigest package as a server gives them (Win32, RFC 7616)."""

from __future__ import annotations

import hashlib
from typing import Final

from saslsspi import sspi
from saslsspi.adapters.http.headers import same_target
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.crypto.md5 import md5
from saslsspi.errors import WrongPrincipal
from saslsspi.packages.digest.http.messages import HttpResponse
from saslsspi.sspi import AscReq, SecBuffer, SecBufferDesc, SecBufferFlags, SecBufferType, SecurityStatus

__all__ = ["DigestHandle", "DigestUse", "EntityHash", "entity_algorithm"]

_TOKEN: Final = SecBufferType.SECBUFFER_TOKEN
_PARAMETER: Final = SecBufferType.SECBUFFER_PKG_PARAMS


class EntityHash:
    """H(entity-body), octet by octet as the body comes, before any transfer coding (RFC 2617 section 3.2.2.3).

    Args:
        algorithm: That of the credentials, such as "SHA-256-sess".
    """

    def __init__(self, algorithm: str) -> None:
        name = algorithm.lower().removesuffix("-sess")
        self._hash = md5(b"") if name == "md5" else hashlib.new("sha512_256" if name == "sha-512-256" else "sha256")

    def update(self, octets: bytes) -> None:
        """Hash more of the body."""
        self._hash.update(octets)

    def hexdigest(self) -> bytes:
        """Return what SECBUFFER_PKG_PARAMS takes."""
        return self._hash.hexdigest().encode()


def entity_algorithm(credentials: str) -> str | None:
    """Return the algorithm that a request's body is to be hashed with; None where the credentials do not cover it.

    Raises:
        InvalidToken: malformed credentials.
    """
    response = _read(credentials)
    return (
        response.algorithm.name.decode() if response.qop is not None and response.qop.lower() == b"auth-int" else None
    )


def _read(credentials: str) -> HttpResponse:
    # To see uri and qop; the package reads them again, by the tolerances of its policy.
    return HttpResponse.from_bytes(credentials.encode("latin-1", "replace"), int(sspi.Tolerances.DEFAULT))


class DigestUse:
    """What came of one request's credentials.

    Attributes:
        context: The context; incomplete where `challenges` are to be answered (stale).
        proof: The value of Authentication-Info; b"" where the answer's body is still to be signed.
        signs: Name of the algorithm to hash the answer's body with, or None.
    """

    def __init__(self, context: sspi.CtxtHandle, token: bytes, status: SecurityStatus, signs: str | None) -> None:
        self.context = context
        self.complete = status != SecurityStatus.SEC_I_CONTINUE_NEEDED
        self.challenges = token.splitlines() if not self.complete else []
        self.proof = token if self.complete else b""
        self.signs = signs

    def sign(self, entity: bytes) -> bytes:
        """Return the value of Authentication-Info for an answer whose body has this hash."""
        token = SecBuffer(None, _TOKEN)
        sspi.make_signature(self.context, 0, SecBufferDesc([token, SecBuffer(entity, _PARAMETER)]), 0)
        return token.data


class DigestHandle:
    """An inbound WDigest handle, and what every call for it says.

    Args:
        credential: The handle. Its contexts are found again by opaque and nonce, over any connection.
        realm: The realm.
        flags: Beside ASC_REQ_HTTP: ASC_REQ_INTEGRITY asks for auth-int.
    """

    def __init__(self, credential: sspi.CredHandle, realm: str, flags: int = 0) -> None:
        self._credential = credential
        self._realm = realm.encode()
        self._flags = flags | AscReq.ASC_REQ_HTTP

    def challenges(self, bindings: ChannelBindings | None) -> list[str]:
        """Return the values of new challenges, the strongest first."""
        output = SecBuffer(None, _TOKEN)
        self._accept(b"", b"", b"", bindings, output)
        return [line.decode("latin-1") for line in output.data.splitlines()]

    def use(
        self, credentials: str, method: str, targets: tuple[str, ...], entity: bytes, bindings: ChannelBindings | None
    ) -> DigestUse:
        """Take a request's credentials.

        Args:
            credentials: What stands behind "Digest ".
            method: Of the request line.
            targets: How the request's URI may have been written.
            entity: The body's hash, see entity_algorithm.
            bindings: Of the TLS connection, if the server sees one.

        Raises:
            WrongPrincipal: the credentials are for another URI.
            SaslError: they are refused.
        """
        response = _read(credentials)
        # RFC 2617 section 3.2.2.5: "If they are not, the server SHOULD return a 400 Bad Request error."
        if not same_target(response.uri.decode("latin-1"), targets):
            raise WrongPrincipal("the credentials are for another URI", requirement="RFC2617-3.2.2.5-03")
        output = SecBuffer(None, _TOKEN)
        context, status = self._accept(
            credentials.encode("latin-1", "replace"), method.encode(), entity, bindings, output
        )
        if status == SecurityStatus.SEC_I_COMPLETE_NEEDED:
            output = SecBuffer(None, _TOKEN)
            sspi.complete_auth_token(context, SecBufferDesc([output]))
        return DigestUse(context, output.data, status, entity_algorithm(credentials))

    def again(self, bindings: ChannelBindings | None) -> list[str]:
        """Return challenges for a client that knows the password, and whose nonce count was used or overtaken."""
        return [f"{challenge}, stale=true" for challenge in self.challenges(bindings)]

    def _accept(
        self, token: bytes, method: bytes, entity: bytes, bindings: ChannelBindings | None, output: SecBuffer
    ) -> tuple[sspi.CtxtHandle, SecurityStatus]:
        buffers = [SecBuffer(token, _TOKEN)]
        buffers += [SecBuffer(value, _PARAMETER) for value in (method, b"", entity, self._realm)]
        if bindings is not None:
            readonly = SecBufferFlags.SECBUFFER_READONLY
            buffers.append(SecBuffer(bindings.to_bytes(), SecBufferType.SECBUFFER_CHANNEL_BINDINGS, readonly))
        result = sspi.accept_security_context(
            self._credential, None, SecBufferDesc(buffers), self._flags, 0, SecBufferDesc([output])
        )
        return result.context, SecurityStatus(result.status)
