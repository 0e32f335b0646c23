"""What an HTTP server offers for one call: realm, algorithms, qop, and the nonces that its handle shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from saslsspi.accounts.account import AccountLookup, Secret
from saslsspi.accounts.authority import secrets_of
from saslsspi.accounts.nonces import MemoryNonceStore, NonceStore
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Request, Side
from saslsspi.engine.flags import AscReq
from saslsspi.engine.policy import ChannelBindingPolicy
from saslsspi.errors import BufferMissing, InvalidParameter, SecurityQosFailed
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.http.algorithms import ALGORITHMS, Algorithm
from saslsspi.packages.digest.http.messages import HttpChallenge
from saslsspi.packages.digest.http.nonces import Nonces
from saslsspi.packages.digest.http.protection import parameter
from saslsspi.packages.digest.qop import permitted

__all__ = ["HttpOffer", "HttpState"]

_PROXY: Final = int(AscReq.ASC_REQ_PROXY_BINDINGS)
_DEFAULT: Final = (ALGORITHMS[b"sha-256"],)
_KEY_SIZE: Final = 32
_NONCES: Final = 65536
"""How many used nonces a handle remembers where the environment brings no store."""


@dataclass(slots=True, repr=False)
class HttpState:
    """What the contexts of one inbound handle share: the nonces, and the memory of those that were used.

    Attributes:
        drawn: The key that this handle brings to a store that has none.
    """

    nonces: Nonces
    store: NonceStore
    drawn: bytes

    @classmethod
    def of(cls, environment: Environment) -> Self:
        """Return what a handle has under an environment."""
        store = MemoryNonceStore(_NONCES) if environment.nonce_store is None else environment.nonce_store
        # A nonce is good where its uses are remembered, and nowhere else: the key is the memory's own.
        drawn = environment.random(_KEY_SIZE)
        return cls(Nonces(store.key(drawn), environment.policy.http_digest.nonce_key or b""), store, drawn)

    def current(self, environment: Environment) -> Nonces:
        """Return the nonces under the key that the store has now; a store that lost its memory has another one."""
        key, nonces = self.store.key(self.drawn), self.nonces
        if key != nonces.store_key:
            self.nonces = nonces = Nonces(key, environment.policy.http_digest.nonce_key or b"")
        return nonces


@dataclass(frozen=True, slots=True, repr=False)
class HttpOffer:
    """An acceptor's offer for the flags and buffers of one call.

    Attributes:
        marked: Whether challenges say that channel bindings are understood.
        requires_bindings: Whether a client without them is refused.
    """

    realm: bytes
    algorithms: tuple[Algorithm, ...]
    qops: tuple[bytes, ...]
    nonces: Nonces
    state: HttpState
    marked: bool
    requires_bindings: bool

    @classmethod
    def of(cls, credential: DigestCredential, request: Request, environment: Environment) -> Self:
        """Return what is offered.

        Raises:
            SecurityQosFailed: flags and policy leave nothing to offer.
            InvalidToken: there is no realm, neither in the fourth SECBUFFER_PKG_PARAMS buffer nor in the credential.
        """
        policy = environment.policy
        qops = permitted(Side.ACCEPT, request.required, request.requested, policy).qops
        if not qops:
            raise SecurityQosFailed(f"flags and policy (min_ssf {policy.min_ssf}) leave no qop to offer")
        state = credential.memory(HttpState, lambda: HttpState.of(environment))
        binding = policy.channel_binding
        requires = bool(request.requested & _PROXY) or binding is ChannelBindingPolicy.REQUIRE
        return cls(
            realm=_realm(parameter(request.parameters, 3), credential),
            algorithms=_algorithms(policy.http_digest.algorithms) or _usual(environment.authority),
            qops=tuple(reversed(qops)),
            nonces=state.current(environment),
            state=state,
            marked=requires or (request.bindings is not None and binding is not ChannelBindingPolicy.NONE),
            requires_bindings=requires,
        )

    @property
    def store(self) -> NonceStore:
        """The memory of nonces that were used."""
        return self.state.store

    def nonce(self, environment: Environment, before: bytes = b"") -> bytes:
        """Return a new nonce, in the session of the one before if there is one."""
        return self._made(self.state.current(environment), environment, before)

    def _made(self, nonces: Nonces, environment: Environment, before: bytes = b"") -> bytes:
        return nonces.make(environment.clock(), environment.random, self.realm, marked=self.marked, before=before)

    def challenge(self, environment: Environment, *, stale: bool) -> bytes:
        """Return a challenge a line, "one for each algorithm, strongest first", under one nonce."""
        # Not self.nonces: the store may have lost its memory since the offer was made.
        nonces, policy = self.state.current(environment), environment.policy.http_digest
        nonce = self._made(nonces, environment)
        domain = tuple(uri.encode() for uri in policy.domain)
        opaque = nonces.opaque(nonce)
        return b"\r\n".join(
            HttpChallenge(
                realm=self.realm,
                nonce=nonce,
                algorithm=algorithm,
                qop=self.qops,
                opaque=opaque,
                stale=stale,
                domain=domain,
                utf8=True,
                userhash=policy.userhash,
            ).to_bytes()
            for algorithm in self.algorithms
        )


def _realm(given: bytes, credential: DigestCredential) -> bytes:
    """Return the realm: "Unicode string that must be representable in US ASCII" is UTF-16 from a Win32 program."""
    if not given:
        if not credential.realms:
            raise BufferMissing("Digest for HTTP needs a realm: the fourth SECBUFFER_PKG_PARAMS buffer, or auth_data")
        return credential.realms[0].encode()
    try:
        text = given.decode("utf-16-le") if b"\0" in given else given.decode()
    except UnicodeDecodeError:
        raise InvalidParameter("the realm in the fourth SECBUFFER_PKG_PARAMS buffer is no text") from None
    return text.rstrip("\0").encode()


def _usual(authority: AccountLookup | None) -> tuple[Algorithm, ...]:
    """Return what is offered where the policy names nothing: MD5 where H(user:realm:password) is all that is stored."""
    held = secrets_of(authority)
    stored = held is not None and Secret.PASSWORD not in held and Secret.HA1 in held
    return (ALGORITHMS[b"md5"],) if stored else _DEFAULT


def _algorithms(names: tuple[str, ...]) -> tuple[Algorithm, ...]:
    found = tuple(ALGORITHMS.get(name.lower().encode()) for name in names)
    if None in found:
        known = ", ".join(algorithm.name.decode() for algorithm in ALGORITHMS.values())
        raise InvalidParameter(f"the policy names an algorithm that Digest has not; there are {known}")
    return tuple(algorithm for algorithm in found if algorithm is not None)
