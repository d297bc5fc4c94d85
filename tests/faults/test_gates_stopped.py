"""Limits over all workers hold when a worker is stopped while Redis is gone, and its places come back afterwards."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import pytest

from shadows import Shadow, Worker
from shadows.testing import RedisServer
from tests.daemon import Daemon
from tests.faults.conftest import LEASE_SECONDS, Starter, brief_shadow
from tests.faults.gated import all_is_gone, most_at_once, some_wait
from tests.faults.running import SPAWNS
from tests.features.workers import working
from tests.proxy import Proxy
from tests.recorded import Journal, hold_limited, write
from tests.waiting import wait_until

LABELS = [f"k{n}" for n in range(6)]

# Handing back is given up after 5 s, and so is signing off.
STOP_SECONDS = 12.0


@pytest.fixture
async def durable(durable_redis: RedisServer) -> AsyncIterator[Shadow]:
    durable_redis.config("appendfsync", "always")
    async with brief_shadow(durable_redis.url) as shadow:
        yield shadow


async def two_run_and_four_wait(shadow: Shadow, journal: Journal) -> list[str]:
    """Which two run: of several workers each asks for its own."""
    for label in LABELS:
        await shadow.add(hold_limited, key=label)(str(journal), label, "gate")
    await wait_until(lambda: journal.count("start").total() == 2, "two run")
    await some_wait(shadow, 4)
    return list(journal.count("start"))


async def the_rest_runs(shadow: Shadow, journal: Journal, *again: str) -> None:
    """By another worker, soon, two at a time, and only those once more whose outcome could not be written."""
    journal.open_gate("gate")
    began = monotonic()
    await wait_until(lambda: all_have_ended(shadow), "all have ended")
    assert monotonic() - began < LEASE_SECONDS + 2
    assert journal.count("start") == {label: 2 if label in again else 1 for label in LABELS}
    assert most_at_once(journal) == 2
    await all_is_gone(shadow)


async def all_have_ended(shadow: Shadow) -> bool:
    found = [await shadow.get_execution(label) for label in LABELS]
    return all(each is not None and each.state == "completed" for each in found)


@pytest.mark.parametrize("lasts", [True, False], ids=["runs on", "ends meanwhile"])
async def test_a_worker_that_is_stopped_twice(
    lasts: bool, durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    """TERM waits for what runs, and for outcomes that can't be written; INT waits for nothing."""
    worker = start_worker(durable)
    await two_run_and_four_wait(durable, journal)
    durable_redis.stop()
    worker.signal(signal.SIGTERM)
    if not lasts:
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 2, "both end")
    began = monotonic()
    worker.signal(signal.SIGINT)
    assert await asyncio.to_thread(worker.wait, 20) == 0
    assert monotonic() - began < STOP_SECONDS
    durable_redis.start()
    start_worker(durable)
    await the_rest_runs(durable, journal, "k0", "k1")


async def test_a_worker_that_is_stopped_and_finds_redis_again(
    durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    """What ended meanwhile is written down, gives its places on, and does not run again."""
    worker = start_worker(durable)
    await two_run_and_four_wait(durable, journal)
    durable_redis.stop()
    worker.signal(signal.SIGTERM)
    journal.open_gate("gate")
    await wait_until(lambda: journal.count("end").total() == 2, "both end")
    durable_redis.start()
    assert await asyncio.to_thread(worker.wait) == 0
    assert await durable.workers() == []
    start_worker(durable)
    await the_rest_runs(durable, journal)


@SPAWNS
async def test_a_daemon_that_is_stopped(
    spawn: str, tmp_path: Path, durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    """It ends after its drain timeout, and kills what can't hand back."""
    with Daemon(tmp_path, durable, drain_timeout="500ms", spawn=spawn) as daemon:
        daemon.wait_ready()
        two = await two_run_and_four_wait(durable, journal)
        durable_redis.stop()
        began = monotonic()
        assert daemon.stop(15) == 0
        assert monotonic() - began < STOP_SECONDS
        for pid in {pid for _, _, pid in journal.events}:
            write(str(journal), "killed", str(pid))
    durable_redis.start()
    start_worker(durable)
    await the_rest_runs(durable, journal, *two)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_worker_that_is_stopped_while_it_alone_is_cut_off(
    at_once: bool, far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    """Others work on beside it. Its places are those of its executions, which run again when its lease is over."""
    async with working(near, concurrency=1), Worker(far) as worker:
        running = asyncio.create_task(worker.run_forever())
        await two_run_and_four_wait(near, journal)
        proxy.refuse()
        proxy.cut()
        began = monotonic()
        if at_once:
            await worker.stop_at_once()
            assert monotonic() - began < STOP_SECONDS
        else:
            worker.stop()
            journal.open_gate("gate")
            await wait_until(lambda: len(journal.count("end")) > 2, "the other worker goes on")
            proxy.accept()
        await running
    async with working(near):
        journal.open_gate("gate")
        await wait_until(lambda: all_have_ended(near), "all have ended")
        await all_is_gone(near)
    assert most_at_once(journal) <= 2
