"""LOGIN (draft-murchison-sasl-login): PLAIN in two messages, each behind a prompt, for programs that have no other.

It is obsolete and off until a policy names it: Policy(weak_mechanisms=("LOGIN",)). As PLAIN it shows the password to
the server, so it is begun under an encrypted channel only, or where the policy says that it may go in clear.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.credentials import Password
from saslsspi.engine.exchange import Outcome
from saslsspi.errors import IncompleteCredentials, InvalidParameter, InvalidToken
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
from saslsspi_mechanisms.plain import PLAIN

__all__ = ["LOGIN"]

# Section 2.2: "There is at least one widely deployed client which requires" these.
_PROMPTS: Final = (b"Username:", b"Password:")


class _LoginClient(ClientExchange):
    __slots__ = ("_due", "_outcome", "outcome")

    def __init__(self, parameters: ClientParameters) -> None:
        credentials = parameters.credentials
        assert isinstance(credentials, Password), "the description says so"
        if not credentials.username or not credentials.password:
            raise IncompleteCredentials("LOGIN needs a user name and a password")
        if parameters.authzid:
            raise InvalidParameter("LOGIN has no place for an authorization identity; leave authzid out")
        self._due = [
            encode_field(credentials.password, "a password"),
            encode_field(credentials.username, "a user name"),
        ]
        self._outcome = Outcome(username=credentials.username)
        self.outcome: Outcome | None = None

    def step(self, challenge: bytes | None) -> bytes | None:
        if challenge is None and self._due and self.outcome is None:
            return None  # the server speaks first
        if not self._due:
            raise InvalidToken("LOGIN has two prompts, and the server sends a third")
        answer = self._due.pop()  # section 2.1: "The contents of both challenges SHOULD be ignored."
        if not self._due:
            self.outcome = self._outcome
        return answer


class _LoginServer(ServerExchange):
    __slots__ = ("_plain", "_said", "outcome")

    def __init__(self, parameters: ServerParameters) -> None:
        assert PLAIN.server is not None
        self._plain = PLAIN.server(parameters)
        self._said: list[bytes] = []
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | Question | None:
        if response is not None:
            self._said.append(response)
        if len(self._said) < len(_PROMPTS):
            return _PROMPTS[len(self._said)]
        if len(self._said) > len(_PROMPTS):
            raise InvalidToken("the client goes on after its password")
        return self._plain.step(b"\0".join((b"", *self._said)))

    def resume(self, account: Account | None) -> bytes | Question | None:
        reply = self._plain.resume(account)
        self.outcome = self._plain.outcome
        return reply


LOGIN: Final = Mechanism(
    name="LOGIN",
    first=First.SERVER,
    takes_early=True,  # the name, as many clients send it with the command
    properties=PLAIN.properties,
    client=_LoginClient,
    server=_LoginServer,
    binding=Binding.NONE,
    credentials=(Password,),
    secrets=PLAIN.secrets,
    weak="it is obsolete, and PLAIN gives the same",
)
