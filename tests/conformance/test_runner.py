"""What a run makes of its cases: verdicts, absent targets, transcripts without secrets."""

from __future__ import annotations

import pytest

from saslsspi_conformance.case import Case, all_cases
from saslsspi_conformance.catalogue import Basis, RequirementLevel
from saslsspi_conformance.outcome import Observation, Plays, Reaction
from saslsspi_conformance.runner.performer import RunOptions
from saslsspi_conformance.runner.plugin import ConformancePlugin
from saslsspi_conformance.runner.results import CaseResult, CaseVerdict, RunReport, exit_status, judge
from saslsspi_conformance.runner.selection import Selection, Targets
from saslsspi_conformance.targets.embedded import itself
from saslsspi_conformance.transcript import Transcript, WireStep


def case(name: str) -> Case:
    return all_cases()[name]


MUST = case("rfc2831.response.username_twice")
SHOULD = case("rfc2831.response.wrong_host")
DERIVED = case("rfc2831.response.without_nc")


def test_the_cases_of_this_file_are_what_they_are_taken_for() -> None:
    assert (MUST.rules[0].level, MUST.rules[0].basis) == (RequirementLevel.MUST, Basis.TEXT)
    assert (SHOULD.rules[0].level, SHOULD.rules[0].basis) == (RequirementLevel.SHOULD, Basis.TEXT)
    assert (DERIVED.rules[0].level, DERIVED.rules[0].basis) == (RequirementLevel.MUST, Basis.DERIVED)


@pytest.mark.parametrize(
    ("broken", "strict", "verdict"),
    [
        (MUST, False, CaseVerdict.FAIL),
        (SHOULD, False, CaseVerdict.WARNING),
        (SHOULD, True, CaseVerdict.FAIL),
        (DERIVED, False, CaseVerdict.WARNING),
        (DERIVED, True, CaseVerdict.WARNING),
    ],
)
def test_what_binds_decides_what_a_failure_is(broken: Case, strict: bool, verdict: CaseVerdict) -> None:
    assert judge(broken, Observation(Reaction.SUCCESS), strict=strict) is verdict
    assert judge(broken, Observation(Reaction.FAILURE), strict=strict) is CaseVerdict.PASS


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([CaseVerdict.PASS, CaseVerdict.WARNING, CaseVerdict.NOT_APPLICABLE, CaseVerdict.KNOWN], 0),
        ([CaseVerdict.PASS, CaseVerdict.FAIL, CaseVerdict.ERROR], 1),
        ([CaseVerdict.PASS, CaseVerdict.UNEXPECTED_PASS], 1),
        ([CaseVerdict.PASS, CaseVerdict.ERROR], 3),
        ([CaseVerdict.NOT_APPLICABLE, CaseVerdict.NOT_RUN], 3),
        ([], 3),
    ],
)
def test_the_exit_status_is_that_of_the_worst(verdicts: list[CaseVerdict], status: int) -> None:
    report = RunReport("it", [CaseResult(MUST, verdict, "") for verdict in verdicts])
    assert exit_status(report) == status
    report.broken_off = "interrupted"
    assert exit_status(report) == (status or 3)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_transcript_masks_the_secret_in_whatever_charset(encoding: str) -> None:
    transcript = Transcript(("grüße",))
    transcript.sent("response", b"\0alice\0" + "grüße".encode(encoding))
    assert transcript.steps == [
        WireStep("tester", "response [" + str(7 + len("grüße".encode(encoding))) + "] \\x00alice\\x00*****")
    ]


def test_a_protocol_that_is_absent_is_a_reason_and_not_silence() -> None:
    targets = Targets(name="none", absent={(Plays.SERVER, "smtp"): "it is an extra"})
    plugin = ConformancePlugin(targets, Selection(), RunOptions(), lambda result: None)
    found = plugin.perform(case("mail.server.smtp_cancel"))
    assert (found.verdict, found.detail) == (CaseVerdict.NOT_APPLICABLE, "it is an extra")
    assert list(plugin.cases("ldap.server")) == []


def test_a_case_that_fails_itself_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(run: object) -> Observation:
        raise ZeroDivisionError("whatever a peer makes of it")

    with itself(()) as targets:
        plugin = ConformancePlugin(targets, Selection(), RunOptions(), lambda result: None)
        broken = Case("x.y", MUST.requirements, Plays.SERVER, MUST.accept, breaks, "Breaks.", False, "", False)
        found = plugin.perform(broken)
    assert found.verdict is CaseVerdict.ERROR
    assert "ZeroDivisionError" in found.detail
