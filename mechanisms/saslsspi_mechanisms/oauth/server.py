"""The server's side: the authority is asked about the token, and a refusal is told in JSON before it is one."""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.accounts.authorization import authorize
from saslsspi.accounts.tokens import Discovery
from saslsspi.engine.exchange import Outcome
from saslsspi.errors import InvalidToken, NoImpersonation, SaslError, TokenRefused, WrongPrincipal
from saslsspi.host_names import in_a_labels
from saslsspi.sasl.mechanism import ServerExchange, ServerParameters
from saslsspi_mechanisms.oauth.dialect import EXPIRED, INSUFFICIENT, Dialect
from saslsspi_mechanisms.oauth.messages import ErrorResult

__all__ = ["OAuthServer"]

_UNKNOWN: Final = "the token is unknown here, has expired, or is not for this server"


class OAuthServer(ServerExchange):
    """One server's exchange."""

    __slots__ = ("_asked", "_dialect", "_parameters", "_token", "failure", "outcome")

    def __init__(self, dialect: Dialect, parameters: ServerParameters) -> None:
        self._dialect = dialect
        self._parameters = parameters
        self._token = ""
        self.outcome: Outcome | None = None
        self.failure: SaslError | None = None

    def step(self, response: bytes | None) -> bytes | Question:
        """Take the client's message, or what it answers an error with; see ServerExchange.step."""
        if self.failure is not None:
            raise self.failure  # section 3.2.3: whatever it is, "to allow the server to finish the exchange"
        if self._token:
            raise InvalidToken("the client goes on after its last message")
        if response is None:
            return b""
        message = self._dialect.message.from_bytes(response)
        self._asked, self._token = message.authzid, message.token
        if not self._token:
            # Section 4.3: "which is how a client can query for the needed scope"
            return self._refuse(TokenRefused("the client has sent no token", requirement="RFC7628-3.1-05"), EXPIRED)
        self._check_host(message.host)
        return Question(self._asked, self._parameters.realm, (Secret.TOKEN,), token=self._token)

    def _check_host(self, named: str) -> None:
        """Check by which name the client knows us.

        Section 3.2: "values included as kvpairs in the client response (such as host and port) that correspond to
        values known to the application server ... MUST be validated to match".
        """
        ours = {in_a_labels(name.split("/")[0]).lower() for name in self._parameters.hosts if name}
        if named and ours and named.lower() not in ours:
            raise WrongPrincipal("the client means another host", requirement="RFC7628-3.2-02")

    def resume(self, account: Account | None) -> bytes | None:
        """Take what the authority says of the token; see ServerExchange.resume."""
        verified = account.secret(Secret.TOKEN) if account is not None else None
        right = isinstance(verified, str) and compare_digest(verified.encode(), self._token.encode())
        if account is None or not right:
            return self._refuse(TokenRefused(_UNKNOWN, requirement="RFC7628-3.2-01"), EXPIRED)
        realm = self._parameters.realm or account.realm
        asked = "" if self._asked == account.username else self._asked
        try:
            authorize(self._parameters.environment.authority, account, account.username, asked, realm=realm)
        except NoImpersonation as error:
            return self._refuse(error, INSUFFICIENT)
        self.outcome = Outcome(username=account.username, authzid=asked, account=account)
        return None

    def _refuse(self, failure: SaslError, status: str) -> bytes:
        """Return the error for the client; the next message ends in it.

        Section 3.2.3: SASL "explicitly prohibits additional information in an unsuccessful authentication outcome.
        Therefore, the error message is sent in a normal message."
        """
        self.failure = failure
        told = Discovery.of(self._parameters.environment.authority)
        return ErrorResult(
            self._dialect.statuses.get(status, status),
            told.scope,
            told.openid_configuration,
            self._dialect.schemes,
        ).to_bytes()
