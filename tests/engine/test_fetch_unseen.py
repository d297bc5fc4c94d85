"""What Redis says is this worker's, and nobody here has seen, runs as it would have: a suspect alone."""

import asyncio

from shadows import Shadow
from shadows.keys import GROUP, SUSPECTS
from tests.features.workers import working
from tests.waiting import wait_until

from .parts import delivered


async def test_a_suspect_that_was_handed_over_and_not_seen_runs_with_nothing_else_in_flight(shadows: Shadow) -> None:
    """The reply that brought it was lost. Beside others, its next death would have several culprits."""
    beside: list[int] = []
    may_end = asyncio.Event()
    async with working(shadows) as worker:

        async def suspect() -> None:
            beside.append(len(worker.slots.running))

        async def long() -> None:
            await may_end.wait()

        shadows.register(suspect)
        held = await shadows.add(long)()
        await wait_until(lambda: not worker.slots.idle, "a long task runs")
        concurrency, worker.reader._slots.concurrency = worker.slots.concurrency, 0
        worker.reader.wake()
        await wait_until(lambda: not worker.reader._blocked, "the worker does not read")
        execution = await shadows.add(suspect, key="suspect")()
        (entry,) = await delivered(shadows)
        stream, consumer = shadows.keys.streams[SUSPECTS - 1], worker.membership.consumer
        async with shadows.redis() as redis:
            # As a take-over does after the second death; then this worker is handed it, by a reply that is lost.
            await redis.xgroup_create(stream, GROUP, "0", mkstream=True)
            await redis.hset(shadows.keys.record(entry.key), "at", "suspects")
            await redis.xadd(stream, {"k": entry.key, "f": entry.function, "p": entry.payload}, id=entry.id)
            await redis.xack(shadows.keys.stream, GROUP, entry.id)
            await redis.xdel(shadows.keys.stream, entry.id)
            assert await redis.xreadgroup(GROUP, consumer, {stream: ">"})

            async def looks() -> int:
                return int((await redis.info("commandstats")).get("cmdstat_xrange", {"calls": 0})["calls"])

            before = await looks()
            worker.reader.verify()
            worker.reader._slots.concurrency = concurrency
            worker.reader.wake()

            async def looked() -> bool:
                return await looks() > before

            await wait_until(looked, "the worker looked at what is its own")
        quick = await shadows.add(suspect, key="another")()
        # Long enough for it to begin, if it did not wait.
        await asyncio.sleep(0.05)
        assert beside == []
        may_end.set()
        await asyncio.gather(*[each.get_result(timeout=10) for each in (execution, held, quick)])
    assert beside == [1, 1]
