"""Places at limits: given back and given on, kept while a run lasts, and found when they were lost."""

import asyncio
from datetime import timedelta
from math import inf

import pytest

from shadows import ConcurrencyLimit, Shadow, Worker
from shadowsd.engine.places import Opening
from tests.faults.conftest import brief_shadow
from tests.faults.gated import all_is_gone, holders, some_wait
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until

from .limited import alone, ran


async def test_places_of_long_runs_are_kept_from_expiring(shadows: Shadow) -> None:
    hold = asyncio.Event()

    async def lasts(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await hold.wait()

    gate = f"{shadows.keys.prefix}gate:c:lasts"
    async with Worker(shadows) as worker, shadows.redis() as redis:
        worker._parts.places.keep_seconds = 0.01
        running = asyncio.create_task(worker.run_forever())
        await shadows.add(lasts)()
        await wait_until(lambda: holders(shadows, "lasts"), "it runs")
        await redis.pexpire(gate, 50_000)

        async def is_kept() -> bool:
            return bool(await redis.pttl(gate) > 50_000)

        await wait_until(is_kept, "its place lasts again")
        hold.set()
        await all_is_gone(shadows)
        await worker.stop_at_once()
        await running


async def test_places_are_kept_on_through_an_outage(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "shadows.worker")
    hold = asyncio.Event()

    async def lasts(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await hold.wait()

    async with brief_shadow(proxy.url) as shadows, Worker(shadows) as worker:
        worker._parts.places.keep_seconds = 0.01
        running = asyncio.create_task(worker.run_forever())
        await shadows.add(lasts)()
        await wait_until(lambda: any(each.places for each in worker.slots.running.values()), "it runs")
        proxy.refuse()
        proxy.cut()
        await wait_until(lambda: "Keeping places failed" in caplog.text, "it is noticed")
        proxy.accept()
        hold.set()
        await all_is_gone(shadows)
        await worker.stop_at_once()
        await running


async def test_a_gate_that_can_not_be_opened_is_told_of_and_keeps_nobody_else_waiting(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else keeps data under its name."""
    async with working(shadows) as worker, shadows.redis() as redis:
        await redis.set(f"{shadows.keys.prefix}queue:c:bad", "no sorted set")
        await redis.hset(f"{shadows.keys.prefix}gate:c:good", "7", b"\x93" + consumer_of(worker) + b"\xa1k\xa15")
        consumer = worker.membership.consumer
        worker._parts.places.open_soon(
            [Opening(consumer, "c:bad", 1), Opening(consumer, "c:good", 1, "7", "5"), Opening(consumer, "c:bad", 1)]
        )
        await wait_until(lambda: "The gate 'c:bad' can't be opened" in caplog.text, "it is told of")
        await wait_until(lambda: none(shadows, "good"), "the other one is open")
        await redis.delete(f"{shadows.keys.prefix}queue:c:bad")


def consumer_of(worker: Worker) -> bytes:
    name = worker.membership.consumer.encode()
    return bytes([0xD9, len(name)]) + name


async def none(shadows: Shadow, name: str) -> bool:
    return await holders(shadows, name) == 0


async def test_a_look_that_fails_comes_again(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "shadows.worker")
    async with working(shadows) as worker, shadows.redis() as redis:
        await redis.set(shadows.keys.gates, "no sorted set")
        worker._parts.places.look_again()
        await wait_until(lambda: "Looking at the gates failed" in caplog.text, "it fails")
        await redis.delete(shadows.keys.gates)
        await (await shadows.add(alone)(1)).get_result(timeout=5)


@pytest.mark.parametrize("count", [45, 450])
async def test_a_look_passes_all_gates_and_all_who_were_cancelled(shadows: Shadow, count: int) -> None:
    """More gates than one look takes, and more of the cancelled than one call takes."""
    hold = asyncio.Event()

    async def by_value(value: int, number: int, limit: ConcurrencyLimit = ConcurrencyLimit("value")) -> None:
        await hold.wait()

    values = 45
    async with working(shadows, concurrency=60):
        for number in range(1 + count // values):
            await shadows.add_many(
                [shadows.call(by_value, key=f"{number}.{value}")(value, number) for value in range(values)]
            )
        await some_wait(shadows, values * (count // values))
        for number in range(1, 1 + count // values):
            await asyncio.gather(*[shadows.cancel(f"{number}.{value}") for value in range(values)])

        async def nobody_waits() -> bool:
            async with shadows.redis() as redis:
                left = await redis.keys(shadows.keys.prefix.replace("{", "[{]") + "queue:*")
                return not left and not await redis.exists(shadows.keys.gates)

        await wait_until(nobody_waits, "all who were cancelled are out of the queues")
        hold.set()
        await all_is_gone(shadows)


async def test_who_is_older_than_those_that_wait_passes_and_keeps_its_place(shadows: Shadow) -> None:
    """As one that was scheduled when they were not there yet. The gate is opened beside it: whoever waits there was
    forgotten, and that must not take the place of the one that has just got it."""
    hold = asyncio.Event()

    async def limited(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(number)
        await hold.wait()

    async with Worker(shadows) as worker:
        looks_no_more(worker)
        await shadows.add(limited)(1)
        young = await shadows.add(limited)(2)
        async with shadows.redis() as redis:
            ((id, fields),) = await redis.xrange(shadows.keys.stream, f"{young.submission}", f"{young.submission}")
            await redis.xdel(shadows.keys.stream, id)
            await redis.xadd(shadows.keys.waiting, {"n": str(young.submission), "gt": LIMITED, **fields}, id=id)
            await redis.hset(shadows.keys.record(young.key), mapping={"at": "waiting", "n": str(young.submission)})
            await redis.zadd(f"{shadows.keys.prefix}queue:c:limited", {str(young.submission): young.submission})
            await redis.zadd(shadows.keys.gates, {"c:limited": 1})
        running = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: ran == [1], "the older one runs")
        await wait_until(lambda: not worker._parts.places._opening, "the gate was opened")
        assert await holders(shadows, "limited") == 1
        assert ran == [1]
        hold.set()
        await young.get_result(timeout=5)
        await worker.stop_at_once()
        await running
    assert ran == [1, 2]


def looks_no_more(worker: Worker) -> None:
    """Its beats find nothing to do at gates any more."""
    worker._parts.places._looked = inf


async def test_a_lost_place_is_found_by_who_has_to_wait_for_it(shadows: Shadow) -> None:
    """And not by the next look only, which may come a lease later."""
    async with Worker(shadows) as worker, shadows.redis() as redis:
        looks_no_more(worker)
        await redis.hset(f"{shadows.keys.prefix}gate:c:alone", "7", b"\x93\xa4gone\xa4gone\xa11")
        running = asyncio.create_task(worker.run_forever())
        await (await shadows.add(alone)(1)).get_result(timeout=5)
        await worker.stop_at_once()
        await running
    await all_is_gone(shadows)


@pytest.mark.parametrize("parked", ["unknown:other", "paused:other"])
async def test_what_is_parked_keeps_no_place(shadows: Shadow, parked: str) -> None:
    """It may wait for days. Its worker died between parking it and giving the place back."""
    async with Worker(shadows) as worker, shadows.redis() as redis:
        looks_no_more(worker)
        await redis.hset(f"{shadows.keys.prefix}gate:c:alone", "7", b"\x93\xa4gone\xa6parked\xa17")
        mapping = {"s": "queued", "g": "7", "n": "7", "at": parked}
        await redis.hset(shadows.keys.record("parked"), mapping=mapping)
        await redis.xadd(shadows.keys.prefix + parked, {"k": "parked"}, id="7-0")
        running = asyncio.create_task(worker.run_forever())
        await (await shadows.add(alone)(1)).get_result(timeout=5)
        await worker.stop_at_once()
        await running


@pytest.mark.parametrize(("own", "generation"), [(True, "6"), (False, "5")])
async def test_only_the_place_of_the_very_run_that_ended_is_taken_back(
    shadows: Shadow, own: bool, generation: str
) -> None:
    """It may be that of the next attempt by now, or of the worker that took the execution from a dead one."""
    async with working(shadows) as worker, shadows.redis() as redis:
        holder = consumer_of(worker) if own else b"\xa4heir"
        await redis.hset(f"{shadows.keys.prefix}gate:c:x", "7", b"\x93" + holder + b"\xa1k\xa1" + generation.encode())
        places, consumer = worker._parts.places, worker.membership.consumer
        places.open_soon([Opening(consumer, "c:x", 1, "7", "5")])
        await wait_until(lambda: not places._opening, "it was opened")
        assert await holders(shadows, "x") == 1
        await redis.hset(f"{shadows.keys.prefix}gate:c:x", "7", b"\x93" + consumer_of(worker) + b"\xa1k\xa15")
        places.open_soon([Opening(consumer, "c:x", 1, "7", "5")])
        await wait_until(lambda: none(shadows, "x"), "its own place is free")


async def test_an_entry_that_lost_its_places_is_not_handed_over_as_if_it_had_them(shadows: Shadow) -> None:
    """It was let in, parked by a worker that did not know its function, and came back."""
    most = 0
    hold = asyncio.Event()

    async def limited(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        nonlocal most
        most = max(most, await holders(shadows, "limited"))
        await (hold.wait() if number == 1 else asyncio.sleep(0))
        ran.append(number)

    async with Worker(shadows, concurrency=1) as worker, shadows.redis() as redis:
        started = asyncio.create_task(worker.run_forever())
        worker.slots.concurrency = 3
        for number in (1, 2, 3):
            last = await shadows.add(limited)(number)
        await some_wait(shadows, 2)
        back = await shadows.add(limited, when=timedelta(hours=1))(4)
        payload = await redis.hget(shadows.keys.record(back.key), "p")
        worker.slots.concurrency = 1
        fields = {"n": str(back.submission), "gt": LIMITED, "k": back.key, "f": "limited", "p": payload}
        number = await redis.incrby(shadows.keys.generation, 10)
        await redis.zrem(shadows.keys.schedule, back.key)
        mapping = {"s": "queued", "g": str(number), "at": "returned", "n": str(back.submission)}
        await redis.hset(shadows.keys.record(back.key), mapping=mapping)
        await redis.xadd(shadows.keys.returned, fields, id=f"{number}-0")
        hold.set()
        await last.get_result(timeout=5)
        await back.get_result(timeout=5)
        await worker.stop_at_once()
        await started
    assert sorted(ran) == [1, 2, 3, 4]
    assert most == 1
    await all_is_gone(shadows)


LIMITED = b"\x91\x92\xa9c:limited\x01"


async def test_an_opening_that_has_more_to_do_than_a_script_may_is_followed_by_a_look(shadows: Shadow) -> None:
    """All who waited were cancelled, more of them than one call takes out of the queue."""
    async with Worker(shadows) as worker, shadows.redis() as redis:
        looks_no_more(worker)
        shadows.register(alone)
        queue = f"{shadows.keys.prefix}queue:c:alone"
        await redis.zadd(queue, {str(number): number for number in range(1, 500)})
        await redis.zadd(shadows.keys.gates, {"c:alone": 1})
        worker._parts.places.open_soon([Opening(worker.membership.consumer, "c:alone", 1)])

        async def is_empty() -> bool:
            return not await redis.exists(queue, shadows.keys.gates)

        await wait_until(is_empty, "the queue is empty")
