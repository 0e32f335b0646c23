"""ANONYMOUS (RFC 4505): nobody logs on, and may leave a trace.

The trace comes from the credentials, Anonymous("..."), and from nowhere else: a user name is never sent in its place.
A server takes the mechanism only where the policy says allow_anonymous, and shows the trace in its outcome, checked
for characters that would spoil a log; it means nothing.
"""

from __future__ import annotations

import re
from typing import Final

from saslsspi.credentials import Anonymous
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.errors import InvalidParameter, InvalidToken, LogonDenied
from saslsspi.prep import trace_prep
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

__all__ = ["ANONYMOUS"]

_NAME: Final = "anonymous"
_MAX_TOKEN: Final = 255  # characters, section 2
_MAX_SIZE: Final = 1020  # octets, section 2: "a token may be as long as 1020 octets"
# What section 2 takes from RFC 2822, without its comments, folding and domain literals.
_EMAIL: Final = re.compile(r"(?:[^\s@\"<>()\[\]\\,;:]+|\"[^\"\\]*\")@[^\s@\"<>()\\,;:]+\Z")


def _check_trace(trace: str) -> None:
    """Raise InvalidParameter unless a trace is empty, an email address or a token."""
    trace_prep(trace)
    if "@" in trace:
        if not _EMAIL.match(trace) or len(trace.encode()) > _MAX_SIZE:
            raise InvalidParameter('a trace with "@" must be an email address', requirement="RFC4505-2-01")
    elif len(trace) > _MAX_TOKEN:
        raise InvalidParameter(
            f"a trace of {len(trace)} characters, at most {_MAX_TOKEN} are allowed", requirement="RFC4505-2-01"
        )


def _client(parameters: ClientParameters) -> ClientExchange:
    credentials = parameters.credentials
    if parameters.authzid:
        raise InvalidParameter("nobody cannot act as somebody: ANONYMOUS carries no authorization identity")
    trace = credentials.trace if isinstance(credentials, Anonymous) else ""
    _check_trace(trace)
    return SingleMessageClient("ANONYMOUS", trace.encode(), Outcome(username=_NAME))


class _AnonymousServer(ServerExchange):
    __slots__ = ("_permitted", "outcome")

    def __init__(self, parameters: ServerParameters) -> None:
        # Section 5: "it should be disabled by default so that the administrator can make an explicit decision"
        self._permitted = parameters.environment.policy.allow_anonymous
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | None:
        if not self._permitted:
            raise LogonDenied("nobody logs on here without a name; Policy(allow_anonymous=True) would permit it")
        if response is None:
            return b""
        if len(response) > _MAX_SIZE:
            raise InvalidToken(f"a trace of {len(response)} octets, at most {_MAX_SIZE} are taken")
        try:
            trace = response.decode()
            _check_trace(trace)
        except UnicodeDecodeError:
            raise InvalidToken("the trace is not UTF-8", requirement="RFC4505-2-01") from None
        except InvalidParameter as error:
            raise InvalidToken(error.text, requirement=error.requirement or "RFC4505-2-04") from None
        self.outcome = Outcome(username=_NAME, trace=trace)
        return None


ANONYMOUS: Final = Mechanism(
    name="ANONYMOUS",
    first=First.CLIENT,
    properties=Property.NO_PLAINTEXT,
    client=_client,
    server=_AnonymousServer,
    binding=Binding.NONE,
    credentials=(Anonymous, None),
)
