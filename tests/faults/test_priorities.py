"""Priorities through what can go wrong: nothing is lost, and nothing changes its priority on the way."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shadows import ConcurrencyLimit, Retry, Shadow, Worker
from shadows.keys import GROUP, HIGH, LOW, RECLAIMED, RETURNED, SUSPECTS
from shadows.priorities import PRIORITIES
from shadows.testing import RedisServer
from shadowsd.engine.takeover import Judgement, take_over
from tests.features.workers import finish, working
from tests.waiting import wait_until

ran: list[str] = []


async def work(label: str) -> None:
    ran.append(label)


async def fail(label: str, retry: Retry = Retry(attempts=2)) -> None:
    ran.append(label)
    raise ValueError(label)


async def fail_once(retry: Retry = Retry(attempts=2)) -> None:
    ran.append("failed once")
    if retry.attempt == 1:
        raise ValueError


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def add_all(shadows: Shadow, function: Any = work) -> None:
    for priority in reversed(PRIORITIES):
        await shadows.add(function, key=priority, priority=priority)(priority)


async def die_with_all(shadows: Shadow, times: int) -> None:
    """A consumer without a lease holds everything, as one that was killed."""
    async with shadows.redis() as redis:
        for time in range(times):
            consumer = f"gone {time}#1"
            for stream in shadows.keys.streams:
                if await redis.exists(stream):
                    if not await redis.xinfo_groups(stream):
                        await redis.xgroup_create(stream, GROUP, "0")
                    held = await redis.xpending_range(stream, GROUP, "-", "+", 10, RECLAIMED)
                    if held:
                        await redis.xclaim(stream, GROUP, consumer, 0, [row["message_id"] for row in held])
                    await redis.xreadgroup(GROUP, consumer, {stream: ">"})
            taken = await take_over(shadows.queries, shadows.keys, consumer, 60_000, Judgement())
            assert taken is not None
            assert taken.taken == 3


@pytest.mark.parametrize("deaths", [1, 2])
async def test_what_the_dead_held_comes_back_in_its_order(brief: Shadow, deaths: int) -> None:
    """Taken by a worker that serves one of them only, and run by another."""
    await add_all(brief)
    await die_with_all(brief, deaths)
    await finish(brief, concurrency=1)
    assert ran == ["high", "normal", "low"]


async def test_suspects_wait_for_a_worker_of_their_priority(brief: Shadow) -> None:
    """After the third loss beside others they are in one stream, and a dedicated worker leaves what is not its own."""
    await add_all(brief)
    await die_with_all(brief, 3)
    async with brief.redis() as redis:
        assert await redis.xlen(brief.keys.streams[SUSPECTS - 1]) == 3
    async with working(brief, priorities=["low"]):
        await wait_until(lambda: ran == ["low"], "its own has run")
    async with working(brief, priorities=["normal"]):
        await wait_until(lambda: ran == ["low", "normal"], "its own has run")
    await finish(brief)
    assert ran == ["low", "normal", "high"]


async def test_what_was_parked_is_left_to_workers_of_its_priority(brief: Shadow) -> None:
    """It comes back in one stream for all; who can't serve it gives it on."""
    for priority in PRIORITIES:
        await brief.add("later", key=priority, priority=priority)(priority)
    await finish(brief)
    assert (await brief.snapshot()).unknown_count == 3

    async def later(label: str) -> None:
        ran.append(label)

    brief.register(later)
    async with working(brief, priorities=["low"], concurrency=1):
        await wait_until(lambda: ran == ["low"], "its own has run")
        async with brief.redis() as redis:
            left = await redis.xpending_range(brief.keys.streams[RETURNED - 1], GROUP, "-", "+", 10, RECLAIMED)
            assert len(left) == 2
    await finish(brief)
    assert sorted(ran) == ["high", "low", "normal"]


async def test_a_paused_function_keeps_its_priorities(brief: Shadow) -> None:
    """Set aside and brought back, each is still what it was."""
    await brief.pause(work)
    await add_all(brief)
    await finish(brief)
    await brief.resume(work)
    async with working(brief, priorities=["high"], concurrency=1):
        await wait_until(lambda: ran == ["high"], "its own has run")
    await finish(brief)
    assert sorted(ran) == ["high", "low", "normal"]


async def test_a_limit_is_passed_in_the_order_of_submission_whatever_the_priority(brief: Shadow) -> None:
    """First come, first served at the gate; and nothing that waited there is lost on the way back."""
    going_on = asyncio.Event()

    async def limited(label: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(label)
        await going_on.wait()

    async with working(brief, concurrency=4):
        await brief.add(limited, priority="low")("first")
        await wait_until(lambda: ran == ["first"], "the first runs")
        added = [await brief.add(limited, priority=priority)(priority) for priority in reversed(PRIORITIES)]
        going_on.set()
        for execution in added:
            await execution.get_result(timeout=10)
    assert ran == ["first", "low", "normal", "high"]


async def test_a_failure_that_was_kept_is_retried_with_its_priority(brief: Shadow) -> None:
    """By whoever gives it back from the quarantine."""
    await add_all(brief, fail)
    await finish(brief, concurrency=1)
    ran.clear()
    for entry in await brief.quarantine():  # the newest first
        await brief.quarantine_retry(entry.id)
    await finish(brief, concurrency=1)
    assert list(dict.fromkeys(ran)) == ["high", "normal", "low"]


async def test_after_a_flush_workers_serve_every_priority_as_before(brief: Shadow, shadows_redis: RedisServer) -> None:
    """The streams and their groups are made anew."""
    async with working(brief):
        for round in ("before", "after"):
            for priority in PRIORITIES:
                execution = await brief.add(work, priority=priority)(f"{round} {priority}")
                await wait_until(lambda: ran and ran[-1] == f"{round} {priority}", "it runs")  # noqa: B023
            if round == "before":
                await wait_until(lambda: brief.get_execution(execution.key), "it is settled")  # noqa: B023
                shadows_redis.command("FLUSHALL")
    assert len(ran) == 6


@pytest.mark.parametrize("moves", ["submit", "promote", "settle", "requeue"])
async def test_a_lost_counter_behind_the_clock_takes_nothing_for_old(brief: Shadow, moves: str) -> None:
    """Redis refuses an id that does not rise: the stream of a priority tells how far the counter had come, too."""
    async with brief.redis() as redis:
        ahead = int((await redis.time())[0]) * 1_000_000 + 3_600_000_000
        await redis.xadd(brief.keys.streams[HIGH - 1], {"k": "old", "f": "work", "p": ""}, id=f"{ahead}-0")
        await redis.xdel(brief.keys.streams[HIGH - 1], f"{ahead}-0")
        if moves == "requeue":
            await brief.add(fail, priority="high")("x")
            await finish(brief)
            (entry,) = await brief.quarantine()
            await redis.delete(brief.keys.generation)
            await brief.quarantine_retry(entry.id)
        elif moves == "submit":
            await brief.add(work, priority="high")("x")
        elif moves == "promote":
            await brief.add(work, when=timedelta(milliseconds=10), priority="high")("x")
            await asyncio.sleep(0.02)
        else:
            await brief.add(fail_once, priority="high")()
        await redis.delete(brief.keys.generation)
    await finish(brief)
    assert ran == {"settle": ["failed once"] * 2, "requeue": ["x"] * 4}.get(moves, ["x"])
    assert len(await brief.quarantine()) == (moves == "requeue")


async def test_what_comes_beyond_the_room_goes_to_others_at_once(brief: Shadow) -> None:
    """A read that does not have to wait brings one of each stream."""
    await add_all(brief)
    async with Worker(brief, concurrency=1) as worker:
        await worker.reader._read(worker.membership.consumer)
        await wait_until(lambda: ran == ["high"], "the first has run")
        async with brief.redis() as redis:
            for stream in (brief.keys.stream, brief.keys.streams[LOW - 1]):
                (row,) = await redis.xpending_range(stream, GROUP, "-", "+", 10)
                assert (row["consumer"], row["times_delivered"]) == (RECLAIMED.encode(), 0)
        await worker.run_until_finished()
    assert ran == ["high", "normal", "low"]


async def test_what_others_gave_back_is_found_though_their_signal_was_lost(brief: Shadow) -> None:
    """By the next beat."""
    await finish(brief)
    execution = await brief.add(work, priority="high")("high")
    stream, id = brief.keys.streams[HIGH - 1], f"{execution.generation}-0"
    async with brief.redis() as redis:
        await redis.xgroup_create(stream, GROUP, "0")
        await redis.xreadgroup(GROUP, "other#1", {stream: ">"})
        await redis.zadd(brief.keys.leases, {"other#1": 9 * 10**15})
        async with working(brief) as worker:
            await wait_until(lambda: worker.reader._blocked, "the worker waits for new work")
            await redis.xclaim(stream, GROUP, RECLAIMED, 0, [id], justid=True)
            await wait_until(lambda: ran == ["high"], "it runs")


async def test_a_place_is_not_handed_to_a_worker_that_does_not_serve_its_execution(brief: Shadow) -> None:
    """Who ends a run gets the next one with the answer, unless it is for some priorities only."""
    going_on = asyncio.Event()

    async def limited(label: str, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(label)
        await going_on.wait()

    async with working(brief, priorities=["high"]):
        first = await brief.add(limited, priority="high")("first")
        await wait_until(lambda: ran == ["first"], "the first runs")
        async with working(brief, priorities=["low"]):
            await brief.add(limited, priority="low")("low")

            async def waits() -> int:
                return (await brief.snapshot()).waiting_at_limits

            await wait_until(waits, "the other waits at the limit")
        last = await brief.add(limited, priority="high")("last")
        going_on.set()
        await first.get_result(timeout=5)
        async with brief.redis() as redis:
            await wait_until(
                lambda: redis.xpending_range(brief.keys.returned, GROUP, "-", "+", 9, RECLAIMED), "is left"
            )
        assert ran == ["first"]
        async with working(brief, priorities=["low"]):
            await last.get_result(timeout=5)
    assert ran == ["first", "low", "last"]
