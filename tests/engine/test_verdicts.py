"""What becomes of a run: how it ends, who is told, and what follows it."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shadows import (
    CurrentExecution,
    Depends,
    Execution,
    ExecutionCancelled,
    ExecutionState,
    Perpetual,
    Retry,
    Shadow,
    Worker,
)
from shadowsd.engine.events import Event, TaskEnded
from tests.features.workers import finish, working
from tests.waiting import wait_until


async def outcomes(shadows: Shadow, **options: Any) -> list[str]:
    """Runs all that waits; how each run ended, in order, as observers are told."""
    ended: list[str] = []

    def observe(event: Event) -> None:
        if isinstance(event, TaskEnded):
            assert event.lasted_seconds >= 0
            ended.append(f"{event.entry.function} {event.outcome}")

    async with Worker(shadows, **options) as worker, asyncio.timeout(20):
        worker.events.observers.append(observe)
        await worker.run_until_finished()
    return ended


async def test_observers_are_told_how_each_run_ended(shadows: Shadow) -> None:
    """For metrics and traces: one event a run."""

    async def completes() -> None: ...

    async def fails() -> None:
        raise ValueError("no")

    async def retries(retry: Retry = Retry(attempts=2)) -> None:
        if retry.attempt == 1:
            raise ValueError("no")

    async def struck() -> None: ...

    for function in (completes, fails, retries, struck):
        await shadows.add(function)()
    await shadows.strike(struck)
    assert sorted(await outcomes(shadows)) == [
        "completes completed",
        "fails failed",
        "retries completed",
        "retries retried",
        "struck cancelled",
    ]


async def test_what_is_handed_back_is_told_as_such(shadows: Shadow) -> None:
    """The run did not end; it goes on elsewhere."""
    started, ended = asyncio.Event(), list[Event]()

    async def slow(execution: Execution = CurrentExecution()) -> None:
        started.set()
        if not execution.redelivered:
            await asyncio.Event().wait()

    await shadows.add(slow)()
    async with working(shadows) as worker:
        worker.events.observers.append(ended.append)
        await started.wait()
    assert [event.outcome for event in ended if isinstance(event, TaskEnded)] == ["handed back"]
    await finish(shadows)


async def test_a_task_without_dependencies_may_cancel_itself(shadows: Shadow) -> None:
    """Nobody asked for it from outside, so that is its outcome."""

    async def gives_up() -> None:
        raise asyncio.CancelledError

    execution = await shadows.add(gives_up)()
    await finish(shadows)
    with pytest.raises(ExecutionCancelled, match="the task cancelled itself"):
        await execution.get_result()


async def test_a_run_that_was_cancelled_in_a_dependency_writes_nothing(shadows: Shadow) -> None:
    """The cancel wrote the outcome already, wherever it caught the run."""
    started = asyncio.Event()

    async def connect() -> None:
        started.set()
        await asyncio.Event().wait()

    async def task(database: None = Depends(connect)) -> None: ...

    execution = await shadows.add(task, key="task")()
    async with working(shadows) as worker:
        await started.wait()
        await shadows.cancel("task")
        with pytest.raises(ExecutionCancelled, match="cancelled"):
            await execution.get_result(timeout=5)
        await wait_until(lambda: worker.slots.idle, "the slot is free")
        assert worker.settler.fenced == 0


async def test_a_struck_perpetual_run_is_followed_by_the_next_one(shadows: Shadow) -> None:
    """After its whole interval: it took no time."""

    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> None: ...

    await shadows.add(tick, key="tick")()
    await shadows.strike(tick)
    async with working(shadows):

        async def follows() -> bool:
            execution = await shadows.get_execution("tick")
            return execution is not None and execution.state is ExecutionState.SCHEDULED

        await wait_until(follows, "the next run is scheduled")
    execution = await shadows.get_execution("tick")
    assert execution is not None
    assert execution.when is not None
    assert execution.when - datetime.now(UTC) > timedelta(minutes=59)


async def test_the_log_tells_of_retries_and_failures_with_key_and_attempt(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """One line each, and the traceback of the last one."""

    async def fails(retry: Retry = Retry(attempts=2)) -> None:
        raise ValueError("no")

    with caplog.at_level(logging.INFO, "shadows.worker"):
        await shadows.add(fails, key="the key")()
        await finish(shadows)
    retried, failed = (record for record in caplog.records if "'the key' failed" in record.getMessage())
    assert retried.getMessage() == "fails with key 'the key' failed at attempt 1 and is retried: ValueError('no')"
    assert failed.getMessage() == "fails with key 'the key' failed at attempt 2."
    assert failed.exc_info is not None
