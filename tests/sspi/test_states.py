"""The tables of states are those of docs/architecture.md, pair by pair; what is not in a table is misuse."""

import enum
import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from saslsspi.engine.context import TRANSITIONS, State, next_state
from saslsspi.engine.exchange import Event
from saslsspi.errors import ContextMisuse
from saslsspi.sasl.session import SESSION_TRANSITIONS, SessionEvent, SessionState

DOCUMENT = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")


def documented(heading: str) -> dict[tuple[str, str], str]:
    """Return state and event to next state, as the table under a heading has it."""
    lines = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    events = rows[0][1:]
    return {
        (row[0], event): after
        for row in rows[2:]
        for event, after in zip(events, row[1:], strict=True)
        if len(after) > 1
    }


def names(table: Mapping[enum.Enum, Mapping[enum.Enum, enum.Enum]]) -> dict[tuple[str, str], str]:
    return {(state.name, event.name): after.name for state, row in table.items() for event, after in row.items()}


def test_the_states_of_a_context_are_those_of_the_document() -> None:
    expected = documented("The states of a context")
    for (state, event), after in list(expected.items()):
        if event == "ASK_COMPLETION":
            expected[state, "ASK_COMPLETION_AND_CONTINUE"] = after
    for state in State:
        if state is not State.DELETED:
            expected[state.name, "DELETE"] = "DELETED"
            if state is not State.FAILED:
                expected[state.name, "REJECT"] = "FAILED"
    assert names(TRANSITIONS) == expected  # type: ignore[arg-type]  # an enum is one


def test_the_states_of_a_session_are_those_of_the_document() -> None:
    expected = documented("The states of a SASL session")
    expected |= {(state.name, "END"): "ENDED" for state in SessionState}
    assert names(SESSION_TRANSITIONS) == expected  # type: ignore[arg-type]  # an enum is one


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_leads_somewhere_or_is_misuse(state: State, event: Event) -> None:
    if event in TRANSITIONS[state]:
        assert next_state(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(ContextMisuse):
            next_state(state, event)


def test_every_state_is_in_its_table() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(SESSION_TRANSITIONS) == set(SessionState)
    assert {event for row in SESSION_TRANSITIONS.values() for event in row} == set(SessionEvent)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)


def test_who_waits_for_an_answer_takes_no_token() -> None:
    for state in (State.ANSWERING, State.REANSWERING):
        assert set(TRANSITIONS[state]) == {Event.ANSWER, Event.REJECT, Event.DELETE}
