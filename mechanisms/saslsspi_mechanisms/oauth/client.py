"""The client's side: one message, and what becomes of the token where the server refuses it."""

from __future__ import annotations

from typing import Final

from saslsspi.credentials import Token
from saslsspi.engine.exchange import Outcome
from saslsspi.errors import IncompleteCredentials, InvalidToken, TokenRefused
from saslsspi.prep import encode_field
from saslsspi.sasl.mechanism import ClientExchange, ClientParameters
from saslsspi_mechanisms.oauth.dialect import Dialect
from saslsspi_mechanisms.oauth.messages import ErrorResult, valid_token

__all__ = ["OAuthClient"]

_SHOWN: Final = 200
# What another token of the same kind does not mend. Google says 400 of a token that has expired.
_NOT_THE_TOKENS_AGE: Final = frozenset({"insufficient_scope", "invalid_request", "403"})


class OAuthClient(ClientExchange):
    """One client's exchange."""

    __slots__ = ("_credentials", "_dialect", "_kept", "_parameters", "_status", "_token", "outcome")

    def __init__(self, dialect: Dialect, parameters: ClientParameters) -> None:
        credentials = parameters.credentials
        assert isinstance(credentials, Token), "the description says so"
        self._credentials = credentials
        self._dialect = dialect
        self._parameters = parameters
        self._token: str | None = None
        self._kept = False
        self._status: str | None = None
        self.outcome: Outcome | None = None
        if dialect.needs_user and not (credentials.username or parameters.authzid):
            raise IncompleteCredentials(f"{dialect.name} needs a user name")
        for name in (credentials.username, parameters.authzid):
            encode_field(name, "a user name")
            if "\1" in name:
                raise IncompleteCredentials(f"a user name of {dialect.name} holds no control characters")

    def step(self, challenge: bytes | None) -> bytes:
        """Return the message; a challenge behind it is why the server refuses. See ClientExchange.step."""
        if self._token is not None:
            self._refused(challenge or b"")
        if challenge:
            raise InvalidToken(f"the server speaks first in {self._dialect.name}, where the client does")
        token, self._kept = self._credentials.current()
        if not valid_token(token):
            raise IncompleteCredentials("the token is empty, or holds what no token holds: a space, a line's end")
        self._token = token
        user = self._parameters.authzid or self._credentials.username
        return self._dialect.message.of(token, user, self._parameters.host).to_bytes()

    def _refused(self, challenge: bytes) -> None:
        """Raise for the server's error, which is answered first (RFC 7628 section 3.2.3)."""
        try:
            result = ErrorResult.from_bytes(challenge)
        except InvalidToken as error:
            error.token = self._dialect.dummy
            raise
        self._status = result.status
        told = [f"status {_shown(result.status)}" if result.status else "no status"]
        if result.scope:
            told.append(f"a token needs the scope {_shown(result.scope)}")
        if result.openid_configuration:
            told.append(f"tokens are had by {_shown(result.openid_configuration)}")
        raise TokenRefused(
            f"the server refuses the token: {', '.join(told)}; {self._advice(result)}",
            token=self._dialect.dummy,
            reason=result.status,
            scope=result.scope,
            openid_configuration=result.openid_configuration,
        )

    def _advice(self, result: ErrorResult) -> str:
        if result.status in _NOT_THE_TOKENS_AGE:
            return "get one with that scope, for this user"
        if self._credentials.renewable:
            return "the function that gives tokens is asked for another one"
        return "get a new one, or give Token a function that does"

    def succeed(self) -> None:
        """Be done; the server has proved nothing, and took the token."""
        if self._token is not None:
            self.outcome = Outcome(username=self._credentials.username, authzid=self._parameters.authzid)

    def fail(self) -> bool:
        """Give up the token; whether another one may succeed. See ClientExchange.fail."""
        if self._token is None or self._status in _NOT_THE_TOKENS_AGE:
            return False
        # Some servers give no reason; then it may be the age of a token that an earlier logon had, never of a new one.
        return (self._status is not None or self._kept) and self._credentials.give_up(self._token)


def _shown(text: str) -> str:
    return ascii(text[:_SHOWN])
