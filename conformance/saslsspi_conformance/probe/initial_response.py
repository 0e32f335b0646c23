"""Whether a mail server takes the initial response that it invites (RFC 4959, RFC 4954 section 4, RFC 5034 section 4).

NTLM's first message names nobody, so it may be sent to any server. SCRAM's names a user: a server that looks it up at
once notes a failed logon, so SCRAM is for those who ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from saslsspi.packages.ntlm.messages import Negotiate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi_conformance.outcome import Reaction
from saslsspi_conformance.probe.findings import Finding, Severity
from saslsspi_conformance.targets.mail import MailConversation

__all__ = ["Trial", "judge_initial_response", "trial_for"]

_NONCE: Final = b"saslsspiprobe0123456789"
_NTLM_FLAGS: Final = NtlmFlag.UNICODE | NtlmFlag.REQUEST_TARGET | NtlmFlag.NTLM | NtlmFlag.EXTENDED_SESSIONSECURITY


class Trial(NamedTuple):
    """An exchange to begin.

    Attributes:
        first: The client's first message.
        continues: How the server's message begins that takes it up.
    """

    mechanism: str
    first: bytes
    continues: bytes


def trial_for(offered: Sequence[str], *, may_name_user: bool) -> Trial | None:
    """Return what to try a server out with, or None."""
    if "NTLM" in offered:
        return Trial("NTLM", Negotiate(int(_NTLM_FLAGS)).to_bytes(), b"NTLMSSP\0\2")
    scram = next((name for name in offered if name.startswith("SCRAM-") and not name.endswith("-PLUS")), None)
    if scram is None or not may_name_user:
        return None
    return Trial(scram, b"n,,n=probe,r=" + _NONCE, b"r=" + _NONCE)


def judge_initial_response(conversation: MailConversation, trial: Trial) -> Finding:
    """Begin the exchange, and judge what comes back; the conversation is of no further use."""
    answer = conversation.begin(trial.mechanism, trial.first)
    name = trial.mechanism
    if answer.outcome is Reaction.CHALLENGE and answer.data and answer.data.startswith(trial.continues):
        return Finding(Severity.GOOD, "initial-response", f"an initial response is taken: {name} went on at once")
    if answer.outcome is Reaction.CHALLENGE and not answer.data:
        text = f"an initial response is invited and ignored: {name} begins anew"
        return Finding(Severity.WARN, "initial-response-ignored", text)
    # A server may refuse a user whom it does not know, so this says nothing of initial responses.
    return Finding(
        Severity.INFO, "initial-response-unknown", f"{name} did not tell whether an initial response is taken"
    )
