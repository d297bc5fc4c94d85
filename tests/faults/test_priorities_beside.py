"""Priorities where something lies in the way: nothing keeps a worker from what it should take next."""

import asyncio
from typing import Any

import pytest

from shadows import CurrentExecution, Execution, Shadow, Worker
from shadows.keys import GROUP, RECLAIMED, RETURNED, SUSPECTS
from shadows.priorities import PRIORITIES, Priority
from tests.features.workers import finish, working
from tests.waiting import wait_until

ran: list[Any] = []


async def work(label: Any) -> None:
    ran.append(label)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_the_first_high_one_ever_does_not_wait_behind_all_that_is_ready(brief: Shadow) -> None:
    """Its stream had no group before somebody waited at it, and with much to do nobody waits: it came last."""

    async def fill(number: int) -> None:
        ran.append(number)
        if number == 5:
            await brief.add(work, priority="high")("high")
            await brief.add(work, priority="low")("low")
        await asyncio.sleep(0.001)

    await brief.add_many([brief.call(fill)(number) for number in range(200)])
    await finish(brief, concurrency=2)
    assert ran.index("high") < 50
    assert ran.index("low") == 201


async def put_at(shadows: Shadow, place: int, calls: list[tuple[Any, Priority]], taken: bool = False) -> None:
    """Moves what was added there, as a take-over or a function that is known again does."""
    async with shadows.redis() as redis:
        stream = shadows.keys.streams[place - 1]
        await redis.xgroup_create(stream, GROUP, "0", mkstream=True)
        for label, priority in calls:
            execution = await shadows.add(work, key=str(label), priority=priority)(label)
            at = await redis.hget(shadows.keys.record(execution.key), "at")
            held = shadows.keys.prefix + at.decode() if at else shadows.keys.stream
            id = f"{execution.generation}-0"
            ((_, fields),) = await redis.xrange(held, id, id)
            await redis.xadd(stream, fields, id=id)
            await redis.xdel(held, id)
            await redis.hset(shadows.keys.record(execution.key), "at", stream.removeprefix(shadows.keys.prefix))
        if taken:
            await redis.xreadgroup(GROUP, RECLAIMED, {stream: ">"})


@pytest.mark.parametrize("taken", [False, True], ids=["new", "given back"])
@pytest.mark.parametrize("place", [RETURNED, SUSPECTS], ids=["returned", "suspects"])
async def test_its_own_is_found_behind_all_that_it_leaves(brief: Shadow, place: int, taken: bool) -> None:
    """It looked at the first two hundred only; with nobody to serve those, its own was never run."""
    calls: list[tuple[Any, Priority]] = [(f"high {number}", "high") for number in range(450)]
    await put_at(brief, place, [*calls, ("low", "low")], taken)
    async with working(brief, priorities=["low"], concurrency=2):
        await wait_until(lambda: ran == ["low"], "its own has run")
        await brief.add(work, priority="low")("another")
        await wait_until(lambda: ran == ["low", "another"], "what comes then has run")
    async with brief.redis() as redis:
        assert await redis.xlen(brief.keys.streams[place - 1]) == 450


async def test_what_had_no_room_here_is_not_redelivered_elsewhere(brief: Shadow) -> None:
    """It never began to run: people, metrics and steps were told that it may have."""
    seen: list[bool] = []

    async def note(execution: Execution = CurrentExecution()) -> None:
        seen.append(execution.redelivered)

    for priority in PRIORITIES:
        await brief.add(note, priority=priority)()
    async with Worker(brief, concurrency=1) as worker:
        await worker.reader._read(worker.membership.consumer)
        await worker.run_until_finished()
    await put_at(brief, RETURNED, [("high", "high")])
    async with working(brief, priorities=["low"]), brief.redis() as redis:

        async def given_back() -> Any:
            return await redis.xpending_range(brief.keys.returned, GROUP, "-", "+", 9, RECLAIMED)

        (row,) = await wait_until(given_back, "it is left to others")
        assert row["times_delivered"] == 0
    assert seen == [False] * 3
