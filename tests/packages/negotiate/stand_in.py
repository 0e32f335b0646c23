"""A stand-in for the Kerberos package: as many tokens as a test wants, and an integrity of its own.

The client's first token names the number of tokens; the last one ends the exchange on both sides.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from unittest import mock

from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscRet, IscReq, IscRet, SecurityPackageCapability
from saslsspi.engine.identity import AuthIdentity
from saslsspi.engine.package import AnyPackage, Package
from saslsspi.engine.protection import Octets, Signing
from saslsspi.engine.registry import find_package
from saslsspi.errors import InvalidToken, MessageAltered, NoAuthenticatingAuthority, NoCredentials, PackageNotFound
from saslsspi.packages.negotiate import credential as negotiate_credential
from saslsspi.sspi import SecPkgInfo

__all__ = ["StandIn", "kerberos_is"]

_INFO = SecPkgInfo(SecurityPackageCapability.SECPKG_FLAG_NEGOTIABLE, 1, 16, 48000, "Kerberos", "stand-in")


class _Protection(Signing):
    encrypts = False
    recovers = True
    header_size = 0
    sizes = SecPkgContextSizes(48000, 16, 1, 16)
    max_payload = max_receive = 65536
    session_key = b"key"
    signature_algorithm = "stand-in"
    encryption_algorithm = ""
    key_bits = 0

    def __init__(self) -> None:
        self.seal = lambda message: (message,)
        self.unseal = lambda wire: bytes(wire)

    def overhead(self, size: int) -> int:
        return 0

    def sign(self, message: Octets, sequence: int) -> bytes:
        return hmac.digest(b"key", message, hashlib.sha256)[:16]

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        if not hmac.compare_digest(self.sign(message, 0), signature):
            raise MessageAltered("stand-in")


class _Exchange(Exchange):
    def __init__(self, side: Side, package: StandIn) -> None:
        self.outcome: Outcome | None = None
        self._client = side is Side.INITIATE
        self._package = package
        self._seen = 0

    def step(self, token: bytes, request: Request) -> StepResult:
        self._package.requests.append(request)
        if self._client and not self._seen and not token and self._package.cannot_begin:
            raise NoAuthenticatingAuthority("no KDC can be reached")
        if token:
            if token != b"stand-in %d" % self._seen:
                raise InvalidToken("stand-in")
            self._seen += 1
        total = self._package.tokens
        if self._seen == total:
            return StepResult(Event.COMPLETE, self._finish())
        ours = b"stand-in %d" % self._seen
        self._seen += 1
        if self._seen == total:
            self._finish()
            return StepResult(Event.COMPLETE, ours)
        return StepResult(Event.CONTINUE, ours)

    def _finish(self) -> None:
        flags = int(IscRet.ISC_RET_INTEGRITY if self._client else AscRet.ASC_RET_INTEGRITY)
        flags = flags if self._package.integrity else 0
        self.outcome = Outcome(flags=flags, protection=_Protection(), username="someone@REALM")


class _Credential(Credential):
    username = "someone"


class StandIn(Package[Credential]):
    """What Negotiate takes for Kerberos.

    Args:
        tokens: How many tokens an exchange has.
        integrity: Whether its contexts can sign.
        cannot_begin: Whether the client's first token cannot be had.
        has_credentials: Whether a credential can be acquired.
    """

    info: ClassVar[SecPkgInfo] = _INFO  # type: ignore[misc]

    def __init__(
        self,
        tokens: int = 2,
        *,
        integrity: bool = True,
        cannot_begin: bool = False,
        has_credentials: bool = True,
    ) -> None:
        self.tokens, self.integrity, self.cannot_begin = tokens, integrity, cannot_begin
        self.has_credentials = has_credentials
        self.requests: list[Request] = []

    def acquire(
        self, principal: str | None, auth_data: AuthIdentity | None, sides: frozenset[Side], environment: Environment
    ) -> Credential:
        if not self.has_credentials:
            raise NoCredentials("there is no ticket")
        return _Credential()

    def initiate(self, credential: Credential, environment: Environment, request: Request) -> Exchange:
        return _Exchange(Side.INITIATE, self)

    def accept(self, credential: Credential, environment: Environment, request: Request) -> Exchange:
        return _Exchange(Side.ACCEPT, self)

    def check_flags(self, side: Side, flags: int) -> None:
        assert not flags & IscReq.ISC_REQ_PROMPT_FOR_CREDS


@contextmanager
def kerberos_is(package: StandIn | None) -> Iterator[None]:
    """Let credentials that are acquired now find this package under the name of Kerberos; None: no package."""

    def find(name: str) -> AnyPackage:
        if name != "Kerberos":
            return find_package(name)
        if package is None:
            raise PackageNotFound("install the extra kerberos")
        return package

    with mock.patch.object(negotiate_credential, "find_package", find):
        yield
