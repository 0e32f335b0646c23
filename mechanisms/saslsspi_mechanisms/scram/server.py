"""The server's side of SCRAM (RFC 5802 section 5).

It verifies with stored keys, and with a password only where the authority has nothing better. Up to the proof an
unknown user sees what a known one sees: a salt, a count, and the same work behind them.
"""

from __future__ import annotations

import enum
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret, scram_secret
from saslsspi.accounts.authorization import authorize
from saslsspi.crypto.scram import proof_holds, server_signature
from saslsspi.engine.exchange import Outcome
from saslsspi.errors import (
    BadBindings,
    ContextMisuse,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
)
from saslsspi.prep import prepare
from saslsspi.sasl.gs2 import FlagProblem, Gs2Header, flag_problem, usable_bindings
from saslsspi.sasl.mechanism import ServerExchange, ServerParameters
from saslsspi_mechanisms.scram.failures import ServerError
from saslsspi_mechanisms.scram.messages import ClientFinal, ClientFirst, ServerFinal, ServerFirst
from saslsspi_mechanisms.scram.variant import Variant

__all__ = ["ScramServer"]

_NONCE_SIZE: Final = 18  # octets of randomness
_MAY_NOT: Final = ServerError.OTHER.message
_FLAG_PROBLEMS: Final = {
    FlagProblem.NOT_PLUS: (ServerError.BINDING_NOT_SUPPORTED, "RFC5802-6-11"),
    FlagProblem.UNKNOWN_TYPE: (ServerError.BINDING_TYPE_NOT_SUPPORTED, "RFC5802-6-09"),
    FlagProblem.LIST_SHORTENED: (ServerError.SERVER_DOES_BIND, "RFC5802-6-08"),
    FlagProblem.NOT_BOUND: (ServerError.SERVER_DOES_BIND, "RFC5802-6-11"),
}


class _Due(enum.IntEnum):
    """What is due next."""

    CLIENT_FIRST = enum.auto()
    ACCOUNT = enum.auto()
    CLIENT_FINAL = enum.auto()
    NOTHING_MORE = enum.auto()


class ScramServer(ServerExchange):
    """One server's exchange."""

    __slots__ = ("_account", "_bare", "_bindings", "_challenge", "_decoys", "_due", "_first", "_gs2", "_parameters",
                 "_reply", "_shown", "_username", "_variant", "outcome")  # fmt: skip

    def __init__(self, variant: Variant, parameters: ServerParameters) -> None:
        self._variant = variant
        self._parameters = parameters
        given = (parameters.bindings, *parameters.alternate_bindings)
        self._bindings = usable_bindings(given, parameters.environment.policy.channel_binding)
        self._due = _Due.CLIENT_FIRST
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | Question | None:
        """Take the client's message; see ServerExchange.step."""
        return _STEPS[self._due](self, response)

    def _begin(self, response: bytes | None) -> bytes | Question:
        if response is None:
            return b""
        self._first = first = ClientFirst.from_bytes(response)
        # "Whether or not the server prepares the username using "SASLprep", it MUST use it as received in hash
        # calculations", so the octets are kept.
        self._gs2 = first.header.to_bytes()
        self._bare = response[len(self._gs2) :]
        self._check_header(first.header)
        try:
            self._username = prepare(first.username, self._parameters.environment.policy.username_preparation)
        except InvalidParameter as error:
            raise _refusal(ServerError.INVALID_USERNAME, f"the user name: {error.text}", "RFC5802-5.1-07") from None
        if not self._username:
            raise _refusal(ServerError.INVALID_USERNAME, "nothing is left of the user name", "RFC5802-5.1-07")
        self._due = _Due.ACCOUNT
        secrets = (scram_secret(self._variant.hash_name), Secret.PASSWORD)
        return Question(self._username, self._parameters.realm, secrets)

    def _check_header(self, header: Gs2Header) -> None:
        """Check what the client thinks of channel bindings against the mechanism and the channel (section 6)."""
        policy = self._parameters.environment.policy.channel_binding
        problem = flag_problem(header, plus=self._variant.plus, types=self._bindings, policy=policy)
        if problem is FlagProblem.NOT_BOUND and not self._variant.plus:
            raise problem.error(header, "RFC5802-6-03", ServerError.SERVER_DOES_BIND.message)
        if problem is not None:
            said, requirement = _FLAG_PROBLEMS[problem]
            raise problem.error(header, requirement, said.message)

    def resume(self, account: Account | None) -> bytes:
        """Answer with the salt of the user, or with one that nobody has; see ServerExchange.resume."""
        if self._due is not _Due.ACCOUNT:
            raise ContextMisuse("no account was asked for")
        environment = self._parameters.environment
        policy = environment.policy
        self._account = account
        self._decoys = environment.decoys()
        self._shown = self._decoys.show(
            account,
            self._username,
            self._variant.hash_name,
            range(policy.min_iterations, policy.max_iterations + 1),
        )
        nonce = b2a_base64(environment.random(_NONCE_SIZE), newline=False).decode()
        self._challenge = ServerFirst(
            nonce=self._first.nonce + nonce,
            salt=self._shown.salt,
            iterations=self._shown.iterations,
        )
        self._reply = self._challenge.to_bytes()
        self._due = _Due.CLIENT_FINAL
        return self._reply

    def _verify(self, response: bytes | None) -> bytes:
        received = response or b""
        final = ClientFinal.from_bytes(received)
        header = self._first.header
        expected = self._gs2 + self._bindings.get(header.binding_type, b"")
        if not compare_digest(final.binding, expected):
            raise BadBindings(
                "the client's GS2 header or channel bindings are not those of this channel",
                token=ServerError.BINDINGS_DO_NOT_MATCH.message,
                requirement="RFC5802-6-10",
            )
        # "The server MUST verify that the nonce sent by the client in the second message is the same as the one sent
        # by the server in its first message."
        if not compare_digest(final.nonce, self._challenge.nonce):
            raise _refusal(ServerError.OTHER, "the nonce is not the one we sent", "RFC5802-5.1-16")
        hash_name = self._variant.hash_name
        auth_message = b",".join((self._bare, self._reply, received[: received.rindex(b",p=")]))
        keys = self._decoys.verified(
            self._shown,
            self._account,
            self._username,
            hash_name,
            lambda stored_key: proof_holds(hash_name, stored_key, auth_message, final.proof),
            self._parameters.environment.policy.password_preparation,
        )
        if keys is None or self._account is None:
            raise LogonDenied(
                "the user is unknown or the password is wrong",
                token=ServerError.INVALID_PROOF.message,
                requirement="RFC5802-5.1-23",
            )
        authorize(
            self._parameters.environment.authority,
            self._account,
            self._username,
            header.authzid,
            realm=self._parameters.realm or self._account.realm,
            token=_MAY_NOT,
        )
        self._due = _Due.NOTHING_MORE
        self.outcome = Outcome(
            username=self._username,
            authzid=header.authzid,
            channel_binding=header.binding_type,
            account=self._account,
        )
        return ServerFinal(server_signature(hash_name, keys.server_key, auth_message)).to_bytes()

    def _out_of_turn(self, response: bytes | None) -> bytes:
        raise ContextMisuse("the authority's answer is due, not a message")

    def _refuse(self, response: bytes | None) -> bytes:
        raise InvalidToken("the client goes on after its last message")


def _refusal(error: ServerError, text: str, requirement: str) -> InvalidToken:
    return InvalidToken(text, token=error.message, requirement=requirement)


_STEPS: Final[Mapping[_Due, Callable[[ScramServer, bytes | None], bytes | Question | None]]] = {
    _Due.CLIENT_FIRST: ScramServer._begin,
    _Due.ACCOUNT: ScramServer._out_of_turn,
    _Due.CLIENT_FINAL: ScramServer._verify,
    _Due.NOTHING_MORE: ScramServer._refuse,
}
