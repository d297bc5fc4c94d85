"""Without `Timeout` a task may take as long as it likes; with it, it is cancelled in time."""

import asyncio
from datetime import timedelta

import pytest

from shadows import ExecutionState, Retry, Shadow, Timeout

from .workers import finish


async def test_a_task_that_takes_too_long_is_cancelled_and_fails(shadows: Shadow) -> None:
    """The error names the task and its limit."""
    cleaned: list[str] = []

    async def slow(limit: Timeout = Timeout(timedelta(milliseconds=50))) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("up")

    execution = await shadows.add(slow)()
    await finish(shadows)
    with pytest.raises(TimeoutError, match="slow was cancelled because it ran for longer than its Timeout of 50ms"):
        await execution.get_result()
    assert cleaned == ["up"]


async def test_a_task_that_timed_out_is_retried(shadows: Shadow) -> None:
    """It is a failure like any other."""

    async def slow_once(limit: Timeout = Timeout(timedelta(milliseconds=50)), retry: Retry = Retry(attempts=2)) -> int:
        if retry.attempt == 1:
            await asyncio.Event().wait()
        return retry.attempt

    execution = await shadows.add(slow_once)()
    await finish(shadows)
    assert await execution.get_result() == 2


async def test_a_task_that_goes_on_well_may_take_more_time(shadows: Shadow) -> None:
    """`extend` moves the limit, `remaining` tells what is left."""

    async def careful(limit: Timeout = Timeout(timedelta(milliseconds=200))) -> bool:
        limit.extend(timedelta(seconds=60))
        await asyncio.sleep(0.25)
        return limit.remaining() > timedelta(seconds=50)

    execution = await shadows.add(careful)()
    await finish(shadows)
    assert await execution.get_result() is True


async def test_a_task_longer_than_every_lease_runs_once(brief: Shadow) -> None:
    """Liveness belongs to the process: a living worker's task is taken from it by nobody."""
    runs: list[str] = []

    async def long() -> None:
        runs.append("run")
        await asyncio.sleep(1.2)  # three leases

    execution = await brief.add(long)()
    await asyncio.gather(finish(brief), finish(brief))
    await execution.sync()
    assert runs == ["run"]
    assert execution.state is ExecutionState.COMPLETED
    assert not execution.redelivered
