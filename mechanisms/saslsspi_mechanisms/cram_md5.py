"""CRAM-MD5 (RFC 2195): a challenge, and an HMAC-MD5 of it under the password.

It proves no server, whoever listens can try passwords at home, and the server must keep the password itself; so it is
off until a policy names it: Policy(weak_mechanisms=("CRAM-MD5",)). Anything with SCRAM in its name is better.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.credentials import Password
from saslsspi.crypto.md5 import HmacMd5
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.errors import IncompleteCredentials, InvalidParameter, InvalidToken, LogonDenied
from saslsspi.host_names import in_a_labels
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

__all__ = ["CRAM_MD5"]

_MAX_SIZE: Final = 4096
_NONCE_SIZE: Final = 8  # octets of randomness
_DIGEST: Final = re.compile(rb"[0-9a-f]{32}\Z")  # section 2: "in hexadecimal format, using lower-case ASCII characters"


def _digest(password: bytes, challenge: bytes) -> bytes:
    return HmacMd5(password).digest(challenge).hex().encode()


class _CramClient(ClientExchange):
    __slots__ = ("_credentials", "_password", "_username", "outcome")

    def __init__(self, parameters: ClientParameters) -> None:
        credentials = parameters.credentials
        assert isinstance(credentials, Password), "the description says so"
        if not credentials.username or not credentials.password:
            raise IncompleteCredentials("CRAM-MD5 needs a user name and a password")
        if parameters.authzid:
            raise InvalidParameter("CRAM-MD5 has no place for an authorization identity; leave authzid out")
        self._username = encode_field(credentials.username, "a user name")
        self._password = encode_field(credentials.password, "a password")
        self._credentials = credentials
        self.outcome: Outcome | None = None

    def step(self, challenge: bytes | None) -> bytes | None:
        if challenge is None and self.outcome is None:
            return None  # the server speaks first
        if not challenge or self.outcome is not None:
            raise InvalidToken("CRAM-MD5 has one challenge, which is not empty")
        if len(challenge) > _MAX_SIZE:
            raise InvalidToken(f"a challenge of {len(challenge)} octets, at most {_MAX_SIZE} are taken")
        self.outcome = Outcome(username=self._credentials.username)
        return self._username + b" " + _digest(self._password, challenge)


class _CramServer(ServerExchange):
    __slots__ = ("_challenge", "_digest", "_parameters", "_username", "outcome")

    def __init__(self, parameters: ServerParameters) -> None:
        self._parameters = parameters
        self._challenge = b""
        self._digest = b""
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | Question:
        if not self._challenge:
            if response is not None:
                raise InvalidToken("the server speaks first in CRAM-MD5")
            return self._begin()
        if self._digest:
            raise InvalidToken("the client goes on after its last message")
        name, _, self._digest = (response or b"").rpartition(b" ")
        if len(name) > _MAX_SIZE or not name or not _DIGEST.match(self._digest):
            raise InvalidToken("the response is no name, blank and digest", requirement="RFC2195-2-04")
        try:
            self._username = name.decode()
        except UnicodeDecodeError:
            raise InvalidToken("the user name is not UTF-8") from None
        return Question(self._username, self._parameters.realm, (Secret.PASSWORD,))

    def _begin(self) -> bytes:
        """Make a challenge: "random digits, a timestamp, and the fully-qualified primary host name of the server"."""
        environment, hosts = self._parameters.environment, self._parameters.hosts
        digits = int.from_bytes(environment.random(_NONCE_SIZE))
        host = in_a_labels(hosts[0].split("/")[0]) if hosts and hosts[0] else "localhost"
        self._challenge = f"<{digits:020}.{int(environment.clock())}@{host}>".encode()
        return self._challenge

    def resume(self, account: Account | None) -> None:
        password = account.password if account is not None else None
        # A user who is unknown costs what a known one does, and so does one without a password.
        expected = _digest((password or "\0").encode("utf-8", "surrogatepass"), self._challenge)
        right = compare_digest(expected, self._digest)
        if not right or account is None or not password:
            raise LogonDenied("the user is unknown or the password is wrong", requirement="RFC2195-2-05")
        self.outcome = Outcome(username=self._username, account=account)


CRAM_MD5: Final = Mechanism(
    name="CRAM-MD5",
    first=First.SERVER,
    properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
    client=_CramClient,
    server=_CramServer,
    binding=Binding.NONE,
    credentials=(Password,),
    secrets=(Secret.PASSWORD,),
    weak="it proves no server, and rests on MD5 and on passwords that the server keeps as they are",
)
