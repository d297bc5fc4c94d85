"""`cancel` ends an execution wherever it is, and its key is free at once."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from shadows import Disposition, ExecutionCancelled, ExecutionState, Retry, Shadow
from tests.waiting import wait_until

from .workers import finish, working

runs: list[str] = []


async def job(name: str = "job") -> None:
    runs.append(name)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    runs.clear()


@pytest.mark.parametrize("when", [None, timedelta(milliseconds=50)], ids=["queued", "scheduled"])
async def test_what_has_not_started_never_runs(shadows: Shadow, when: timedelta | None) -> None:
    """No worker saw it; its entry is deleted."""
    execution = await shadows.add(job, when=when, key="job")()
    assert await shadows.cancel("job")
    await finish(shadows)
    await execution.sync()
    assert runs == []
    assert execution.state is ExecutionState.CANCELLED
    with pytest.raises(ExecutionCancelled, match="cancelled"):
        await execution.get_result()


@pytest.mark.parametrize("when", [None, timedelta(hours=1)], ids=["queued", "scheduled"])
async def test_a_cancelled_key_is_free(shadows: Shadow, when: timedelta | None) -> None:
    """The new execution is one of its own, and runs."""
    await shadows.add(job, when=when, key="job")("old")
    await shadows.cancel("job")
    execution = await shadows.add(job, key="job")("new")
    assert execution.disposition is Disposition.SCHEDULED
    await finish(shadows)
    assert runs == ["new"]


async def test_cancelling_an_unknown_or_a_finished_key_is_no_error(shadows: Shadow) -> None:
    """Whoever cancels can't know; the answer tells, and a result that is there stays."""
    assert not await shadows.cancel("never was")
    execution = await shadows.add(job, key="job")()
    await finish(shadows)
    assert not await shadows.cancel("job")
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED


async def test_a_running_task_gets_a_cancelled_error(shadows: Shadow) -> None:
    """It can close what it opened."""
    started = asyncio.Event()

    async def slow() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            runs.append("cleaned up")
            raise

    execution = await shadows.add(slow, key="slow")()
    async with working(shadows):
        await started.wait()
        assert await shadows.cancel("slow")
        with pytest.raises(ExecutionCancelled, match="cancelled"):
            await asyncio.wait_for(execution.get_result(), 5)
        await wait_until(lambda: runs == ["cleaned up"], "the task was told")
        again = await shadows.add(job, key="slow")()
        await again.get_result()
    assert runs == ["cleaned up", "job"]


async def test_a_running_task_that_was_cancelled_is_not_retried(shadows: Shadow) -> None:
    """Whatever its signature says: it was ended on purpose."""
    started = asyncio.Event()

    async def slow(retry: Retry = Retry(attempts=3)) -> None:
        runs.append("run")
        started.set()
        await asyncio.Event().wait()

    await shadows.add(slow, key="slow")()
    async with working(shadows):
        await started.wait()
        await shadows.cancel("slow")
        await finish(shadows)
    assert runs == ["run"]


async def test_the_result_of_a_task_that_ignores_its_cancelling_does_not_count(shadows: Shadow) -> None:
    """The key belongs to others since."""
    started, swallowed = asyncio.Event(), asyncio.Event()

    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        return "done all the same"

    execution = await shadows.add(stubborn, key="stubborn")()
    async with working(shadows):
        await started.wait()
        await shadows.cancel("stubborn")
        await swallowed.wait()
    with pytest.raises(ExecutionCancelled):
        await execution.get_result()


async def test_a_plain_function_runs_on_and_its_outcome_does_not_count(shadows: Shadow) -> None:
    """A thread can't be stopped from outside; it keeps its slot until it ends."""
    started, may_end = threading.Event(), threading.Event()

    def slow() -> str:
        started.set()
        assert may_end.wait(10)
        runs.append("slow")
        return "too late"

    execution = await shadows.add(slow, key="slow")()
    async with working(shadows) as worker:
        await wait_until(started.is_set, "the task started")
        await shadows.cancel("slow")
        with pytest.raises(ExecutionCancelled):
            await asyncio.wait_for(execution.get_result(), 5)
        again = await shadows.add(job, key="slow")("again")
        await again.get_result()
        may_end.set()
        await wait_until(lambda: worker.slots.idle, "the thread ended")
        await again.sync()
    assert runs == ["again", "slow"]
    assert again.state is ExecutionState.COMPLETED
    with pytest.raises(ExecutionCancelled):
        await execution.get_result()


async def test_cancelling_between_two_attempts_ends_the_line(shadows: Shadow) -> None:
    """The next attempt is a scheduled execution like any other."""

    async def fails(retry: Retry = Retry(attempts=3, delay=timedelta(hours=1))) -> None:
        runs.append("run")
        raise ValueError("no")

    execution = await shadows.add(fails, key="fails")()
    async with working(shadows):

        async def waits() -> bool:
            await execution.sync()
            return execution.state is ExecutionState.SCHEDULED

        await wait_until(waits, "the retry is scheduled")
        assert await shadows.cancel("fails")
    with pytest.raises(ExecutionCancelled):
        await execution.get_result()
    assert runs == ["run"]


async def test_cancelling_at_any_moment_leaves_one_end_and_a_free_key(shadows: Shadow) -> None:
    """A race on purpose: whichever wins, the execution has one outcome, nobody hangs, and nothing stays."""

    async def short(n: int) -> int:
        await asyncio.sleep(0.001 * (n % 4))
        return n

    async def add_and_cancel(n: int) -> str:
        execution = await shadows.add(short, key=str(n))(n)
        for _ in range(n % 7):
            await asyncio.sleep(0.001)
        cancelled = await shadows.cancel(str(n))
        try:
            assert await asyncio.wait_for(execution.get_result(), 10) == n
        except ExecutionCancelled:
            assert cancelled
            return "cancelled"
        assert not cancelled
        return "completed"

    async with working(shadows):
        ends = await asyncio.gather(*[add_and_cancel(n) for n in range(200)])
    assert set(ends) == {"cancelled", "completed"}
    snapshot = await shadows.snapshot()
    assert (snapshot.total, snapshot.running) == (0, [])


async def test_a_task_may_cancel_itself(shadows: Shadow) -> None:
    """It ends cancelled, and is not retried."""

    async def gives_up(retry: Retry = Retry(attempts=3)) -> None:
        runs.append("run")
        raise asyncio.CancelledError

    execution = await shadows.add(gives_up)()
    await finish(shadows)
    with pytest.raises(ExecutionCancelled, match="the task cancelled itself"):
        await execution.get_result()
    assert runs == ["run"]


async def test_nothing_of_a_cancelled_task_is_redelivered(brief: Shadow) -> None:
    """Its entry is gone when its worker dies, so nobody takes it over."""
    started = asyncio.Event()

    async def slow(**_: Any) -> None:
        runs.append("run")
        started.set()
        await asyncio.Event().wait()

    await brief.add(slow, key="slow")()
    async with working(brief):
        await started.wait()
        await brief.cancel("slow")
        async with brief.redis() as redis:
            assert await redis.xlen(brief.keys.stream) == 0
            pending = await redis.xpending(brief.keys.stream, "workers")
            assert pending["pending"] == 0
    await finish(brief)
    assert runs == ["run"]
