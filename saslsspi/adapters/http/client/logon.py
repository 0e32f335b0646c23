"""The requesting side of HTTP authentication, without I/O: from a 401 to the Authorization of the next request.

Digest belongs to a request. NTLM, Negotiate, Kerberos and CredSSP authenticate the connection: the requests of one
logon have to go over the same one (RFC 4559 section 6, MS-NTHT section 1.3).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, NamedTuple

from saslsspi.adapters.http.challenges import Challenge, challenges, octets_of
from saslsspi.adapters.http.client.identity import SCHEMES, HttpIdentity
from saslsspi.adapters.http.client.sessions import DigestSession
from saslsspi.adapters.http.client.spaces import ProtectionSpace, host_of
from saslsspi.adapters.http.client.tokens import TokenLogon
from saslsspi.adapters.http.headers import ORIGIN, PROXY, blob_of, written
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.context import Context
from saslsspi.engine.policy import Tolerances
from saslsspi.errors import ContextExpired, InvalidToken, LogonDenied, MutualAuthFailed, SaslError
from saslsspi.packages.digest.http.client import permitted_algorithms
from saslsspi.packages.digest.http.messages import HttpChallenge, UnknownAlgorithm

__all__ = ["HttpLogon"]

_LOG: Final = logging.getLogger("saslsspi.http")
_DIGEST: Final = "digest"
_CREDSSP: Final = "credssp"
_MOST_TOKENS: Final = 32


class _Read(NamedTuple):
    """A challenge of Digest as it was read, and as it came."""

    challenge: HttpChallenge
    text: bytes


class HttpLogon:
    """The logon of one request, over as many responses as it takes. It belongs to that request alone.

    Call `begin` before the request goes out, `answer` for each 401, and `finish` for the answer that is none.

    Args:
        identity: Who logs on.
        method: The request's.
        url: The request's, absolute.
        target: What stands in the request line: path and query, or the URL at a proxy.
        host: The server's name where it is not that of the URL.
        body: The request's body, where all of it is known; Digest may have to cover it.
        bindings: Of the TLS connection.
        proxy: Whether it is a proxy that asks.

    Attributes:
        bindings: See above; may be set until `answer` is called, as before the first response nobody knows them.
        scheme: What was chosen, in lower case; "" before.
    """

    def __init__(
        self,
        identity: HttpIdentity,
        method: str,
        url: str,
        target: str,
        *,
        host: str = "",
        body: bytes | None = b"",
        bindings: ChannelBindings | None = None,
        proxy: bool = False,
    ) -> None:
        self.fields = PROXY if proxy else ORIGIN
        self.bindings = bindings
        self.scheme = ""
        self._identity = identity
        self._method, self._url, self._target, self._host = method, url, target, host or host_of(url)
        self._body, self._proxy = body, proxy
        self._session: DigestSession | None = None
        self._tokens: TokenLogon | None = None
        self._sent = b""  # of Digest
        self._unasked = False
        self._answers = 0
        self._refused: set[str] = set()
        self._over: object = None

    @property
    def context(self) -> Context | None:
        """The context of the connection, for what protects messages above HTTP; None without, and with Digest."""
        return None if self._tokens is None else self._tokens.context

    @property
    def covers_answer(self) -> bool:
        """Whether `finish` needs the answer's body to verify a proof: under Digest's auth-int alone."""
        return self._session is not None and self._session.covers_bodies

    def begin(self) -> str | None:
        """Return credentials to send unasked, where a Digest session covers the URL, or None."""
        session = None if self._proxy or _DIGEST not in self._identity.schemes else self._identity.known(self._url)
        if session is None:
            return None
        try:
            self._sent = session.go_on(self._method, self._target, self._body)
        except ContextExpired:  # the nonce has been used as often as it can be
            self._identity.forget(session)
            return None
        self._session, self.scheme, self._unasked = session, _DIGEST, True
        return _digest(self._sent)

    def answer(self, offered: Iterable[str], *, over: object = None) -> str | None:
        """Return the credentials for the next request, or None where the server has said its last word.

        Args:
            offered: The values of WWW-Authenticate (Proxy-Authenticate) in a response of 401 (407).
            over: Any object that stands for the connection that it came over, None where nobody knows. A logon whose
                requests went over several connections is begun anew.

        Raises:
            LogonDenied: the server broke CredSSP off; the text says after which step, and what servers mean by it.
            SaslError: the server breaks its protocol, or no scheme can be used.
        """
        listed = challenges(offered)
        self._answers += 1
        if self._answers > _MOST_TOKENS:
            raise InvalidToken(f"the server asks for more than {_MOST_TOKENS} tokens")
        moved = over is not None and self._over is not None and over is not self._over
        self._over = over
        if self._unasked:  # it has forgotten the session, or the nonce
            assert self._session is not None
            self._identity.forget(self._session)
            self._unasked, self._session, self.scheme = False, None, ""
        if self._session is not None:
            return self._once_more(listed)
        if self._tokens is not None:
            return self._continue(self._tokens, listed, moved=moved)
        return self._choose(listed)

    def finish(self, offered: Iterable[str], proof: str | None, body: bytes = b"") -> None:
        """Take what comes with the answer that the logon was for.

        Args:
            offered: The values of WWW-Authenticate in it: a scheme's last token.
            proof: The value of Authentication-Info, None without.
            body: The answer's body as it came, content codings included; counts where `covers_answer`.

        Raises:
            MutualAuthFailed: a server that has to prove who it is did not.
            SaslError: what it proves is wrong.
        """
        if self._session is not None:
            if proof is not None:
                self._session.verify(self._sent, octets_of(proof), body)
            elif self._identity.mutual:
                raise MutualAuthFailed(
                    "the server answered without Authentication-Info", requirement="RFC2617-3.2.3-06"
                )
            if not self._unasked and not self._proxy:
                self._identity.remember(self._session)
        elif self._tokens is not None:
            token = "" if self._tokens.done else _token(challenges(offered), self.scheme)
            if token:
                self._tokens.step(blob_of(token))
            if not self._tokens.done and self._identity.mutual:
                raise MutualAuthFailed(f"the server took {SCHEMES[self.scheme].name} and did not prove who it is")

    def _choose(self, listed: list[Challenge]) -> str | None:
        """Begin with the first of our schemes that is offered and works; why the others do not is told at the end."""
        problems: list[SaslError] = []
        for scheme in self._identity.schemes:
            fitting = [challenge for challenge in listed if challenge.scheme == scheme]
            if not fitting or scheme in self._refused:
                continue
            try:
                credentials = self._digest(fitting) if scheme == _DIGEST else self._begin(scheme)
            except SaslError as error:
                problems.append(error)
            else:
                self.scheme = scheme
                return credentials
        if problems:
            raise problems[0]
        return None

    def _begin(self, scheme: str) -> str:
        who = self._identity
        tokens = TokenLogon(
            scheme, SCHEMES[scheme].package, who.credentials, self._host,
            mutual=who.mutual, bindings=self.bindings, environment=who.environment,
        )  # fmt: skip
        credentials = written(SCHEMES[scheme].name, tokens.step())
        self._tokens = tokens
        return credentials

    def _continue(self, tokens: TokenLogon, listed: list[Challenge], *, moved: bool) -> str | None:
        """Go on with a scheme of tokens, or see what it means that the server does not."""
        token = _token(listed, self.scheme)
        if token and not tokens.done:
            return written(SCHEMES[self.scheme].name, tokens.step(blob_of(token)))
        if moved:
            _LOG.info("the requests of one logon went over several connections; it begins anew")
            return self._begin(self.scheme)
        name, broken_off = SCHEMES[self.scheme].name, tokens.broken_off()
        if not tokens.proved:
            # Nobody's secret was at stake, so this counts as no failed logon, and another scheme may be.
            self._refused.add(self.scheme)
            self._tokens, self.scheme = None, ""
            try:
                credentials = self._choose(listed)
            except SaslError as error:
                _LOG.info("no other scheme can be used: %s", error)
                credentials = None
            if credentials is not None:
                _LOG.info("the server refused %s %s; %s is tried", name, broken_off, SCHEMES[self.scheme].name)
                return credentials
        _LOG.warning("the server refused %s %s", name, broken_off)
        if name == SCHEMES[_CREDSSP].name:
            raise LogonDenied(f"the server broke CredSSP off {broken_off}")
        return None

    def _once_more(self, listed: list[Challenge]) -> str | None:
        """Answer a challenge that is new because the nonce was old."""
        stale = [found for found in _read(listed) if found.challenge.stale]
        return self._answered(stale) if stale and self._answers <= 2 else None

    def _digest(self, fitting: list[Challenge]) -> str:
        return self._answered(_read(fitting, strict=True))

    def _answered(self, found: list[_Read]) -> str:
        """Answer the first challenge that policy and credentials allow an answer to."""
        permitted = permitted_algorithms(self._identity.policy.http_digest)
        problems: list[SaslError] = []
        for challenge, text in found:
            if challenge.algorithm not in permitted:
                continue
            space = ProtectionSpace.read(challenge, self._url, proxy=self._proxy, others=self._identity.origins)
            session = DigestSession(self._identity.digest(), challenge, text, space, self.bindings)
            try:
                self._sent = session.begin(self._method, self._target, self._body)
            except SaslError as error:
                problems.append(error)
            else:
                self._session = session
                return _digest(self._sent)
        raise problems[0] if problems else _unknown()


def _unknown() -> SaslError:
    return UnknownAlgorithm("no challenge has an algorithm that is permitted here", requirement="RFC2617-3.2.1-11")


def _read(listed: list[Challenge], *, strict: bool = False) -> list[_Read]:
    """Read the challenges of Digest, in their order, without those that are of no use.

    "If the algorithm is not understood, the challenge should be ignored" (RFC 7616 section 3.3).

    Raises:
        InvalidToken: strict, and none is of use but one is malformed.
    """
    found: list[_Read] = []
    problem: InvalidToken | None = None
    for challenge in listed:
        if challenge.scheme != _DIGEST:
            continue
        text = octets_of(challenge.text)
        try:
            found.append(_Read(HttpChallenge.from_bytes(text, int(Tolerances.DEFAULT)), text))
        except InvalidToken as error:
            problem = problem or error
    if strict and not found and problem is not None:
        raise problem
    return found


def _token(listed: list[Challenge], scheme: str) -> str:
    return next((found.text for found in listed if found.scheme == scheme and found.text), "")


def _digest(credentials: bytes) -> str:
    return "Digest " + credentials.decode("latin-1")
