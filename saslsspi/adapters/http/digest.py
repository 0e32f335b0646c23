"""Digest credentials of one request, given to the WDigest package as a server gives them (RFC 7616)."""

from __future__ import annotations

import hashlib

from saslsspi.adapters.http.headers import same_target
from saslsspi.adapters.http.inbound import Inbound
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.crypto.md5 import md5
from saslsspi.engine.attributes import SecPkgContextNames
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Request, StepResult
from saslsspi.engine.flags import AscReq
from saslsspi.engine.hooks.audit import proof_refused
from saslsspi.engine.protection import RequestProtection
from saslsspi.engine.security import Security, security_of
from saslsspi.errors import SaslError, WrongPrincipal
from saslsspi.packages.digest.http.messages import HttpResponse

__all__ = ["DigestDoor", "DigestUse", "EntityHash"]


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
        """Return the hash in hex, as the package takes it."""
        return self._hash.hexdigest().encode()


def _covering(response: HttpResponse) -> str | None:
    covers = response.qop is not None and response.qop.lower() == b"auth-int"
    return response.algorithm.name.decode() if covers else None


class DigestUse:
    """What came of one request's credentials.

    Attributes:
        challenges: What is to be answered before anybody is served (stale); empty once the credentials are taken.
        proof: The value of Authentication-Info; b"" where the answer's body is still to be signed.
        signs: Name of the algorithm to hash the answer's body with, or None.
    """

    def __init__(self, context: SecurityContext, step: StepResult, proof: bytes, signs: str | None) -> None:
        self._context = context
        self.complete = context.outcome is not None
        self.challenges = [] if self.complete else (step.token or b"").splitlines()
        self.proof = proof if self.complete else b""
        self.signs = signs

    @property
    def username(self) -> str:
        """The name, as the package has it."""
        return self._context.query(SecPkgContextNames).username

    @property
    def security(self) -> Security:
        """Who it is."""
        assert self._context.outcome is not None
        return security_of(self._context.outcome, package=self._context.package.info.name)

    def sign(self, entity: bytes) -> bytes:
        """Return the value of Authentication-Info for an answer whose body has this hash."""
        protection = self._context.protection()
        assert isinstance(protection, RequestProtection), "a context of Digest for HTTP"
        return protection.sign_request((entity,), lambda size: None)


class DigestDoor:
    """The accepting side of WDigest, and what every call of it says.

    Args:
        inbound: Its credential. Contexts are found again by opaque and nonce, over any connection.
        realm: The realm.
        integrity: Whether bodies are covered (auth-int).
    """

    def __init__(self, inbound: Inbound, realm: str, *, integrity: bool = False) -> None:
        self._inbound = inbound
        self._realm = realm.encode()
        self._covers = integrity
        self._flags = int(AscReq.ASC_REQ_HTTP | (AscReq.ASC_REQ_INTEGRITY if integrity else 0))

    def challenges(self, bindings: ChannelBindings | None) -> list[str]:
        """Return the values of new challenges, the strongest first."""
        _, step = self._accept(b"", b"", b"", bindings)
        return [line.decode("latin-1") for line in (step.token or b"").splitlines()]

    def entity_algorithm(self, credentials: str) -> str | None:
        """Return the algorithm that a request's body is to be hashed with; None where the credentials do not cover it.

        Raises:
            InvalidToken: malformed credentials.
        """
        return _covering(self._inbound.read(credentials).message) if self._covers else None

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
        who = ""
        try:
            token = self._inbound.read(credentials)
            response = token.message
            who = (response.username or b"").decode("utf-8", "replace")
            # RFC 2617 section 3.2.2.5: "If they are not, the server SHOULD return a 400 Bad Request error."
            if not same_target(response.uri.decode("latin-1"), targets):
                raise WrongPrincipal("the credentials are for another URI", requirement="RFC2617-3.2.2.5-03")
        except SaslError as error:  # before there is a context, which would leave the record
            proof_refused(self._inbound.how, who, "", str(error))
            raise
        context, step = self._accept(token, method.encode(), entity, bindings)
        proof = context.complete(b"") if step.event is Event.ASK_COMPLETION else step.token or b""
        return DigestUse(context, step, proof, _covering(response))

    def again(self, bindings: ChannelBindings | None) -> list[str]:
        """Return challenges for a client that knows the password, and whose nonce count was used or overtaken."""
        return [f"{challenge}, stale=true" for challenge in self.challenges(bindings)]

    def _accept(
        self, token: bytes, method: bytes, entity: bytes, bindings: ChannelBindings | None
    ) -> tuple[SecurityContext, StepResult]:
        context = self._inbound.engine()
        # What an acceptor asks for is what it requires; the empty parameter compares no URI.
        parameters = (method, b"", entity, self._realm)
        request = Request(required=self._flags, requested=self._flags, bindings=bindings, parameters=parameters)
        return context, context.advance(token, request)
