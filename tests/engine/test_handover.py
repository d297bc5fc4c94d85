"""What it costs to wait at a limit and to be handed its place: counted, so that it does not creep back.

Most of the time of a hand-over is that of Redis, for one command of a script after the other: a limit of 1
with a long queue is as fast as they are few.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from shadows import ConcurrencyLimit, Execution, Shadow, Worker
from shadows.testing import RedisServer
from shadowsd.engine.places import Opening
from tests.faults.gated import all_is_gone, some_wait
from tests.faults.test_lost_counter import lose_counter, still_adds
from tests.features.workers import finish, working
from tests.waiting import wait_until

from .limited import alone, free, ran

COUNT = 200
# The first ones ask in vain, and the beats of the worker are counted, too.
ASIDE = 1.05


def gate(hold: asyncio.Event) -> Callable[..., Any]:
    async def held(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await hold.wait()

    return held


def per_task(server: RedisServer) -> Counter[str]:
    """How often each command ran for one of the tasks, in scripts or not, since the last CONFIG RESETSTAT; those
    that ran for a few of them only are left out."""
    stats = server.command("INFO", "commandstats")
    assert isinstance(stats, dict)
    calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    return Counter({name: count / COUNT for name, count in calls.items() if count > COUNT / 10})  # type: ignore[misc]


async def test_waiting_at_a_limit_takes_a_dozen_commands_and_a_run_that_is_handed_over_two_dozen(
    own_redis: RedisServer,
) -> None:
    """They were 16 and 42, in two calls, with one that reads the ends of a whole stream and one that mostly fails."""
    hold = asyncio.Event()
    async with Shadow(url=own_redis.url) as shadows:
        held = gate(hold)
        async with working(shadows, concurrency=32) as worker:
            await shadows.add(held)(0)
            await wait_until(lambda: any(each.places for each in worker.slots.running.values()), "it holds the place")
            await shadows.pause()
            await shadows.add_many([shadows.call(held)(number) for number in range(COUNT)])
            own_redis.command("CONFIG", "RESETSTAT")
            await shadows.resume()
            await some_wait(shadows, COUNT)
            waiting = per_task(own_redis)
            own_redis.command("CONFIG", "RESETSTAT")
            hold.set()
            await wait_until(lambda: worker.settler.done == COUNT + 1, "all have run")
            handed = per_task(own_redis)
    assert waiting.total() <= 12 * ASIDE, waiting
    assert handed.total() <= 24 * ASIDE, handed


async def placed(shadows: Shadow, execution: Execution) -> tuple[str, dict[bytes, bytes]]:
    """Takes a new execution out of the ready work."""
    async with shadows.redis() as redis:
        number = str(execution.submission)
        ((id, fields),) = await redis.xrange(shadows.keys.stream, number, number)
        await redis.xdel(shadows.keys.stream, id)
    return number, fields


async def waits_at_alone(shadows: Shadow, execution: Execution) -> str:
    """Puts a new execution where it would be after it asked in vain."""
    number, fields = await placed(shadows, execution)
    async with shadows.redis() as redis:
        terms = b"\x91\x92\xa7c:alone\x01"
        await redis.xadd(shadows.keys.waiting, {"n": number, "gt": terms, **fields}, id=f"{number}-0")
        await redis.hset(shadows.keys.record(execution.key), mapping={"at": "waiting", "n": number})
        await redis.zadd(f"{shadows.keys.prefix}queue:c:alone", {number: number})
        await redis.zadd(shadows.keys.gates, {"c:alone": 1})
    return number


async def has_returned(shadows: Shadow, execution: Execution) -> None:
    """Puts a new execution where it would be after it was parked and came back."""
    number, fields = await placed(shadows, execution)
    async with shadows.redis() as redis:
        await redis.hset(shadows.keys.record(execution.key), mapping={"at": "returned", "n": number})
        await redis.xadd(shadows.keys.returned, {"n": number, **fields}, id=f"{number}-0")


async def test_who_was_let_in_and_not_handed_over_keeps_its_place_for_nobody(shadows: Shadow) -> None:
    """Another one lay before it. When it is cancelled there, its place must not count as that of a living worker."""
    async with Worker(shadows) as worker, shadows.redis() as redis:
        places, consumer = worker._parts.places, worker.membership.consumer
        older, first, second = [await shadows.add(each)(n) for n, each in enumerate((free, alone, alone))]
        await has_returned(shadows, older)
        numbers = [await waits_at_alone(shadows, each) for each in (first, second)]
        await redis.xgroup_create(shadows.keys.returned, "workers", "0")
        ((generation, *_),) = await places._open([Opening(consumer, "c:alone", 1)], consumer, 1)
        assert generation == str(older.submission)
        assert await redis.hkeys(f"{shadows.keys.prefix}gate:c:alone") == [numbers[0].encode()]
        assert await shadows.cancel(first.key)
        places._look_soon()
        await wait_until(lambda: not places._looking, "it has looked")
        assert await redis.hkeys(f"{shadows.keys.prefix}gate:c:alone") == [numbers[1].encode()]
    await finish(shadows)
    assert sorted(ran) == [0, 2]
    await all_is_gone(shadows)


async def test_a_place_is_given_on_though_the_counter_was_lost(shadows: Shadow) -> None:
    """What has returned was given higher numbers than there are now: an entry that is refused is in no other place."""
    async with Worker(shadows) as worker:
        execution = await shadows.add(alone)(1)
        await waits_at_alone(shadows, execution)
        ahead = await lose_counter(shadows)
        consumer = worker.membership.consumer
        ((generation, *_),) = await worker._parts.places._open([Opening(consumer, "c:alone", 1)], consumer, 1)
        assert int(generation) > ahead
    await still_adds(shadows, ahead)
    assert ran == [1]
    await all_is_gone(shadows)


async def test_one_that_has_to_wait_does_though_the_counter_was_lost(shadows: Shadow) -> None:
    hold = asyncio.Event()
    held = gate(hold)
    async with working(shadows) as worker:
        first = await shadows.add(held)(1)
        await wait_until(lambda: any(each.places for each in worker.slots.running.values()), "it holds the place")
        ahead = await lose_counter(shadows, shadows.keys.waiting)
        # An add looks at the ready work, which is behind what waits: the counter is there again, and too low.
        second = await shadows.add(held)(2)
        await some_wait(shadows, 1)
        hold.set()
        await asyncio.gather(first.get_result(timeout=5), second.get_result(timeout=5))
    await still_adds(shadows, ahead)
    await all_is_gone(shadows)
