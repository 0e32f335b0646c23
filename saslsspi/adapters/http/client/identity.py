"""Who logs on over HTTP, and how: the options of every client, and what its requests share."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from saslsspi.adapters.http.client.sessions import DigestSession
from saslsspi.credentials import NtHash, Password, PerPackage, Tickets
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Side
from saslsspi.engine.identity import identity_of
from saslsspi.engine.policy import Policy
from saslsspi.engine.registry import find_package
from saslsspi.errors import InvalidParameter
from saslsspi.kinds import check_kind

__all__ = ["DEFAULT_SCHEMES", "SCHEMES", "HttpIdentity", "Scheme"]

DEFAULT_SCHEMES: Final = ("Negotiate", "Kerberos", "NTLM", "Digest")
"""What is used unasked, the strongest first. CredSSP hands the password over, so it has to be named."""

_MOST_SPACES: Final = 64
_MAX_ANSWER: Final = 1 << 24


class Scheme:
    """One of HTTP's schemes: how it is written, and the package behind it."""

    __slots__ = ("name", "package")

    def __init__(self, name: str, package: str) -> None:
        self.name = name
        self.package = package


SCHEMES: Final = {
    "digest": Scheme("Digest", "WDigest"),
    "negotiate": Scheme("Negotiate", "Negotiate"),
    "kerberos": Scheme("Kerberos", "Kerberos"),
    "ntlm": Scheme("NTLM", "NTLM"),
    "credssp": Scheme("CredSSP", "CREDSSP"),
}


class HttpIdentity:
    """Who logs on over HTTP, and how. One serves any number of requests at once, of threads and tasks.

    What a logon has in hand belongs to its request (HttpLogon). Shared are the credentials and the Digest sessions,
    whose nonce counts go up from request to request.

    Args:
        credentials: None logs on with the Kerberos tickets that are there; an NtHash with NTLM only, Tickets
            with Kerberos only.
        schemes: Names of HTTP's schemes in order of preference: Negotiate, Kerberos, NTLM, Digest, CredSSP.
        policy: What is acceptable; for CredSSP it says where the password may go.
        mutual: Whether a server that does not prove who it is is an error.
        origins: URLs of other servers that the domain of a Digest server may name; without them credentials go to
            nobody but the scheme, host and port that asked.
        max_answer: Largest answer that is held to verify its proof, in octets; only Digest's auth-int needs it.

    Raises:
        InvalidParameter: a scheme is not known.
    """

    def __init__(
        self,
        credentials: Password | NtHash | Tickets | PerPackage | None,
        *,
        schemes: Sequence[str] = DEFAULT_SCHEMES,
        policy: Policy | None = None,
        mutual: bool = False,
        origins: Sequence[str] = (),
        max_answer: int = _MAX_ANSWER,
    ) -> None:
        check_kind("credentials", credentials, Password, NtHash, Tickets, PerPackage, type(None))
        check_kind("policy", policy, Policy, type(None))
        unknown = [scheme for scheme in schemes if scheme.lower() not in SCHEMES]
        if unknown or not schemes:
            raise InvalidParameter(f"schemes are some of {', '.join(scheme.name for scheme in SCHEMES.values())}")
        self.schemes = tuple(scheme.lower() for scheme in schemes)
        self.policy = policy or Policy()
        self.mutual = mutual
        self.origins = tuple(origins)
        self.max_answer = max_answer
        self.credentials = credentials
        self.environment = Environment(policy=self.policy)
        self._digest: Credential | None = None
        self._sessions: list[DigestSession] = []  # the last one first
        self._lock = threading.Lock()

    def digest(self) -> SecurityContext:
        """Return a new context of Digest.

        Raises:
            SaslError: its package is not there, or cannot use the credentials.
        """
        package = find_package(SCHEMES["digest"].package)
        with self._lock:
            if self._digest is None:
                given = self.credentials or Password("", "")
                identity = identity_of(given, "Digest")
                self._digest = package.acquire(None, identity, frozenset({Side.INITIATE}), self.environment)
            return SecurityContext(package, self._digest, Side.INITIATE, self.environment)

    def remember(self, session: DigestSession) -> None:
        """Keep a Digest session that succeeded; the last one of a space counts, and the oldest spaces go."""
        with self._lock:
            others = [other for other in self._sessions if other.space != session.space]
            self._sessions = [session, *others][:_MOST_SPACES]

    def forget(self, session: DigestSession) -> None:
        """Drop a Digest session that the server does not know any more."""
        with self._lock:
            self._sessions = [other for other in self._sessions if other is not session]

    def known(self, url: str) -> DigestSession | None:
        """Return the Digest session whose space a URL is in, if there is one."""
        with self._lock:
            return next((session for session in self._sessions if session.space.covers(url)), None)
