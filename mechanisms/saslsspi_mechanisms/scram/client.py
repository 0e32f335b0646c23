"""The client's side of SCRAM (RFC 5802 section 5)."""

from __future__ import annotations

import enum
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final

from saslsspi.credentials import Password
from saslsspi.crypto.scram import client_keys, client_proof, server_signature
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Policy
from saslsspi.errors import (
    DowngradeDetected,
    InvalidParameter,
    InvalidToken,
    MutualAuthFailed,
)
from saslsspi.prep import encode_field, prepare
from saslsspi.sasl.gs2 import client_header
from saslsspi.sasl.mechanism import ClientExchange, ClientParameters
from saslsspi_mechanisms.scram.failures import error_of
from saslsspi_mechanisms.scram.messages import (
    ClientFinal,
    ClientFirst,
    ServerFinal,
    ServerFirst,
)
from saslsspi_mechanisms.scram.variant import Variant

__all__ = ["ScramClient"]

_NONCE_SIZE: Final = 18  # octets of randomness


class _Due(enum.IntEnum):
    """Which message of the server is due."""

    NOTHING_YET = enum.auto()
    SERVER_FIRST = enum.auto()
    SERVER_FINAL = enum.auto()
    NOTHING_MORE = enum.auto()


class ScramClient(ClientExchange):
    """One client's exchange."""

    __slots__ = ("_bare", "_bound", "_credentials", "_due", "_first", "_gs2", "_header", "_parameters", "_password",
                 "_signature", "_username", "_variant", "outcome")  # fmt: skip

    def __init__(self, variant: Variant, parameters: ClientParameters) -> None:
        credentials = parameters.credentials
        assert isinstance(credentials, Password), "the description says so"
        self._credentials = credentials
        encode_field(parameters.authzid, "an authorization identity")
        # Section 5.1 has the name prepared as a query, section 2.2 the password as a stored string.
        policy = parameters.environment.policy
        self._username = _prepared(credentials.username, policy, "username_preparation")
        self._password = encode_field(_prepared(credentials.password, policy, "password_preparation"), "a password")
        encode_field(self._username, "a user name")
        if not self._username or not self._password:
            raise InvalidParameter(
                "nothing is left of the user name or the password once it is prepared; username_preparation or"
                " password_preparation=Preparation.TRIED in the policy sends it as it is",
                requirement="RFC5802-5.1-05",
            )
        self._header, self._bound = client_header(
            f"SCRAM-{variant.hash_name}",
            plus=variant.plus,
            bindings=parameters.bindings,
            policy=policy.channel_binding,
            authzid=parameters.authzid,
            requirement="RFC5802-6-07",
        )
        self._variant = variant
        self._parameters = parameters
        self._due = _Due.NOTHING_YET
        self.outcome: Outcome | None = None

    def step(self, challenge: bytes | None) -> bytes | None:
        """Take the server's message; see ClientExchange.step."""
        return _STEPS[self._due](self, challenge)

    def _begin(self, challenge: bytes | None) -> bytes:
        if challenge:
            raise InvalidToken(f"{self._variant.name} begins with the client's message, not with a challenge")
        nonce = b2a_base64(self._parameters.environment.random(_NONCE_SIZE), newline=False).decode()
        self._first = ClientFirst(self._header, self._username, nonce)
        self._bare = self._first.bare
        self._gs2 = self._header.to_bytes()
        self._due = _Due.SERVER_FIRST
        return self._gs2 + self._bare

    def _prove(self, challenge: bytes | None) -> bytes:
        token = challenge or b""
        if token.startswith(b"e="):
            raise error_of(ServerFinal.from_bytes(token).error, self._header.binding_type)
        server = ServerFirst.from_bytes(token)
        # "The client MUST verify that the initial part of the nonce used in subsequent messages is the same as the
        # nonce it initially specified." What the server adds is the part that a replay cannot have.
        if not server.nonce.startswith(self._first.nonce):
            raise InvalidToken("the server's nonce does not begin with ours", requirement="RFC5802-5.1-14")
        if len(server.nonce) == len(self._first.nonce):
            raise InvalidToken("the server has added nothing to the nonce", requirement="RFC5802-5.1-15")
        self._check_iterations(server.iterations)
        hash_name = self._variant.hash_name
        what = (hash_name, self._password, server.salt, server.iterations)
        keys = self._credentials.derived(what, lambda: client_keys(*what))
        binding = self._gs2 + self._bound
        auth_message = b",".join((self._bare, token, ClientFinal(binding, server.nonce, b"").without_proof))
        self._signature = server_signature(hash_name, keys.server_key, auth_message)
        self._due = _Due.SERVER_FINAL
        proof = client_proof(hash_name, keys, auth_message)
        return ClientFinal(binding, server.nonce, proof).to_bytes()

    def _check_iterations(self, count: int) -> None:
        policy = self._parameters.environment.policy
        if count < policy.min_iterations:
            raise DowngradeDetected(
                f"the server asks for {count} iterations, and at least {policy.min_iterations} are required",
                requirement="RFC5802-5.1-21",
            )
        if count > policy.max_iterations:
            raise InvalidToken(
                f"the server asks for {count} iterations, and at most {policy.max_iterations} are done",
                requirement="RFC5802-5.1-21",
            )

    def _verify(self, challenge: bytes | None) -> None:
        message = ServerFinal.from_bytes(challenge or b"")
        if message.error:
            raise error_of(message.error, self._header.binding_type)
        if not compare_digest(message.signature, self._signature):
            raise MutualAuthFailed("the server's signature is wrong", requirement="RFC5802-5.1-24")
        self._due = _Due.NOTHING_MORE
        self.outcome = Outcome(
            username=self._username, authzid=self._header.authzid, channel_binding=self._header.binding_type
        )

    def _refuse(self, challenge: bytes | None) -> bytes | None:
        raise InvalidToken("the server goes on after its last message")


def _prepared(text: str, policy: Policy, field: str) -> str:
    try:
        return prepare(text, getattr(policy, field), stored=field == "password_preparation")
    except InvalidParameter as error:
        raise InvalidParameter(
            f"{error.text}; {field}=Preparation.TRIED in the policy sends it as it is", requirement="RFC5802-5.1-05"
        ) from None


_STEPS: Final[Mapping[_Due, Callable[[ScramClient, bytes | None], bytes | None]]] = {
    _Due.NOTHING_YET: ScramClient._begin,
    _Due.SERVER_FIRST: ScramClient._prove,
    _Due.SERVER_FINAL: ScramClient._verify,
    _Due.NOTHING_MORE: ScramClient._refuse,
}
