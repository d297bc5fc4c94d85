"""The reader: never more than there are slots for, nothing twice, and nothing that nobody saw."""

import asyncio
import logging
from datetime import timedelta

import pytest

from shadows import Shadow
from shadows.keys import PLACES, SUSPECTS
from shadowsd.engine.entries import Entry
from shadowsd.engine.slots import Running
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import delivered, entry_of

ran: list[int] = []


async def job(n: int = 0) -> int:
    ran.append(n)
    return n


async def short(n: int) -> None:
    ran.append(n)
    await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_a_worker_compares_what_is_its_own_before_it_reads(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """More of them than slots too; each runs once."""
    async with working(shadows, concurrency=2) as worker:
        executions = [await shadows.add(job)(n) for n in range(3)]
        await asyncio.gather(*[execution.get_result() for execution in executions])
        ran.clear()
        worker.reader._slots.concurrency = 0
        worker.reader.wake()
        await wait_until(lambda: not worker.reader._blocked, "the worker does not read")
        executions = [await shadows.add(short)(n) for n in range(8)]
        assert len(await delivered(shadows, consumer=worker.membership.consumer)) == 8
        worker.reader.verify()
        with caplog.at_level(logging.INFO, "shadows.worker"):
            worker.reader._slots.concurrency = 2
            worker.reader.wake()
            await asyncio.gather(*[execution.get_result(timeout=10) for execution in executions])
    assert sorted(ran) == list(range(8))
    assert "was handed to this worker and not seen" in caplog.text


async def test_a_pending_entry_that_was_deleted_is_let_go(shadows: Shadow) -> None:
    """Redis 6.2 keeps it pending for ever otherwise."""
    async with working(shadows) as worker:
        worker.reader._slots.concurrency = 0
        worker.reader.wake()
        await wait_until(lambda: not worker.reader._blocked, "the worker does not read")
        await shadows.add(job)()
        (entry,) = await delivered(shadows, consumer=worker.membership.consumer)
        async with shadows.redis() as redis:
            await redis.xdel(shadows.keys.stream, entry.id)
            worker.reader.verify()
            worker.reader._slots.concurrency = 2
            worker.reader.wake()

            async def nothing_is_pending() -> bool:
                return not (await redis.xpending(shadows.keys.stream, "workers"))["pending"]

            await wait_until(nothing_is_pending, "nothing is pending")
    assert ran == []


async def test_work_beside_the_stream_is_claimed_before_new_work(shadows: Shadow) -> None:
    """What waited for its function, or was taken from the dead, is older."""
    await shadows.add("parked")(0)
    await finish(shadows)

    async def parked(n: int) -> None:
        ran.append(n)

    for n in range(1, 4):
        await shadows.add(job)(n)
    shadows.register(parked)
    async with working(shadows, concurrency=1, name="brings it back"):
        await wait_until(lambda: 0 in ran, "the parked one ran", 15)
    await finish(shadows)
    assert sorted(ran) == [0, 1, 2, 3]


async def make_suspect(shadows: Shadow, entry: Entry) -> None:
    """Puts an entry that was delivered among the suspects, as a take-over does after the second death."""
    stream = shadows.keys.streams[SUSPECTS - 1]
    async with shadows.redis() as redis:
        await redis.xgroup_create(stream, "workers", "0", mkstream=True)
        await redis.hset(shadows.keys.record(entry.key), "at", "suspects")
        await redis.xadd(stream, {"k": entry.key, "f": entry.function, "p": entry.payload}, id=entry.id)
        await redis.xack(shadows.keys.stream, "workers", entry.id)
        await redis.xdel(shadows.keys.stream, entry.id)


async def test_a_busy_worker_leaves_a_suspect_to_an_idle_one(shadows: Shadow) -> None:
    """It must be idle for it, and would stop reading until its long task ends: all its free slots would stand still,
    and the suspect would wait, though another worker has nothing to do."""
    may_end = asyncio.Event()

    async def long() -> None:
        await may_end.wait()

    suspect = await shadows.add(job, key="suspect")(7)
    (entry,) = await delivered(shadows)
    # It waits for a lease before it takes the suspect all the same: far longer than this test.
    async with (
        Shadow(name=shadows.name, url=shadows.settings.url, heartbeat_interval=timedelta(seconds=60)) as patient,
        working(patient, name="busy") as busy,
    ):
        held = await patient.add(long)()
        await wait_until(lambda: not busy.slots.idle and busy.reader._blocked, "a long task runs")
        await make_suspect(shadows, entry)
        busy.reader.look_beside()
        quick = await patient.add(job)(1)
        assert await quick.get_result(timeout=10) == 1
        async with working(patient, name="idle"):
            assert await suspect.get_result(timeout=10) == 7
        may_end.set()
        await held.get_result(timeout=10)
    await suspect.sync()
    assert suspect.worker == "idle"


async def test_a_suspect_runs_with_nothing_else_in_flight(shadows: Shadow) -> None:
    """So that the next death has one culprit."""
    beside: list[int] = []
    async with working(shadows) as worker:

        async def suspect() -> None:
            beside.append(len(worker.slots.running))
            await asyncio.sleep(0.02)
            beside.append(len(worker.slots.running))

        await shadows.add(suspect, key="suspect")()
        worker.reader._slots.concurrency = 10
        await wait_until(lambda: beside, "it ran once")
        await shadows.add(suspect, key="suspect")()
        await wait_until(lambda: len(beside) >= 2, "it ended")
        beside.clear()
        worker.reader._slots.concurrency = 0
        worker.reader.wake()
        await wait_until(lambda: not worker.reader._blocked and worker.slots.idle, "the worker does not read")
        await shadows.cancel("suspect")
        await shadows.add(suspect, key="suspect")()
        (entry,) = await delivered(shadows)
        await make_suspect(shadows, entry)
        for n in range(5):
            await shadows.add(job)(n)
        worker.reader._slots.concurrency = 10
        worker.reader.look_beside()
        await wait_until(lambda: len(beside) == 2, "the suspect ran")
        await wait_until(lambda: len(ran) == 5, "the others ran")
    assert beside == [1, 1]


async def test_a_loss_of_the_group_is_repaired(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """After a flush the worker goes on by itself, and says so; nothing that was added since is skipped."""
    async with working(shadows) as worker:
        await wait_until(lambda: worker.reader._blocked, "the worker reads")
        async with shadows.redis() as redis:
            await redis.delete(*[key async for key in redis.scan_iter(f"{shadows.keys.prefix}*")])
        execution = await shadows.add(job)(5)
        assert await execution.get_result(timeout=10) == 5
    assert "Redis had lost everything of this shadow" in caplog.text


async def test_of_two_workers_one_repairs_the_loss_and_both_go_on(shadows: Shadow) -> None:
    """The second finds the group there already."""
    async with working(shadows) as first, working(shadows) as second:
        await wait_until(lambda: first.reader._blocked and second.reader._blocked, "both read")
        async with shadows.redis() as redis:
            await redis.delete(*[key async for key in redis.scan_iter(f"{shadows.keys.prefix}*")])
        executions = [await shadows.add(job)(n) for n in range(50)]
        assert [await execution.get_result(timeout=10) for execution in executions] == list(range(50))


async def test_the_loss_is_repaired_when_redis_answers_again(shadows: Shadow, proxy: Proxy) -> None:
    """It went away once more in between."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, working(through) as worker:
        await wait_until(lambda: worker.reader._blocked, "the worker reads")
        proxy.refuse()
        proxy.cut()
        await worker.reader._restore_group()
        assert worker.outage.ongoing
        proxy.accept()
        execution = await shadows.add(job)(1)
        assert await execution.get_result(timeout=10) == 1


async def test_a_read_whose_reply_was_lost_loses_nothing(shadows: Shadow, proxy: Proxy) -> None:
    """The entries are pending for this worker, and it looks."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, working(through):
        await (await shadows.add(job)(0)).get_result()
        order = proxy.lose_replies("XREADGROUP")
        execution = await shadows.add(job)(1)
        assert await execution.get_result(timeout=10) == 1
    assert order.lost == 1
    assert ran == [0, 1]


async def test_rows_that_arrive_after_the_lease_was_lost_are_left_to_others(shadows: Shadow) -> None:
    """Their owner does not exist any more, or may not: neither starts anything."""
    async with working(shadows) as worker:
        await wait_until(lambda: worker.reader._blocked, "the worker reads")
        rows = [("1000", [b"k", b"key", b"f", b"job", b"p", b""], 1, 1)]
        worker.reader.start(rows, "me#before")
        held, worker.membership.lease_ends = worker.membership.lease_ends, 0.0
        worker.reader.start(rows, worker.membership.consumer)
        worker.membership.lease_ends = held
        assert worker.slots.idle
        assert worker.reader._verify


async def test_an_entry_that_runs_here_already_is_not_started_twice(shadows: Shadow) -> None:
    """It came back to the worker that had lost it, before that was done with it."""
    async with working(shadows) as worker:
        await wait_until(lambda: worker.reader._blocked, "the worker reads")
        await shadows.add(job, key="job")(1)
        await wait_until(lambda: ran, "it ran")
        running = Running(entry_of(generation="1000"), 0.0, is_async=True)
        running.entry.consumer = "me#before"
        worker.slots.take(running)
        worker.reader.start([("1000", [b"k", b"key", b"f", b"job", b"p", b""], 1, 2)], worker.membership.consumer)
        assert len(worker.slots.running) == 1
        worker.reader._verify = False
        await asyncio.sleep(0)
        worker.slots.finish(running, settles=False)
        await worker.membership.finish_side_work()
    assert ran == [1]


async def test_a_full_worker_waits_for_a_slot_without_asking_redis(shadows: Shadow, proxy: Proxy) -> None:
    """Nothing is polled, and a slot that becomes free is filled at once."""
    may_end = [asyncio.Event(), asyncio.Event()]
    started: list[int] = []

    async def slow(n: int) -> None:
        started.append(n)
        await may_end[n].wait()

    async with Shadow(name=shadows.name, url=proxy.url) as through, working(through, concurrency=1):
        for n in range(2):
            await shadows.add(slow)(n)
        await wait_until(lambda: started, "the first runs")
        await asyncio.sleep(0.05)
        proxy.reset_counts()
        await asyncio.sleep(0.2)
        assert proxy.commands["XREADGROUP"] == 0
        may_end[0].set()
        await wait_until(lambda: len(started) == 2, "the second runs", 2)
        may_end[1].set()


@pytest.mark.parametrize("place", PLACES[1:])
async def test_a_stream_that_lost_its_group_gets_it_back(shadows: Shadow, place: str) -> None:
    """Somebody destroyed it, or restored only the stream: the worker found no group, mended that of the ready stream,
    and found none again, for ever."""
    stream = f"{shadows.keys.prefix}{place}"
    async with shadows.redis() as redis:
        await redis.xadd(stream, {"k": "a", "f": "no such", "p": "x"}, id="7-0")
    ran: list[int] = []

    async def task() -> None:
        ran.append(1)

    await shadows.add(task)()
    await finish(shadows)
    assert ran == [1]
    async with shadows.redis() as redis:
        assert await redis.xinfo_groups(stream) if await redis.exists(stream) else True
