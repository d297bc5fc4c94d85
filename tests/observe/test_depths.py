"""What waits in Redis, read in one call that is small however much it is."""

import asyncio
import time
from datetime import timedelta

import pytest

from shadows import ConcurrencyLimit, Shadow
from shadows.connection import Link
from shadows.keys import GROUP, RECLAIMED
from shadows.priorities import PRIORITIES, Priority
from shadows.registry import Registry
from shadows.testing import RedisServer
from shadowsd.engine.asides import Asides
from shadowsd.engine.events import Events
from shadowsd.engine.outage import Outage
from shadowsd.observe.depths import PATIENCE_SECONDS, DepthGauge, Depths, Reading
from tests.engine.parts import delivered
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until


async def job() -> None: ...


async def depths_of(shadows: Shadow) -> Depths:
    """What a new gauge reads, so that nothing is remembered."""
    gauge = DepthGauge(Link(shadows.server, "observer"), shadows.keys)
    try:
        # It gives up soon, and a busy machine may take longer.
        reading = await wait_until(lambda: up(gauge), "Redis answers in time")
    finally:
        await gauge.close()
    assert reading.depths is not None
    return reading.depths


async def up(gauge: DepthGauge) -> Reading | None:
    reading = await gauge.read()
    return reading if reading.up else None


def asides_of(shadows: Shadow) -> Asides:
    events = Events()
    return Asides(shadows.queries, shadows.keys, Outage(events, timedelta(seconds=1)), events, 60_000, 60_000)


async def test_of_a_shadow_that_nobody_used_nothing_waits(shadows: Shadow) -> None:
    assert await depths_of(shadows) == Depths(0, 0, 0.0, 0, 0, 0)


async def test_what_was_added_before_any_worker_came_waits(shadows: Shadow) -> None:
    """There is no group of workers yet that could tell."""
    for _ in range(3):
        await shadows.add(job)()
    await asyncio.sleep(0.05)
    await shadows.add(job, when=timedelta(hours=1))()
    depths = await depths_of(shadows)
    assert (depths.queue_depth, depths.schedule_depth) == (3, 1)
    assert 0.05 <= depths.oldest_waiting_seconds < 5


@pytest.mark.parametrize("priority", PRIORITIES)
@pytest.mark.parametrize("later", [False, True])
async def test_what_waits_is_counted_whatever_its_priority(shadows: Shadow, priority: Priority, later: bool) -> None:
    """Before any worker came, and behind one that serves others."""
    if later:
        async with working(shadows, priorities=[priority]):
            await (await shadows.add(job, priority=priority)()).get_result(timeout=5)
    for _ in range(2):
        await shadows.add(job, priority=priority)()
    await asyncio.sleep(0.05)
    depths = await depths_of(shadows)
    assert depths.queue_depth == 2
    assert 0.05 <= depths.oldest_waiting_seconds < 5


async def test_what_waits_at_a_limit_is_counted_apart(shadows: Shadow) -> None:
    """More workers would not help it."""
    hold = asyncio.Event()

    async def limited(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await hold.wait()

    for _ in range(4):
        await shadows.add(limited)()
    async with working(shadows):
        await wait_until(lambda: at_limits(shadows, 3), "three wait")
        assert await depths_of(shadows) == Depths(0, 0, 0.0, 0, 0, 3)
        seen = await shadows.snapshot()
        assert (seen.ready_count, seen.waiting_at_limits) == (4, 3)
        assert (len(seen.running), len(seen.queued)) == (1, 3)
        hold.set()
        await wait_until(lambda: at_limits(shadows, 0), "nobody waits")


async def at_limits(shadows: Shadow, count: int) -> bool:
    return (await depths_of(shadows)).waiting_at_limits == count


async def test_what_runs_does_not_wait(shadows: Shadow) -> None:
    """And what waits behind it is younger."""
    await shadows.add(job)()
    await delivered(shadows)
    assert await depths_of(shadows) == Depths(0, 0, 0.0, 0, 0, 0)
    await asyncio.sleep(0.3)
    await shadows.add(job)()
    depths = await depths_of(shadows)
    assert depths.queue_depth == 1
    assert depths.oldest_waiting_seconds < 0.3


async def test_what_was_taken_from_the_dead_waits_since_then(shadows: Shadow) -> None:
    """It waits for a worker again; how long it ran before is another matter."""
    await shadows.add(job)()
    (entry,) = await delivered(shadows)
    await asyncio.sleep(0.3)
    async with shadows.redis() as redis:
        await redis.xclaim(shadows.keys.stream, GROUP, RECLAIMED, 0, [entry.id])
    depths = await depths_of(shadows)
    assert depths.queue_depth == 1
    assert depths.oldest_waiting_seconds < 0.3
    await asyncio.sleep(0.05)
    assert (await depths_of(shadows)).oldest_waiting_seconds >= 0.05


async def test_what_came_back_to_a_known_function_waits_too(shadows: Shadow) -> None:
    """It lies in a stream beside the main one."""
    await shadows.add("job")()
    asides = asides_of(shadows)
    (entry,) = await delivered(shadows)
    await asides.park(entry, Registry())
    assert await depths_of(shadows) == Depths(0, 0, 0.0, 1, 0, 0)
    await asides.unpark("job")
    depths = await depths_of(shadows)
    assert (depths.queue_depth, depths.parked_size) == (1, 0)


async def test_what_is_parked_or_quarantined_is_counted_apart(shadows: Shadow) -> None:
    asides = asides_of(shadows)
    for n in range(3):
        await shadows.add(f"unknown {n % 2}", key=str(n))()
    for entry in await delivered(shadows):
        await asides.park(entry, Registry())
    await shadows.add("bad")()
    (entry,) = await delivered(shadows)
    await asides.quarantine(entry, "for this test")
    assert await depths_of(shadows) == Depths(0, 0, 0.0, 3, 1, 0)


async def test_after_all_is_done_nothing_waits(shadows: Shadow) -> None:
    for _ in range(20):
        await shadows.add(job)()
    await finish(shadows)
    assert await depths_of(shadows) == Depths(0, 0, 0.0, 0, 0, 0)


async def test_it_costs_redis_one_small_call(own_redis: RedisServer) -> None:
    """With a thousand executions in each place it looks at no more of them than with one."""
    async with Shadow(url=own_redis.url) as shadows, shadows.redis() as redis:
        gauge = DepthGauge(Link(shadows.server, "observer"), shadows.keys)
        await gauge.read()  # makes the script known

        async def calls() -> int:
            stats = await redis.info("commandstats")
            return sum(row["calls"] for name, row in stats.items() if name != "cmdstat_info")

        async def cost() -> int:
            gauge._read_at = None
            before = await calls()
            await gauge.read()
            return await calls() - before

        async with working(shadows):
            pass  # makes the group
        await shadows.add("a", key="first")()
        await shadows.add("a", when=timedelta(hours=1))()
        few = await cost()
        for _ in range(1000):
            await redis.xadd(shadows.keys.stream, {"k": "x"})
            await redis.xadd(shadows.keys.quarantine, {"k": "x"})
        await shadows.add_many([shadows.call("a", when=timedelta(hours=1))() for _ in range(1000)])
        assert await cost() == few
        await gauge.close()


async def test_two_that_ask_at_once_or_within_a_second_cost_one_call(proxy: Proxy, shadows_url: str) -> None:
    async with Shadow(url=proxy.url) as shadows:
        gauge = DepthGauge(Link(shadows.server, "observer"), shadows.keys)
        first, second = await asyncio.gather(gauge.read(), gauge.read())
        assert await gauge.read() is first is second
        gauge._read_at = time.monotonic() - 1.0
        assert await gauge.read() is not first
        await gauge.close()


@pytest.mark.parametrize("fault", ["pause", "kill"])
async def test_without_redis_nothing_is_told_and_soon(own_redis: RedisServer, fault: str) -> None:
    """A scrape has to be answered within a second, whether Redis refuses or is silent; then it is back."""
    async with Shadow(url=own_redis.url) as shadows:
        gauge = DepthGauge(Link(shadows.server, "observer"), shadows.keys)
        assert (await gauge.read()).up
        getattr(own_redis, fault)()
        gauge._read_at = None
        began = time.monotonic()
        assert await gauge.read() == Reading(up=False, depths=None)
        assert time.monotonic() - began < 1.5 * PATIENCE_SECONDS
        own_redis.resume() if fault == "pause" else own_redis.start()
        gauge._read_at = None
        assert (await gauge.read()).up
        await gauge.close()


async def test_a_stranger_under_one_of_the_keys_is_no_outage(shadows: Shadow) -> None:
    """Redis answers; what it says is no number."""
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.schedule, "a stranger")
        gauge = DepthGauge(Link(shadows.server, "observer"), shadows.keys)
        assert await gauge.read() == Reading(up=True, depths=None)
        await gauge.close()
        await redis.delete(shadows.keys.schedule)
