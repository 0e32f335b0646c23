"""One logon before the cases: a mistyped password costs the account one failed logon, and not one for each case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saslsspi.credentials import Password
from saslsspi.engine.policy import Policy
from saslsspi.errors import SaslError
from saslsspi.sasl.client import Client
from saslsspi_conformance.case import Case, Plays
from saslsspi_conformance.case_run import DEFAULT, Answer, ServerConversation, ServerTarget, Transcript
from saslsspi_conformance.logons import FailedLogons
from saslsspi_conformance.outcome import CaseError, NotApplicable, Reaction, Spared

__all__ = ["refusal"]

_SCRAM: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-1")
_ABOUT: Final = {"rfc2831": ("DIGEST-MD5",), "scram": _SCRAM, "plain": ("PLAIN",)}
_ANY: Final = ("DIGEST-MD5", *_SCRAM, "PLAIN")
_PASSED_ON: Final = 256  # the tester decides whether passwords travel in clear, as the cases about PLAIN do
_MOST_STEPS: Final = 16


def refusal(server: ServerTarget, cases: Iterable[Case], logons: FailedLogons) -> str:
    """Log on once, by a mechanism that the cases are about; return the server's refusal in words.

    "" is no refusal: the logon succeeded, the server has no mechanism to try, or it broke the exchange off by an
    answer that the cases will judge.
    """
    mechanism = _mechanism(server.mechanisms(), cases)
    if not mechanism:
        return ""
    account = server.account
    client = Client(
        mechanism,
        service=server.service,
        host=server.host,
        credentials=Password(account.user, account.password, realm=account.realm),
        policy=Policy(max_ssf=0),
        external_ssf=_PASSED_ON,
    )
    conversation = server.connect(DEFAULT, Transcript((account.password,), logons=logons))
    try:
        answer = _log_on(client, mechanism, conversation, server)
    except (SaslError, CaseError, NotApplicable, Spared, OSError):
        return ""
    finally:
        conversation.close()
    return f"{mechanism}: {answer.text or 'no reason given'}" if answer.outcome is Reaction.FAILURE else ""


def _mechanism(offered: Iterable[str], cases: Iterable[Case]) -> str:
    there = {name.upper() for name in offered}
    subjects = {case.name.partition(".")[0] for case in cases if case.target is Plays.SERVER}
    wanted = [name for subject, names in _ABOUT.items() if subject in subjects for name in names]
    return next((name for name in (*wanted, *_ANY) if name in there), "") if subjects else ""


def _log_on(client: Client, mechanism: str, conversation: ServerConversation, server: ServerTarget) -> Answer:
    first = client.start()
    held = first if first is not None and not server.initial_response else None
    answer = conversation.begin(mechanism, None if held is not None else first)
    for _ in range(_MOST_STEPS):
        if answer.outcome is not Reaction.CHALLENGE:
            return answer
        response, held = (held, None) if held is not None else (client.step(answer.data or b""), None)
        answer = conversation.respond(response or b"")
    return answer
