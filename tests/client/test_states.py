"""The words for where an execution is."""

import pytest

from shadows import ExecutionState
from shadows.states import MOVES


@pytest.mark.parametrize("state", ExecutionState)
def test_a_state_is_finished_when_nothing_more_will_happen(state: ExecutionState) -> None:
    """The other three have something to come."""
    assert state.finished is (state.value not in ("scheduled", "queued", "running"))


def test_moves_name_states_that_exist() -> None:
    """And `none`, for what does not exist."""
    words = {state.value for state in ExecutionState} | {"none"}
    for before, after in MOVES.values():
        assert before | after <= words
