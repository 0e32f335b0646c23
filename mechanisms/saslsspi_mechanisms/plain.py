"""PLAIN (RFC 4616): user name and password in one message, so only where the channel is encrypted.

The floor below sees to that: what lacks Property.NO_PLAINTEXT is begun under an encrypted channel only, or where the
policy says that it may go in clear.
"""

from __future__ import annotations

import hmac
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authorization import authorize
from saslsspi.credentials import Password
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.errors import IncompleteCredentials, InvalidParameter, InvalidToken, LogonDenied
from saslsspi.prep import encode_field, prepare
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

__all__ = ["PLAIN"]

_MAX_SIZE: Final = 16384  # section 2 asks for 255 octets in each of the three fields
_SECRETS: Final = (
    Secret.VERIFIED,
    Secret.SCRAM_SHA_1,
    Secret.SCRAM_SHA_256,
    Secret.SCRAM_SHA_512,
    Secret.PASSWORD,
)


def _client(parameters: ClientParameters) -> ClientExchange:
    credentials = parameters.credentials
    assert isinstance(credentials, Password), "the description says so"
    if not credentials.username or not credentials.password:
        raise IncompleteCredentials("PLAIN needs a user name and a password", requirement="RFC4616-2-05")
    # They go as the user typed them: section 2 has the server prepare what it is presented with.
    message = b"\0".join(
        (
            encode_field(parameters.authzid, "an authorization identity"),
            encode_field(credentials.username, "a user name"),
            encode_field(credentials.password, "a password"),
        )
    )
    outcome = Outcome(username=credentials.username, authzid=parameters.authzid)
    return SingleMessageClient("PLAIN", message, outcome)


class _PlainServer(ServerExchange):
    __slots__ = ("_authzid", "_given", "_parameters", "_password", "_username", "outcome")

    def __init__(self, parameters: ServerParameters) -> None:
        self.outcome: Outcome | None = None
        self._parameters = parameters

    def step(self, response: bytes | None) -> bytes | Question:
        if response is None:
            return b""
        if len(response) > _MAX_SIZE:
            raise InvalidToken(f"a PLAIN message of {len(response)} octets, at most {_MAX_SIZE} are taken")
        try:
            fields = response.decode().split("\0")
        except UnicodeDecodeError:
            raise InvalidToken("the PLAIN message is not UTF-8", requirement="RFC4616-2-11") from None
        if len(fields) != 3:
            raise InvalidToken(
                f"the PLAIN message has {len(fields)} fields between NULs, expected 3", requirement="RFC4616-2-02"
            )
        self._authzid, username, password = fields
        self._given = password
        if not username or not password:
            raise InvalidToken("the PLAIN message lacks a user name or a password", requirement="RFC4616-2-05")
        policy = self._parameters.environment.policy
        try:
            self._username = prepare(username, policy.username_preparation)
            self._password = prepare(password, policy.password_preparation)
        except InvalidParameter as error:
            raise LogonDenied(
                f"the user name or the password cannot be prepared: {error.text}", requirement="RFC4616-2-09"
            ) from None
        # "if preparation fails or results in an empty string, verification SHALL fail"
        if not self._username or not self._password:
            raise LogonDenied("nothing is left of the user name or the password", requirement="RFC4616-2-09")
        # Another directory prepares by its own rules, so it gets the password as it came.
        return Question(self._username, self._parameters.realm, _SECRETS, password=password)

    def resume(self, account: Account | None) -> None:
        parameters = self._parameters
        environment = parameters.environment
        right = environment.decoys().password_holds(
            account, self._username, self._password.encode(), environment.policy.password_preparation
        )
        if account is not None and account.other and _verified(account, self._given):
            # Names that we take for two are often one to another directory: it says who has been verified.
            right, said, self._username = True, self._username, account.username
            self._authzid = "" if self._authzid == said else self._authzid
        if not right or account is None:
            raise LogonDenied("the user is unknown or the password is wrong", requirement="RFC4616-2-06")
        authorize(
            environment.authority,
            account,
            self._username,
            self._authzid,
            realm=parameters.realm or account.realm,
        )
        self.outcome = Outcome(username=self._username, authzid=self._authzid, account=account)


def _verified(account: Account, given: str) -> bool:
    """Whether the authority says that this very password is the user's."""
    found = account.secret(Secret.VERIFIED)
    return isinstance(found, str) and hmac.compare_digest(found.encode(), given.encode())


PLAIN: Final = Mechanism(
    name="PLAIN",
    first=First.CLIENT,
    properties=Property.NO_ANONYMOUS,
    client=_client,
    server=_PlainServer,
    binding=Binding.NONE,
    credentials=(Password,),
    secrets=_SECRETS,
)
