"""The audit log `saslsspi.audit`: who logged on here or was refused, how, as whom, from where, and why not.

Servers write one record for each attempt, whatever the mechanism or package: INFO for a logon, WARNING for a refusal. A
record's text is one line, with what peers said escaped; LogRecord.audit is the same as an AuditRecord. What holds an
exchange that nobody else holds has an Attempt: Server, Context, SSPI's functions, HTTP's acceptor. A context inside
another one has none, so that a logon with NTLM in Negotiate in CredSSP is one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from saslsspi.accounts.account import Question
from saslsspi.engine.exchange import Outcome
from saslsspi.errors import SaslError

__all__ = ["Attempt", "AuditRecord", "audited_from", "part_of_another", "proof_refused", "refusals"]

_AUDIT: Final = logging.getLogger("saslsspi.audit")
_AUDIT.addHandler(logging.NullHandler())
_PEER: Final[ContextVar[str]] = ContextVar("saslsspi_peer", default="")
_REFUSALS: Final[ContextVar[list[AuditRecord] | None]] = ContextVar("saslsspi_refusals", default=None)
_OUTER: Final[ContextVar[int]] = ContextVar("saslsspi_outer_attempts", default=0)


class AuditRecord(NamedTuple):
    """What happened to one attempt to log on; no secret is in it.

    Attributes:
        accepted: Whether somebody is logged on now.
        how: Name of the SASL mechanism, or of the package of a context without one.
        username: Who was authenticated, "" for nobody (an anonymous logon); of a refusal, who the client said it is, ""
            where it said nothing yet.
        realm: Its realm or domain; of a refusal, the one that the client named.
        authzid: As whom it acts, "" as itself.
        negotiated: The package that Negotiate chose, "" where nothing was negotiated.
        peer: From where, as the carrier says: see audited_from; "" where it does not know.
        reason: Why not: the status and the text of the error; "" for a logon.
        channel_binding: Type of the bindings that were verified, "" without.
        resumed: Whether an earlier logon was taken up again (subsequent authentication of Digest).
        tolerances: Names of the tolerances that the client made necessary.
        seconds: How long it took, from the attempt's first message to its end; what the client and the authority needed
            is in it.
    """

    accepted: bool
    how: str
    username: str = ""
    realm: str = ""
    authzid: str = ""
    negotiated: str = ""
    peer: str = ""
    reason: str = ""
    channel_binding: str = ""
    resumed: bool = False
    tolerances: tuple[str, ...] = ()
    seconds: float = 0.0

    def text(self) -> str:
        """Return the record as one line; what came from peers is escaped."""
        who = _shown(f"{self.username}@{self.realm}" if self.realm else self.username) if self.username else "somebody"
        if self.accepted and not self.username:
            who = "nobody"
        words = [f"{who} {'logged on' if self.accepted else 'was refused'} with {self.how}"]
        if self.negotiated:
            words.append(f"({self.negotiated})")
        if self.authzid:
            words.append(f"as {_shown(self.authzid)}")
        if self.peer:
            words.append(f"from {_shown(self.peer)}")
        if self.resumed:
            words.append("again")
        if self.tolerances:
            words.append(f"tolerating {', '.join(self.tolerances)}")
        return " ".join(words) + (f": {_shown(self.reason, quotes=False)}" if self.reason else "")


class Attempt:
    """One attempt to log on, which leaves one record.

    Args:
        how: Name of the mechanism or package.
        deferred: Whether the engine leaves it to the holder to say that the logon is accepted, since there is more to
            check: the policy, the layer, whom the client wants to act as.
        clock: The environment's, in seconds; None where the attempt is over at once.

    Attributes:
        began: When it was made; a holder that waits for the first message afterwards says when that came.
    """

    __slots__ = ("_claimed", "_clock", "_over", "began", "deferred", "how")

    def __init__(self, how: str, *, deferred: bool = False, clock: Callable[[], float] | None = None) -> None:
        self.how = how
        self.deferred = deferred
        self._clock = clock
        self.began = 0.0 if clock is None else clock()
        self._claimed: tuple[str, str] | None = None
        self._over = False

    def again(self) -> Attempt:
        """Return another one of the same kind."""
        return Attempt(self.how, deferred=self.deferred, clock=self._clock)

    def _seconds(self) -> float:
        """Return how long it took; a clock that was set back meanwhile says 0."""
        return 0.0 if self._clock is None else max(0.0, self._clock() - self.began)

    def asked(self, question: Question) -> None:
        """Keep who the client says it is, as it said it first."""
        if self._claimed is None:
            self._claimed = question.username, question.realm

    def accepted(self, outcome: Outcome) -> None:
        """Record a logon."""
        if self._over:
            return
        self._over = True
        if _AUDIT.isEnabledFor(logging.INFO):
            _write(
                AuditRecord(
                    accepted=True,
                    how=self.how,
                    username=outcome.username,
                    realm=outcome.realm,
                    authzid=outcome.authzid,
                    negotiated=outcome.negotiated,
                    peer=_PEER.get(),
                    channel_binding=outcome.channel_binding,
                    resumed=outcome.reauthenticated,
                    tolerances=outcome.tolerances,
                    seconds=self._seconds(),
                )
            )

    def refused(self, error: Exception, outcome: Outcome | None = None) -> None:
        """Record a refusal.

        Args:
            error: Why.
            outcome: What the exchange had ended in, where it is refused for that.
        """
        if self._over:
            return
        self._over = True
        # A foreign error's text may hold anything, so it is named by its class.
        reason = str(error) if isinstance(error, SaslError) else type(error).__name__
        username, realm = self._claimed or ("", "")
        if outcome is not None:
            username, realm = outcome.username, outcome.realm
        _write(
            AuditRecord(
                accepted=False, how=self.how, username=username, realm=realm, peer=_PEER.get(), reason=reason,
                authzid="" if outcome is None else outcome.authzid, seconds=self._seconds(),
            )
        )  # fmt: skip


def proof_refused(how: str, username: str, realm: str, reason: str) -> None:
    """Record that a proof was refused in an exchange that goes on, with a new challenge.

    RFC 2831 section 2.2.2: "it should be configurable to log an authentication failure in some sort of security audit
    log".
    """
    _write(AuditRecord(accepted=False, how=how, username=username, realm=realm, peer=_PEER.get(), reason=reason))


@contextmanager
def audited_from(peer: str) -> Iterator[None]:
    """Say where the client is, for the records of what runs below: an address, say, as the carrier writes it.

    It holds for the running task or thread, and for those that copy its context.
    """
    token = _PEER.set(peer)
    try:
        yield
    finally:
        _PEER.reset(token)


@contextmanager
def refusals() -> Iterator[list[AuditRecord]]:
    """Collect the refusals of what runs below, for a server that holds answers back for them."""
    found: list[AuditRecord] = []
    token = _REFUSALS.set(found)
    try:
        yield found
    finally:
        _REFUSALS.reset(token)


@contextmanager
def part_of_another() -> Iterator[None]:
    """Leave no records of what runs below: it is a part of another attempt, whose holder leaves one."""
    token = _OUTER.set(_OUTER.get() + 1)
    try:
        yield
    finally:
        _OUTER.reset(token)


def _write(record: AuditRecord) -> None:
    if _OUTER.get():
        return
    found = _REFUSALS.get()
    if found is not None and not record.accepted:
        found.append(record)
    level = logging.INFO if record.accepted else logging.WARNING
    if _AUDIT.isEnabledFor(level):
        _AUDIT.log(level, "%s", record.text(), extra={"audit": record})


def _shown(text: str, *, quotes: bool = True) -> str:
    """Return text without what moves a cursor or begins a line."""
    shown = repr(text)
    return shown if quotes else shown[1:-1].replace("\\'", "'")
