"""Priorities where something lies in the way: nothing keeps a worker from what it should take next."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shadows import ConcurrencyLimit, CurrentExecution, Execution, Shadow, Worker
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


@pytest.mark.parametrize("taken", [False, True], ids=["new", "given back"])
@pytest.mark.parametrize("place", [RETURNED, SUSPECTS], ids=["returned", "suspects"])
@pytest.mark.parametrize("many", [1, 450])
async def test_who_is_dedicated_does_not_wait_for_what_it_leaves(
    brief: Shadow, place: int, many: int, taken: bool
) -> None:
    """`run_until_finished` counted the streams that hold all priorities, and never returned."""
    await put_at(brief, place, [*((number, "high") for number in range(many)), ("low", "low")], taken)
    await brief.add(work, timedelta(hours=1), "later", priority="high")("later")
    await brief.add(work, timedelta(milliseconds=200), "soon", priority="low")("soon")
    await finish(brief, priorities=["low"])
    assert sorted(ran) == ["low", "soon"]
    await finish(brief, priorities=["normal", "low"])
    assert len(ran) == 2


async def test_who_is_dedicated_waits_for_its_own_at_a_limit_and_not_for_others(brief: Shadow) -> None:
    """They lie in one stream, too."""
    going_on = asyncio.Event()

    async def limited(label: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(label)
        await going_on.wait()

    async with working(brief, concurrency=3):
        await brief.add(limited)("first")
        await wait_until(lambda: ran == ["first"], "the first runs")
        await brief.add(limited, priority="high")("high")

        async def waits() -> int:
            return (await brief.snapshot()).waiting_at_limits

        await wait_until(waits, "the other waits at the limit")
        await finish(brief, priorities=["low"])
        finishing = asyncio.create_task(finish(brief, priorities=["high"]))
        await asyncio.sleep(0.2)
        assert not finishing.done()
        going_on.set()
        await finishing
    assert ran == ["first", "high"]


@pytest.mark.parametrize("written", ["", "h", "igh lo", "urgent", "HIGH"])
async def test_what_names_no_priority_that_there_is_is_normal(brief: Shadow, written: str) -> None:
    """Damaged by hand, in what came back: who serves the normal ones runs it, and nobody else."""
    await put_at(brief, RETURNED, [("odd", "high")])
    async with brief.redis() as redis:
        ((id, fields),) = await redis.xrange(brief.keys.returned)
        await redis.xdel(brief.keys.returned, id)
        next_id = f"{int(id.split(b'-')[0]) + 1}-0"
        await redis.xadd(brief.keys.returned, {**fields, b"pr": written}, id=next_id)
        await redis.hset(brief.keys.record("odd"), "g", next_id.removesuffix("-0"))
    await finish(brief, priorities=["low", "high"])
    assert ran == []
    await finish(brief, priorities=["normal"])
    assert ran == ["odd"]


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


async def test_what_had_no_room_is_given_back_on_the_connection_that_is_cut_off(brief: Shadow) -> None:
    """On another one, a copy that a network held back took away what somebody ran by then, and it ran twice."""
    for priority in PRIORITIES:
        await brief.add(work, priority=priority)(priority)
    async with Worker(brief, concurrency=1) as worker, brief.redis() as redis:
        await worker.reader._read(worker.membership.consumer)
        names = [client["name"] for client in await redis.client_list() if client["cmd"] == "xclaim"]
        assert f"shadows:reader:{worker.membership.incarnation}" in names
        await worker.run_until_finished()
    assert ran == ["high", "normal", "low"]
