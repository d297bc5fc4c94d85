"""Large numbers: Redis is never held up, nobody is taken for dead, and nothing is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
import redis

from shadows import Shadow, Worker
from shadows.testing import RedisServer
from tests.faults.conftest import SCRIPTS, Starter, brief_shadow
from tests.features.workers import working
from tests.recorded import Journal, hold
from tests.waiting import wait_until

# What a call may hold up everybody else. [faults 28]
BLOCKED_MS = 5

counted: Counter[str] = Counter()


async def count(label: str, padding: bytes = b"") -> None:
    """A task that is counted in this process."""
    counted[label] += 1


@pytest.fixture
async def shadow(own_redis: RedisServer) -> AsyncIterator[Shadow]:
    counted.clear()
    async with brief_shadow(own_redis.url) as shadow:
        shadow.register(count)
        own_redis.config("slowlog-max-len", 1000)
        own_redis.config("slowlog-log-slower-than", BLOCKED_MS * 1000)
        yield shadow


def held_up(server: RedisServer, milliseconds: float = BLOCKED_MS) -> list[tuple[str, float]]:
    """What held Redis up for longer than it may, and for how many ms. A machine that is busy with something else
    stretches a call now and then, which is no fault of the call: twenty of thousands don't count, if they are short."""
    with redis.Redis.from_url(server.url) as client:
        client.response_callbacks.clear()
        log: Any = client.execute_command("SLOWLOG", "GET", 1000)
    names = {script.digest.encode(): script.name for script in SCRIPTS}
    slow = [(str(names.get(each[3][1], each[3][:2])), each[2] / 1000) for each in log if each[2] > milliseconds * 1000]
    return slow if len(slow) > 20 or any(ms > 5 * milliseconds for _, ms in slow) else []


async def test_five_hundred_slots_run_five_thousand_tasks(shadow: Shadow, own_redis: RedisServer) -> None:
    await shadow.add_many([shadow.call(count, key=f"k{n}")(f"k{n}") for n in range(5000)])
    async with Worker(shadow, concurrency=500) as worker, asyncio.timeout(20):
        await worker.run_until_finished()
    assert len(counted) == 5000
    assert set(counted.values()) == {1}


async def test_a_worker_that_holds_a_thousand_keeps_and_settles_them(
    shadow: Shadow, journal: Journal, start_worker: Starter
) -> None:
    worker = start_worker(shadow, concurrency=1000)
    await shadow.add_many([shadow.call(hold, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(1000)])
    await wait_until(lambda: len(journal.events) == 1000, "all run")
    start_worker(shadow)
    await asyncio.sleep(1)
    journal.open_gate("gate")
    await wait_until(lambda: len(journal.events) == 2000, "all have ended")
    async with shadow.redis() as client:
        await wait_until(lambda: is_empty(client, shadow), "all are settled")
    assert set(journal.count("start").values()) == {1}
    assert "fenced" not in worker.output


async def test_a_thousand_held_tasks_of_a_killed_worker_run_again(
    shadow: Shadow, own_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    victim = start_worker(shadow, concurrency=1000)
    await shadow.add_many([shadow.call(hold, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(1000)])
    await wait_until(lambda: len(journal.events) == 1000, "all run")
    start_worker(shadow, concurrency=1000)
    victim.kill()
    await wait_until(lambda: len(journal.events) == 2000, "all run again")
    journal.open_gate("gate")
    async with shadow.redis() as client:
        await wait_until(lambda: is_empty(client, shadow), "all are settled")
    assert set(journal.count("start").values()) == {2}
    assert set(journal.count("end").values()) == {1}


async def is_empty(client: Any, shadow: Shadow) -> bool:
    """Whether nothing waits or runs."""
    return not any([await client.xlen(stream) for stream in shadow.keys.streams])


@pytest.mark.timed
async def test_redis_is_never_held_up(shadow: Shadow, own_redis: RedisServer) -> None:
    """By 1 000 payloads of 10 kB in one bulk, 20 000 that are due at once, and 50 000 of a dead worker."""
    padding = b"x" * 10_000
    added = await shadow.add_many([shadow.call(count, key=f"k{n}")(f"k{n}", padding) for n in range(1000)])
    assert {str(each.disposition) for each in added} == {"scheduled"}
    assert held_up(own_redis) == []
    async with shadow.redis() as client:
        await client.xgroup_create(shadow.keys.stream, "workers", "0")
        soon = timedelta(seconds=1)
        await shadow.add_many([shadow.call(count, key=f"d{n}", when=soon)(f"d{n}") for n in range(20_000)])
        await shadow.add_many([shadow.call(count, key=f"p{n}")(f"p{n}") for n in range(50_000)])
        for _ in range(100):
            await client.xreadgroup("workers", "gone#1", {shadow.keys.stream: ">"}, count=600)
        await client.zadd(shadow.keys.leases, {"gone#1": 1})
    own_redis.command("SLOWLOG", "RESET")
    since = monotonic()
    async with Worker(shadow, concurrency=100) as worker, asyncio.timeout(60):
        await worker.run_until_finished()
    print(f"71 000 in {monotonic() - since:.1f} s")
    assert held_up(own_redis) == []
    assert len(counted) == 71_000
    assert set(counted.values()) == {1}


@pytest.mark.timed
async def test_large_payloads_of_the_dead_and_the_parked_hold_nothing_up(
    shadow: Shadow, own_redis: RedisServer
) -> None:
    """A call moves 200 entries or 1 MiB, whichever comes first: 200 payloads of 500 kB are 100 MB."""
    padding = b"x" * 500_000
    await shadow.add_many([shadow.call("later", key=f"u{n}")(f"u{n}", padding) for n in range(100)])
    async with working(shadow, concurrency=100):
        await wait_until(lambda: parked_count(shadow, 100), "all are parked")
    await shadow.add_many([shadow.call(count, key=f"k{n}")(f"k{n}", padding) for n in range(100)])
    async with shadow.redis() as client:
        await client.xreadgroup("workers", "gone#1", {shadow.keys.stream: ">"}, count=100)
        await client.zadd(shadow.keys.leases, {"gone#1": 1})
    shadow.register(count, names=["later"])
    own_redis.command("SLOWLOG", "RESET")
    async with Worker(shadow, concurrency=100) as worker, asyncio.timeout(60):
        await worker.run_until_finished()
    # Three such payloads are more than 1 MiB, and take their time.
    assert held_up(own_redis, 20) == []
    assert len(counted) == 200


async def parked_count(shadow: Shadow, number: int) -> bool:
    """Whether so many are parked."""
    return (await shadow.snapshot(limit=1)).unknown_count == number


@pytest.mark.timed
async def test_clearing_much_holds_nothing_up(shadow: Shadow, own_redis: RedisServer) -> None:
    padding = b"x" * 100_000
    hour = timedelta(hours=1)
    await shadow.add_many([shadow.call(count, key=f"d{n}", when=hour)(f"d{n}") for n in range(5000)])
    await shadow.add_many([shadow.call(count, key=f"k{n}")(f"k{n}", padding) for n in range(500)])
    async with shadow.redis() as client:
        await client.xgroup_create(shadow.keys.stream, "workers", "0")
        for n in range(20):
            await client.xreadgroup("workers", f"gone#{n}", {shadow.keys.stream: ">"}, count=10)
    own_redis.command("SLOWLOG", "RESET")
    assert await shadow.clear() == 5500
    assert held_up(own_redis) == []


@pytest.mark.slow
@pytest.mark.timed
async def test_a_million_queued_are_worked_off_as_fast_as_a_few(shadow: Shadow, own_redis: RedisServer) -> None:
    async def drain(number: int) -> float:
        for start in range(0, number, 50_000):
            await shadow.add_many([shadow.call(count)("all") for _ in range(start, min(start + 50_000, number))])
        since = monotonic()
        async with Worker(shadow, concurrency=100) as worker:
            await worker.run_until_finished()
        return number / (monotonic() - since)

    few = await drain(20_000)
    many = await drain(1_000_000)
    assert counted["all"] == 1_020_000
    assert many > 0.7 * few
    assert held_up(own_redis) == []
