"""The built-in tasks, as a worker runs them."""

import pytest

from shadows import Shadow, Worker, tasks
from shadows.registry import functions_of


async def test_trace_logs_its_message_and_the_way_it_took(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await shadows.add(tasks.trace, key="k")("startup completed")
    async with Worker(shadows, name="orders-1") as worker:
        await worker.run_until_finished()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "shadows.task.trace"]
    assert line.startswith(f"startup completed (key 'k' of shadow {shadows.name!r}, due ")
    assert line.endswith("ago, on worker orders-1)")


async def test_fail_fails_with_its_message(shadows: Shadow) -> None:
    execution = await shadows.add(tasks.fail)("on purpose")
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
    with pytest.raises(RuntimeError, match="on purpose"):
        await execution.get_result()


async def test_sleep_takes_its_time(shadows: Shadow) -> None:
    execution = await shadows.add(tasks.sleep)(0.05)
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
    await execution.sync()
    assert execution.started_at is not None
    assert execution.completed_at is not None
    assert (execution.completed_at - execution.started_at).total_seconds() >= 0.049


def test_they_are_what_the_module_lists() -> None:
    """`--tasks shadows.tasks` takes the same."""
    assert {function.__name__ for function in functions_of(tasks)} == {"trace", "fail", "sleep"}
