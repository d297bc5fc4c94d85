"""Whatever came and went leaves nothing behind: no memory, no keys, no consumers, no file descriptors."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psutil
import pytest

from shadows import Shadow
from shadows.testing import RedisServer
from tests.faults.conftest import Starter, brief_shadow
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_until

MEBIBYTE = 1 << 20


@pytest.fixture
async def shadow(own_redis: RedisServer) -> AsyncIterator[Shadow]:
    """A shadow of its own server, which forgets outcomes soon."""
    async with brief_shadow(own_redis.url, execution_ttl=timedelta(seconds=1)) as shadow:
        yield shadow


def keys_of(server: RedisServer) -> set[str]:
    """What the server holds, but for the answers that it keeps for a minute."""
    found = server.command("KEYS", "*")
    assert isinstance(found, list)
    return {key.partition("}:")[2] for key in found if "}:reply:" not in key}


FLAT = {"stream", "generation", "leases", "workers", "functions"}


@pytest.mark.slow
async def test_a_hundred_thousand_tasks_leave_nothing_behind(
    shadow: Shadow, own_redis: RedisServer, start_worker: Starter, journal: Journal
) -> None:
    worker = psutil.Process(start_worker(shadow, concurrency=50).pid)
    await work_off(shadow, 20_000)
    before = worker.memory_info().rss, worker.num_fds(), worker.num_threads()
    for _ in range(4):
        await work_off(shadow, 20_000)
    after = worker.memory_info().rss, worker.num_fds(), worker.num_threads()
    assert after[0] - before[0] < 2 * MEBIBYTE
    assert after[1:] == before[1:]
    await wait_until(lambda: keys_of(own_redis) <= FLAT, "only the frame is left")
    assert own_redis.command("XLEN", shadow.keys.stream) == 0
    (group,) = groups_of(own_redis, shadow)
    assert (group["consumers"], group["pending"]) == (1, 0)


async def work_off(shadow: Shadow, number: int) -> None:
    """Adds so many and waits until all of them have run."""
    await shadow.add_many([shadow.call("quick", key=f"k{n}")() for n in range(number)])
    async with shadow.redis() as client:

        async def is_empty() -> bool:
            return await client.xlen(shadow.keys.stream) == 0

        await wait_until(is_empty, "all have run", 60)
    await asyncio.sleep(1.2)


def groups_of(server: RedisServer, shadow: Shadow) -> list[dict[str, object]]:
    """What Redis says of the stream's groups."""
    rows = server.command("XINFO", "GROUPS", shadow.keys.stream)
    assert isinstance(rows, list)
    return [row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True)) for row in rows]


async def test_workers_that_come_and_are_killed_leave_nothing_behind(
    shadow: Shadow, own_redis: RedisServer, start_worker: Starter, journal: Journal
) -> None:
    """Half of them while they run something."""
    for cycle in range(6):
        worker = start_worker(shadow, concurrency=4)
        if cycle % 2:
            await shadow.add(hold, key=f"k{cycle}")(str(journal), f"k{cycle}", "gate")
            await wait_until(lambda: journal.count("start")[f"k{cycle}"] == 1, "a task runs")  # noqa: B023
        worker.kill()
    journal.open_gate("gate")
    start_worker(shadow)
    await wait_until(lambda: len(journal.count("end")) == 3, "all tasks have run")
    await wait_until(lambda: keys_of(own_redis) <= FLAT, "only the frame is left")
    await wait_until(lambda: groups_of(own_redis, shadow)[0]["consumers"] in (1, 2), "no consumer is left of the dead")
    for key in (shadow.keys.leases, shadow.keys.workers, shadow.keys.functions):
        command = "ZCARD" if key == shadow.keys.leases else "HLEN"
        await wait_until(lambda: own_redis.command(command, key) == 1, f"one row in {key}")  # noqa: B023


async def test_calls_that_come_and_go_leave_nothing_behind(
    shadow: Shadow, own_redis: RedisServer, start_worker: Starter, journal: Journal
) -> None:
    start_worker(shadow)
    await (await shadow.add(rest, key="first")(str(journal), "first")).get_result(timeout=5)
    before = own_redis.command("INFO", "clients")
    for n in range(50):
        execution = await shadow.add(rest, key=f"k{n}")(str(journal), f"k{n}")
        await execution.get_result(timeout=5)
        await shadow.cancel(f"k{n}")
        await shadow.add(rest, key=f"k{n}", when=timedelta(hours=1))(str(journal), f"k{n}")
        await shadow.replace(rest, timedelta(hours=2), f"k{n}")(str(journal), f"k{n}")
        assert await shadow.cancel(f"k{n}")
    assert isinstance(before, dict)
    after = own_redis.command("INFO", "clients")
    assert isinstance(after, dict)
    assert after["connected_clients"] == before["connected_clients"]
    assert own_redis.command("PUBSUB", "CHANNELS", "*") == [shadow.keys.signal]
    await wait_until(lambda: keys_of(own_redis) <= FLAT, "only the frame is left")
