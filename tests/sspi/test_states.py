"""The one transition table of security contexts, walked pair by pair."""

import itertools

import pytest

from saslsspi.engine.context import TRANSITIONS, State, next_state
from saslsspi.engine.exchange import Event
from saslsspi.errors import ContextMisuse

OPEN = {
    Event.CONTINUE: State.NEGOTIATING,
    Event.ASK_COMPLETION: State.COMPLETING,
    Event.ASK_COMPLETION_AND_CONTINUE: State.COMPLETING,
    Event.ASK_CREDENTIALS: State.NEGOTIATING,
    Event.COMPLETE: State.ESTABLISHED,
    Event.REJECT: State.FAILED,
    Event.DELETE: State.DELETED,
}
EXPECTED = {
    State.NEW: OPEN,
    State.NEGOTIATING: OPEN,
    State.COMPLETING: OPEN,
    State.ESTABLISHED: {
        Event.REAUTHENTICATE: State.REAUTHENTICATING,
        Event.REJECT: State.FAILED,
        Event.DELETE: State.DELETED,
    },
    State.REAUTHENTICATING: {**OPEN, Event.CONTINUE: State.REAUTHENTICATING},
    State.FAILED: {Event.DELETE: State.DELETED},
    State.DELETED: {},
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_leads_where_the_table_says_or_is_misuse(state: State, event: Event) -> None:
    if event in EXPECTED[state]:
        assert next_state(state, event) is EXPECTED[state][event]
    else:
        with pytest.raises(ContextMisuse):
            next_state(state, event)


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


def test_a_failed_context_can_only_be_deleted() -> None:
    assert set(TRANSITIONS[State.FAILED]) == {Event.DELETE}


def test_a_deleted_context_stays_deleted() -> None:
    assert not TRANSITIONS[State.DELETED]
