"""What a task can ask about its own run: who runs it, as what, and where it may log."""

import logging
from logging import Logger, LoggerAdapter
from typing import Any

import pytest

from shadows import CurrentExecution, CurrentShadow, CurrentWorker, Execution, Shadow, TaskKey, TaskLogger, Worker

from .workers import finish


async def test_a_task_can_ask_for_its_key(shadows: Shadow) -> None:
    """For files it writes, or requests that must not be made twice."""

    async def task(key: str = TaskKey()) -> str:
        return key

    execution = await shadows.add(task, key="my key")()
    await finish(shadows)
    assert await execution.get_result() == "my key"


async def test_a_task_can_ask_for_its_execution(shadows: Shadow) -> None:
    """Which attempt, on which worker, with which arguments, and a number for guarded writes."""
    seen: list[Any] = []

    async def task(n: int, execution: Execution = CurrentExecution()) -> None:
        seen.append(execution)

    added = await shadows.add(task, key="key")(5)
    await finish(shadows, name="w")
    (execution,) = seen
    assert (execution.key, execution.function_name, execution.args, execution.kwargs) == ("key", "task", (5,), {})
    assert (execution.attempt, execution.redelivered, execution.worker) == (1, False, "w")
    assert execution.state == "running"
    assert execution.submission == execution.fence == added.submission
    assert execution.started_at is not None
    assert execution.get_argument("n") == 5


async def test_a_task_can_ask_for_its_shadow_and_its_worker(shadows: Shadow) -> None:
    """The objects themselves."""
    seen: list[Any] = []

    async def task(shadows: Shadow = CurrentShadow(), worker: Worker = CurrentWorker()) -> None:
        seen.extend((shadows, worker))

    await shadows.add(task)()
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
        assert seen == [shadows, worker]


async def test_a_task_has_a_logger_that_says_who_speaks(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """Key, function and attempt stand on each record, for whatever collects them."""

    async def task(logger: LoggerAdapter[Logger] = TaskLogger()) -> None:
        logger.info("half way", extra={"page": 3})

    with caplog.at_level(logging.INFO, "shadows.task"):
        await shadows.add(task, key="my key")()
        await finish(shadows)
    record = next(record for record in caplog.records if record.message == "half way")
    said = vars(record)
    assert record.name == "shadows.task.task"
    assert (said["key"], said["function"], said["attempt"], said["page"]) == ("my key", "task", 1, 3)
