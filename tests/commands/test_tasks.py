"""`shadows tasks`: adding the built-in tasks."""

import pytest

from shadows import ExecutionState
from shadows.sync import Shadow
from tests.commands.commands import output_of, run


@pytest.mark.parametrize(
    ("arguments", "function", "args"),
    [
        (["trace", "system startup completed"], "trace", ("system startup completed",)),
        (["fail", "on purpose"], "fail", ("on purpose",)),
        (["sleep", "1m30s"], "sleep", (90.0,)),
    ],
)
def test_each_is_added_with_its_argument(
    shadow: Shadow, arguments: list[str], function: str, args: tuple[object, ...]
) -> None:
    assert output_of("tasks", *arguments, "--key", "k") == f"Added {function} with key 'k' to {shadow.name}.\n"
    execution = shadow.get_execution("k")
    assert execution is not None
    assert (execution.function_name, execution.args, execution.state) == (function, args, ExecutionState.QUEUED)


@pytest.mark.parametrize("when", ["1h", "2031-05-01T12:00:00Z", "2031-05-01 12:00"])
def test_when_takes_a_duration_or_a_moment(shadow: Shadow, when: str) -> None:
    output_of("tasks", "trace", "x", "--when", when, "--key", "k")
    execution = shadow.get_execution("k")
    assert execution is not None
    assert execution.state is ExecutionState.SCHEDULED


def test_a_when_that_is_neither_is_refused_with_both_forms() -> None:
    result = run("tasks", "trace", "x", "--when", "tomorrow")
    assert result.exit_code == 78
    assert "'tomorrow' is not a duration" in result.stderr
    assert "2031-05-01T12:00:00Z" in result.stderr


def test_a_busy_key_and_a_strike_are_told(shadow: Shadow) -> None:
    output_of("tasks", "trace", "x", "--key", "k")
    assert "an execution has the key 'k' already" in output_of("tasks", "trace", "x", "--key", "k")
    shadow.strike("trace")
    assert "trace is struck. See `shadows restore`" in output_of("tasks", "trace", "x")
    assert shadow.snapshot().ready_count == 1


def test_a_missing_argument_is_wrong_usage() -> None:
    result = run("tasks", "trace")
    assert result.exit_code == 2
    assert "Missing argument 'MESSAGE'" in result.stderr
