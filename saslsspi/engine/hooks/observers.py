"""What the audit log says, for programs: records as JSON lines, and observers that count and measure.

Both stand on the logger `saslsspi.audit`, so they see what every mechanism, package and face leaves there.
"""

from __future__ import annotations

import datetime
import json
import logging
from typing import Final, Protocol

from saslsspi.engine.hooks.audit import AuditRecord

__all__ = ["AuditJsonFormatter", "LogonObserver", "ObserverHandler", "observe_logons"]

_AUDIT: Final = logging.getLogger("saslsspi.audit")


class AuditJsonFormatter(logging.Formatter):
    """Writes a record of the audit log as one line of JSON, in ASCII; docs/logging.md has its fields.

    It serves any handler of logging. A record that is none of the audit log's has its text in `reason` alone.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        audit = getattr(record, "audit", None)
        if not isinstance(audit, AuditRecord):
            audit = AuditRecord(accepted=False, how="", reason=record.getMessage())
        made = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        head = {"time": made.isoformat(timespec="milliseconds"), "version": 1, "process": record.process}
        fields = audit._asdict() | {"seconds": round(audit.seconds, 6)}
        # What a peer made of surrogates is escaped as well: the line is ASCII.
        return json.dumps(head | fields)


class LogonObserver(Protocol):
    """Is told of each logon and each refusal, in the thread where it happens; it should not take long."""

    def logon(self, record: AuditRecord) -> None:
        """Take a record: `accepted`, `how`, `seconds` from the first message on ... Names belong into no metric."""


class ObserverHandler(logging.Handler):
    """A handler of logging that tells an observer. What the observer raises is reported by logging and harms nobody."""

    def __init__(self, observer: LogonObserver) -> None:
        super().__init__(logging.INFO)
        self._observer = observer

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the observer of a record of the audit log."""
        audit = getattr(record, "audit", None)
        if isinstance(audit, AuditRecord):
            try:
                self._observer.logon(audit)
            except Exception:
                self.handleError(record)


def observe_logons(observer: LogonObserver) -> ObserverHandler:
    """Tell an observer of all logons and refusals of this process, and return what removeHandler takes.

    The audit log is switched on for it, if nobody has set its level.
    """
    handler = ObserverHandler(observer)
    if _AUDIT.level == logging.NOTSET:
        _AUDIT.setLevel(logging.INFO)
    _AUDIT.addHandler(handler)
    return handler
