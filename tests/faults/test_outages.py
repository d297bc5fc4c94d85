"""Redis goes away and comes back: everything goes on by itself, nothing is lost, and nobody who lives is robbed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from time import monotonic

import pytest

from shadows import Shadow
from shadows.errors import ConnectionFailed
from shadows.testing import RedisServer
from tests.faults.conftest import LEASE_SECONDS, Starter, brief_shadow
from tests.features.workers import working
from tests.processes import Process
from tests.proxy import Proxy
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_for, wait_until


class Load:
    """Adds a task each few milliseconds, and the same one again when it could not be added."""

    def __init__(self, shadow: Shadow, journal: Journal) -> None:
        self.shadow = shadow
        self.journal = journal
        self.accepted: set[str] = set()
        self.failures = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Loads while the block runs, and goes on until its last task is accepted."""
        ending = asyncio.Event()
        task = asyncio.create_task(self._add(ending))
        try:
            yield self
        finally:
            ending.set()
            await task

    async def _add(self, ending: asyncio.Event) -> None:
        number = 0
        while not ending.is_set():
            key = f"load-{number}"
            when = timedelta(milliseconds=100) if number % 3 == 0 else None
            try:
                await self.shadow.add(rest, key=key, when=when)(str(self.journal), key)
            except ConnectionFailed:
                self.failures += 1
            else:
                self.accepted.add(key)
                number += 1
            await asyncio.sleep(0.005)

    async def grows(self) -> None:
        """Waits until more was accepted."""
        before = len(self.accepted)
        await wait_until(lambda: len(self.accepted) > before + 20, "adds are accepted")

    async def is_done(self) -> None:
        """Waits until all that was accepted has run, and says that nothing ran twice."""
        await wait_until(lambda: self.accepted <= self.journal.count("end").keys(), "all that was accepted has run")
        assert {label: n for label, n in self.journal.count("start").items() if n > 1} == {}


@pytest.fixture
async def durable(durable_redis: RedisServer) -> AsyncIterator[Shadow]:
    """A shadow with short leases on a server that keeps its data."""
    async with brief_shadow(durable_redis.url) as shadow:
        yield shadow


def crash(server: RedisServer) -> None:
    """Down for longer than every lease."""
    server.kill()
    wait_for(passed(3 * LEASE_SECONDS), "the server was down for three leases")
    server.start()


def restart(server: RedisServer) -> None:
    server.restart()


def freeze(server: RedisServer) -> None:
    """Accepts connections, as the kernel does for it, and answers nothing."""
    server.pause()
    wait_for(passed(3 * LEASE_SECONDS), "the server was frozen for three leases")
    server.resume()


def passed(seconds: float) -> Callable[[], bool]:
    """Whether this time is over."""
    end = monotonic() + seconds
    return lambda: monotonic() > end


@pytest.mark.parametrize("outage", [crash, restart, freeze])
async def test_work_goes_on_by_itself_after_an_outage(
    outage: Callable[[RedisServer], None],
    durable: Shadow,
    durable_redis: RedisServer,
    journal: Journal,
    start_worker: Starter,
) -> None:
    workers = [start_worker(durable, name=name) for name in ("one", "two")]
    held = [await durable.add(hold, key=f"h{n}")(str(journal), f"h{n}", "gate") for n in range(10)]
    await wait_until(lambda: len(journal.count("start")) == 10, "the long tasks run")
    async with Load(durable, journal).running() as load:
        await load.grows()
        await asyncio.to_thread(outage, durable_redis)
        await load.grows()
    await load.is_done()
    await asyncio.sleep(2 * LEASE_SECONDS)  # a take-over of the living would come now
    journal.open_gate("gate")
    assert [await each.get_result(timeout=5) for each in held] == [f"h{n}" for n in range(10)]
    assert journal.count("stopped") == {}
    assert {journal.count("start")[f"h{n}"] for n in range(10)} == {1}
    for worker in workers:
        await wait_until(lambda: told(worker) == (1, 1), f"one outage is told: {told(worker)}")  # noqa: B023
        assert "reclaimed" not in worker.output
        assert "joins again" not in worker.output


def told(worker: Process) -> tuple[int, int]:
    """How many beginnings and ends of outages a worker logged."""
    return worker.output.count("Redis can't be used now"), worker.output.count("Redis can be used again")


async def test_a_worker_that_died_during_an_outage_is_taken_over_after_it(
    durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    victim = start_worker(durable, name="victim")
    held = [await durable.add(hold, key=f"h{n}")(str(journal), f"h{n}", "gate") for n in range(3)]
    await wait_until(lambda: len(journal.count("start")) == 3, "the tasks run")
    heir = start_worker(durable, name="heir")
    durable_redis.kill()
    victim.kill()
    await wait_until(lambda: told(heir)[0] == 1, "the heir notices the outage")
    durable_redis.start()
    since = monotonic()
    await wait_until(lambda: set(journal.count("start").values()) == {2}, "the tasks run again")
    assert LEASE_SECONDS < monotonic() - since < 2 * LEASE_SECONDS + 1
    journal.open_gate("gate")
    assert [await each.get_result(timeout=5) for each in held] == ["h0", "h1", "h2"]


async def test_scripts_that_the_server_forgets_are_told_again(
    durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    worker = start_worker(durable)
    async with Load(durable, journal).running() as load:
        for _ in range(5):
            await load.grows()
            durable_redis.command("SCRIPT", "FLUSH")
    await load.is_done()
    assert load.failures == 0
    assert told(worker) == (0, 0)


async def test_after_a_flush_the_living_go_on(
    durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    """What was stored is gone; what runs, runs on, and what comes later is run."""
    workers = [start_worker(durable, name=name) for name in ("one", "two")]
    await durable.add(hold)(str(journal), "held", "gate")
    await wait_until(lambda: journal.count("start") == {"held": 1}, "a task runs")
    for flush in range(4):
        durable_redis.command("FLUSHALL")
        # At once, so that a shadow is there again before the workers beat.
        await durable.add(rest)(str(journal), f"after {flush}")
        await wait_until(lambda: journal.count("end")[f"after {flush}"] == 1, "new work is done")  # noqa: B023
    journal.open_gate("gate")
    await wait_until(lambda: journal.count("end")["held"] == 1, "the old task ends")
    assert set(journal.count("start").values()) == {1}
    assert journal.count("stopped") == {}
    for worker in workers:
        assert "joins again" not in worker.output
        assert "reclaimed" not in worker.output
        assert told(worker) == (0, 0)

    def tells() -> int:
        return sum([worker.output.count("had lost everything") for worker in workers])

    await wait_until(lambda: tells() >= 4, "the log tells of each")
    assert tells() == 4


async def test_a_server_that_comes_back_empty_is_used_again(
    own_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    """The most common Redis of all keeps nothing on disk."""
    async with brief_shadow(own_redis.url) as shadow:
        start_worker(shadow)
        before = await shadow.add(rest)(str(journal), "before")
        assert await before.get_result(timeout=5) == "before"
        crash(own_redis)
        after = await shadow.add(rest)(str(journal), "after")
        assert await after.get_result(timeout=5) == "after"


async def test_a_waiting_get_result_outlives_a_restart(
    durable: Shadow, durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    start_worker(durable)
    execution = await durable.add(hold)(str(journal), "a", "gate")
    waiting = asyncio.create_task(execution.get_result(timeout=10))
    await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
    await asyncio.to_thread(crash, durable_redis)
    journal.open_gate("gate")
    assert await waiting == "a"


async def test_the_first_call_after_a_restart_works(durable: Shadow, durable_redis: RedisServer) -> None:
    """The connections broke while nobody used them."""
    assert await durable.get_execution("a") is None
    await durable.add(rest, key="a", when=timedelta(hours=1))("", "a")
    durable_redis.restart()
    assert await durable.get_execution("a") is not None
    assert (await durable.snapshot()).scheduled_count == 1


async def test_a_worker_whose_connections_are_cut_again_and_again_loses_nothing(
    shadows_url: str, proxy: Proxy, journal: Journal
) -> None:
    async with (
        brief_shadow(shadows_url) as near,
        brief_shadow(proxy.url, name=near.name) as far,
        working(far, concurrency=20),
    ):
        async with Load(near, journal).running() as load:
            for _ in range(15):
                await load.grows()
                proxy.cut()
            await load.grows()
        await load.is_done()


async def test_what_a_forgotten_connection_is_handed_still_runs(
    shadows_url: str, proxy: Proxy, journal: Journal
) -> None:
    """The worker has reconnected and looked what is its own, while Redis still serves its old blocked read."""
    async with (
        brief_shadow(shadows_url) as near,
        brief_shadow(proxy.url, name=near.name) as far,
        working(far) as worker,
    ):
        for n in range(3):
            await wait_until(lambda: is_blocked(near, worker.reader.client_id), "the worker waits for work")
            former = worker.reader.client_id
            proxy.strand()
            await wait_until(lambda: worker.reader.client_id != former, "the worker has reconnected")  # noqa: B023
            await wait_until(lambda: is_blocked(near, worker.reader.client_id), "it waits for work again")
            execution = await near.add(rest)(str(journal), f"k{n}")
            assert await execution.get_result(timeout=3) == f"k{n}"


async def is_blocked(shadow: Shadow, number: int) -> bool:
    """Whether a connection waits for work in a blocked read."""
    async with shadow.redis() as redis:
        return any(int(client["id"]) == number and "b" in client["flags"] for client in await redis.client_list())
