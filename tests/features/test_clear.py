"""`clear` removes whatever has not started."""

import asyncio
from datetime import timedelta

import pytest

from shadows import ExecutionCancelled, Shadow

from .workers import finish, working

ran: list[str] = []


async def job(name: str = "job") -> str:
    ran.append(name)
    return name


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_clear_removes_queued_and_scheduled_tasks_and_counts_them(shadows: Shadow) -> None:
    """Also more than one call of its script may take."""
    await shadows.add_many([shadows.call(job)() for _ in range(450)])
    await shadows.add_many([shadows.call(job, when=timedelta(hours=1))() for _ in range(250)])
    assert await shadows.clear() == 700
    assert await shadows.clear() == 0
    await finish(shadows)
    assert ran == []


async def test_cleared_keys_are_free(shadows: Shadow) -> None:
    """A test that clears must be able to add again."""
    for when in (None, timedelta(hours=1)):
        old = await shadows.add(job, when=when, key="job")("old")
        await shadows.clear()
        with pytest.raises(ExecutionCancelled, match="cleared"):
            await old.get_result()
    new = await shadows.add(job, key="job")("new")
    await finish(shadows)
    assert await new.get_result() == "new"
    assert ran == ["new"]


async def test_clear_leaves_running_tasks_alone(shadows: Shadow) -> None:
    """They end as they would have."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        started.set()
        await may_end.wait()
        return "done"

    execution = await shadows.add(slow)()
    async with working(shadows):
        await started.wait()
        assert await shadows.clear() == 0
        may_end.set()
        assert await execution.get_result() == "done"


async def test_clear_leaves_strikes_alone(shadows: Shadow) -> None:
    """An operator's decision is no task."""
    await shadows.strike(job)
    await shadows.clear()
    execution = await shadows.add(job)()
    assert execution.disposition == "struck"


async def test_clear_removes_what_waits_for_a_worker_that_knows_it(shadows: Shadow) -> None:
    """Parked entries have not started either."""
    await shadows.add("nobody_knows_this", key="parked")()
    await finish(shadows)
    assert (await shadows.snapshot()).unknown_count == 1
    assert await shadows.clear() == 1
    assert (await shadows.snapshot()).unknown_count == 0
    assert (await shadows.add("nobody_knows_this", key="parked")()).disposition == "scheduled"
