"""EXTERNAL (RFC 4422 appendix A): the channel has authenticated the client, by a TLS certificate for one.

The carrier knows whom, and says so with Server(external_identity=...). Where the server has an authority, it must
know that name too; without one, nobody can act as somebody else.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authorization import authorize
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.errors import InvalidToken, LogonDenied
from saslsspi.prep import encode_field
from saslsspi.sasl.mechanism import (
    Binding,
    ClientExchange,
    ClientParameters,
    First,
    Mechanism,
    ServerExchange,
    ServerParameters,
)
from saslsspi.sasl.single_message import SingleMessageClient

__all__ = ["EXTERNAL"]

_MAX_SIZE: Final = 4096


def _client(parameters: ClientParameters) -> ClientExchange:
    message = encode_field(parameters.authzid, "an authorization identity")
    # Whom the server takes the client for, it does not say.
    return SingleMessageClient("EXTERNAL", message, Outcome(authzid=parameters.authzid))


class _ExternalServer(ServerExchange):
    __slots__ = ("_authzid", "_parameters", "outcome")

    def __init__(self, parameters: ServerParameters) -> None:
        self.outcome: Outcome | None = None
        self._parameters = parameters

    def step(self, response: bytes | None) -> bytes | Question | None:
        if response is None:
            return b""  # A.1: "the server is to respond to the request with an empty initial challenge"
        identity = self._parameters.external_identity
        if not identity:
            raise LogonDenied("the channel has authenticated nobody")
        if len(response) > _MAX_SIZE:
            raise InvalidToken(f"an EXTERNAL message of {len(response)} octets, at most {_MAX_SIZE} are taken")
        try:
            self._authzid = response.decode()
        except UnicodeDecodeError:
            raise InvalidToken("the EXTERNAL message is not UTF-8", requirement="RFC4422-EXT-A.1-02") from None
        if "\0" in self._authzid:
            raise InvalidToken("an authorization identity holds no NUL", requirement="RFC4422-3.4.1-01")
        if self._parameters.environment.authority is not None:
            return Question(identity, "", (Secret.EXISTENCE,))
        self._accept(identity, None)
        return None

    def resume(self, account: Account | None) -> None:
        identity = self._parameters.external_identity
        if account is None or not identity:
            raise LogonDenied("whom the channel has authenticated has no account here")
        self._accept(identity, account)

    def _accept(self, identity: str, account: Account | None) -> None:
        authorize(self._parameters.environment.authority, account, identity, self._authzid)
        self.outcome = Outcome(username=identity, authzid=self._authzid, account=account)


EXTERNAL: Final = Mechanism(
    name="EXTERNAL",
    first=First.CLIENT,
    properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS | Property.NO_DICTIONARY,
    client=_client,
    server=_ExternalServer,
    binding=Binding.NONE,
    credentials=(None,),
    secrets=(Secret.EXISTENCE,),
)
