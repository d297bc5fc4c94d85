"""The counter of generations is lost, as by an eviction or a hand, and the clock is behind what it had given out.

A failover does that to the clock. Redis refuses an id that does not rise; `submit` looked at the stream for how far
the counter had come, and every other script that adds to a stream stopped in the middle: what it had taken from one
place was in no other.
"""

from contextlib import suppress
from datetime import timedelta
from time import time

import pytest
from redis.exceptions import ResponseError

from shadows import ExecutionState, Retry, Shadow
from shadows.registry import Registry
from shadowsd.engine.asides import Asides
from tests.engine.parts import Recorded, delivered, link_of, make_group, outage_of
from tests.engine.test_sweep import Watch, die
from tests.features.workers import finish, working
from tests.waiting import wait_until

HOUR_US = 3600 * 1_000_000
READY, OTHERS = "the ready work", "the other streams"
each_order = pytest.mark.parametrize("furthest", [READY, OTHERS])


async def job(n: int = 0) -> int:
    return n


async def lose_counter(shadows: Shadow, *streams: str, furthest: str = OTHERS) -> int:
    """Every stream has given out ids of hours ahead, and the counter is gone; returns what the ready work had last.
    Who looks only at that, or only at its own stream, sees too little in one of two orders."""
    now, hours = int(time() * 1_000_000), 1 if furthest == OTHERS else 9
    async with shadows.redis() as redis:
        for stream in shadows.keys.streams:
            with suppress(ResponseError):  # it has its group
                await redis.xgroup_create(stream, "workers", "0", mkstream=True)
        for stream in (*shadows.keys.streams, *streams):
            ahead = now + HOUR_US * (hours if stream == shadows.keys.stream else 5)
            async with redis.pipeline() as both:  # at once: no worker that waits there sees it
                await both.xadd(stream, {"k": ""}, id=f"{ahead}-0").xdel(stream, f"{ahead}-0").execute()
        await redis.delete(shadows.keys.generation)
    return now + HOUR_US * hours


async def generation(shadows: Shadow) -> int:
    """What the counter says now."""
    async with shadows.redis() as redis:
        return int(await redis.get(shadows.keys.generation) or 0)


def asides_of(shadows: Shadow) -> Asides:
    recorded = Recorded()
    return Asides(link_of(shadows), shadows.keys, outage_of(recorded), recorded.source, 60_000, 24 * 3600 * 1000)


async def still_adds(shadows: Shadow, ahead: int) -> None:
    """What comes next must find a counter that is right again."""
    assert await generation(shadows) > ahead
    execution = await shadows.add(job)(7)
    assert execution.fence > ahead
    await finish(shadows)
    assert await execution.get_result(timeout=5) == 7


async def test_an_add_is_placed(shadows: Shadow) -> None:
    ahead = await lose_counter(shadows)
    execution = await shadows.add(job)(1)
    await finish(shadows)
    assert await execution.get_result(timeout=5) == 1
    await still_adds(shadows, ahead)


async def test_what_is_due_is_moved(shadows: Shadow) -> None:
    """Its payload was taken from the record, and no entry had it."""
    executions = [await shadows.add(job, when=timedelta(milliseconds=1))(n) for n in range(3)]
    ahead = await lose_counter(shadows)
    await finish(shadows)
    assert [await execution.get_result(timeout=5) for execution in executions] == [0, 1, 2]
    await still_adds(shadows, ahead)


async def test_a_retry_follows(shadows: Shadow) -> None:
    """The whole batch of outcomes was set aside: "it ran, and its outcome could not be written"."""
    runs: list[int] = []

    async def flaky(retry: Retry = Retry(attempts=2)) -> str:
        runs.append(retry.attempt)
        if retry.attempt == 1:
            ahead.append(await lose_counter(shadows))
            raise ConnectionError("not yet")
        return "done"

    ahead: list[int] = []
    async with working(shadows):
        execution = await shadows.add(flaky)()
        assert await execution.get_result(timeout=10) == "done"
    assert runs == [1, 2]
    assert await shadows.quarantine() == []
    await still_adds(shadows, ahead[0])


@each_order
async def test_a_suspect_is_put_apart(shadows: Shadow, furthest: str) -> None:
    """The take-over stopped after it had said in the record where the entry would be, and did so at each beat."""
    watch = Watch(shadows)
    watch.sweeper._steady_since = 0.0
    async with shadows.redis() as redis:
        await make_group(redis, shadows)
        execution = await shadows.add(job, key="suspect")()
        await die(shadows, watch, 1)
        ahead = await lose_counter(shadows, furthest=furthest)
        await die(shadows, watch, 1)
        assert await redis.xlen(shadows.keys.suspects) == 1
    found = await shadows.get_execution("suspect")
    assert found is not None
    assert (found.submission, found.fence > ahead) == (execution.submission, True)
    await still_adds(shadows, ahead)
    assert await execution.get_result(timeout=5) == 0


@each_order
async def test_an_unknown_function_is_parked_and_comes_back(shadows: Shadow, furthest: str) -> None:
    """At each of the two moves the counter is lost anew."""
    executions = [await shadows.add("job")(n) for n in range(2)]
    first, second = await delivered(shadows)
    asides = asides_of(shadows)
    await asides.park(first, Registry())
    ahead = await lose_counter(shadows, shadows.keys.parked("job"), furthest=furthest)
    await asides.park(second, Registry())
    assert (await shadows.snapshot()).unknown_count == 2
    assert await generation(shadows) > ahead
    ahead = await lose_counter(shadows, furthest=furthest)
    shadows.register(job)
    await asides.unpark("job")
    assert (await shadows.snapshot()).unknown_count == 0
    await still_adds(shadows, ahead)
    assert [await execution.get_result(timeout=5) for execution in executions] == [0, 1]


async def test_what_waits_beside_the_stream_is_ahead_of_a_counter_that_was_written_anew(shadows: Shadow) -> None:
    """An add came first: it looked at the ready work alone, and the counter is there again."""
    executions = [await shadows.add("job")(n) for n in range(2)]
    first, second = await delivered(shadows)
    asides = asides_of(shadows)
    await asides.park(first, Registry())
    await lose_counter(shadows, shadows.keys.parked("job"))
    executions.append(await shadows.add("job")(2))
    await asides.park(second, Registry())
    assert (await shadows.snapshot()).unknown_count == 2
    shadows.register(job)
    await asides.unpark("job")
    await finish(shadows)
    assert [await execution.get_result(timeout=5) for execution in executions] == [0, 1, 2]


async def test_a_quarantined_entry_is_given_back(shadows: Shadow) -> None:
    """The retry deleted the record and stopped before the entry was in the stream."""
    shadows.register(job)
    payload = shadows.codec.encode_call(None, "job", "job", (5,), {})
    async with shadows.redis() as redis:
        entry = await redis.xadd(shadows.keys.quarantine, {"k": "job", "f": "job", "p": payload})
    ahead = await lose_counter(shadows)
    await shadows.quarantine_retry(entry.decode())
    execution = await shadows.get_execution("job")
    assert execution is not None
    assert execution.state is ExecutionState.QUEUED
    await still_adds(shadows, ahead)
    assert await execution.get_result(timeout=5) == 5


@pytest.mark.parametrize("what", ["XINFO", "a flush"])
async def test_without_a_stream_the_clock_is_enough(shadows: Shadow, what: str) -> None:
    """After a flush there is nothing to look at, and something else may live under the stream's name."""
    async with shadows.redis() as redis:
        if what == "a flush":
            await redis.delete(shadows.keys.stream, shadows.keys.generation)
            execution = await shadows.add(job)(1)
            assert abs(execution.fence - time() * 1_000_000) < HOUR_US
        else:
            await redis.set(shadows.keys.stream, "no stream")
            (execution,) = await shadows.add_many([shadows.call(job)(1)])
            assert "WRONGTYPE" in str(execution.schedule_exception)
            await redis.delete(shadows.keys.stream)
    assert await wait_until(lambda: generation(shadows), "the counter is there")
