"""Whether a mail server takes the initial response that it invites (RFC 4959, RFC 4954 section 4, RFC 5034 section 4).

The first message of SCRAM tries it out: it has no secret in it, and the server's answer repeats its nonce.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saslsspi_conformance.outcome import Outcome
from saslsspi_conformance.probe.findings import Finding, Level
from saslsspi_conformance.targets.mail import MailConversation

__all__ = ["judge_initial_response", "mechanism_to_try"]

_NONCE: Final = b"saslsspiprobe0123456789"
_FIRST: Final = b"n,,n=probe,r=" + _NONCE


def mechanism_to_try(offered: Sequence[str]) -> str | None:
    """Return a mechanism whose first message may be sent without a logon, or None."""
    return next((name for name in offered if name.startswith("SCRAM-") and not name.endswith("-PLUS")), None)


def judge_initial_response(conversation: MailConversation, mechanism: str) -> Finding:
    """Send one, and judge what comes back; the conversation is of no further use."""
    answer = conversation.begin(mechanism, _FIRST)
    if answer.outcome is Outcome.CHALLENGE and answer.data and answer.data.startswith(b"r=" + _NONCE):
        return Finding(Level.GOOD, "initial-response", f"an initial response is taken: {mechanism} went on at once")
    if answer.outcome is Outcome.CHALLENGE and not answer.data:
        return Finding(
            Level.WARN,
            "initial-response-ignored",
            f"an initial response is invited and ignored: {mechanism} begins anew",
        )
    # A server may refuse a user whom it does not know, so this says nothing of initial responses.
    return Finding(
        Level.INFO, "initial-response-unknown", f"whether an initial response is taken, {mechanism} did not tell"
    )
