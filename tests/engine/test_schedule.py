"""The mover of what is due: it sleeps until then, and is woken by what comes before."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

import pytest

from shadows import Shadow
from shadows.subscriptions import Subscriptions
from shadowsd.engine.events import Events
from shadowsd.engine.schedule import Scheduler
from tests.features.workers import finish
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import Recorded, fill_quarantine, link_of, outage_of


async def job(n: int = 0) -> int:
    return n


@asynccontextmanager
async def scheduling(
    shadows: Shadow, *, listens: bool = True, resolution: timedelta = timedelta(hours=1)
) -> AsyncIterator[Scheduler]:
    """A scheduler that runs beside the test; its signals are connected or not."""
    signals = Subscriptions(shadows.server, "test")
    link = link_of(shadows)
    scheduler = Scheduler(link, shadows.keys, signals, outage_of(Recorded()), Events(), 60_000, resolution)
    if listens:
        await signals.add(shadows.keys.signal, lambda _: None)
    running = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await signals.close()
        await link.close()


async def ready(shadows: Shadow) -> int:
    return (await shadows.snapshot()).ready_count


async def test_what_is_due_is_moved_at_its_time(shadows: Shadow) -> None:
    """Not before, and without anybody waking it."""
    began = monotonic()
    await shadows.add(job, when=timedelta(milliseconds=100))()
    async with scheduling(shadows):
        await wait_until(lambda: ready(shadows), "the task is in the stream")
    assert monotonic() - began >= 0.098


async def test_what_is_due_at_once_is_moved_call_by_call(shadows: Shadow) -> None:
    """Two hundred at a time, until there is no more."""
    await shadows.add_many([shadows.call(job, when=timedelta(milliseconds=1))(n) for n in range(450)])
    async with scheduling(shadows):

        async def all_are() -> bool:
            return await ready(shadows) == 450

        await wait_until(all_are, "all are in the stream")
    assert (await shadows.snapshot()).scheduled_count == 0


async def test_large_payloads_are_moved_in_small_calls(shadows: Shadow) -> None:
    """A mebibyte a call, so that Redis is not held up."""

    async def large(payload: bytes) -> None: ...

    await shadows.add_many([shadows.call(large, when=timedelta(milliseconds=1))(b"x" * 300_000) for _ in range(10)])
    async with scheduling(shadows):

        async def all_are() -> bool:
            return await ready(shadows) == 10

        await wait_until(all_are, "all are in the stream")


async def test_a_wake_up_makes_it_look_again(shadows: Shadow) -> None:
    """An earlier one came; the signal says so."""
    async with scheduling(shadows) as scheduler:
        await asyncio.sleep(0.02)
        await shadows.add(job, when=timedelta(milliseconds=1))()
        await asyncio.sleep(0.02)
        assert await ready(shadows) == 0
        scheduler.wake()
        await wait_until(lambda: ready(shadows), "the task is in the stream")


async def test_a_beat_that_saw_an_earlier_time_makes_it_look_again(shadows: Shadow) -> None:
    """The signal was lost, and a beat is a second way to know."""
    async with scheduling(shadows) as scheduler:
        await wait_until(lambda: scheduler._looks_at, "it sleeps")
        await shadows.add(job, when=timedelta(milliseconds=1))()
        scheduler.due_in(-1)
        scheduler.due_in(3_600_000)
        assert not scheduler._changed.is_set()
        scheduler.due_in(0)
        await wait_until(lambda: ready(shadows), "the task is in the stream")


async def test_while_nobody_can_tell_it_looks_by_the_clock(shadows: Shadow) -> None:
    """`scheduling_resolution` bounds the wait only then."""
    async with scheduling(shadows, listens=False, resolution=timedelta(milliseconds=20)):
        await asyncio.sleep(0.05)
        await shadows.add(job, when=timedelta(milliseconds=1))()
        await wait_until(lambda: ready(shadows), "the task is in the stream", 2)


async def test_an_outage_is_survived(shadows: Shadow, proxy: Proxy) -> None:
    """It goes on where it was."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, scheduling(through):
        proxy.refuse()
        proxy.cut()
        await shadows.add(job, when=timedelta(milliseconds=50))()
        await asyncio.sleep(0.1)
        assert await ready(shadows) == 0
        proxy.accept()
        # Its signals are connected anew as well, and a gap in them wakes it in a whole worker.
        await wait_until(lambda: ready(shadows), "the task is in the stream")


@pytest.mark.parametrize("damage", ["s", "f", "p", "g"])
async def test_a_record_that_lacks_something_is_quarantined_and_the_others_move(
    shadows: Shadow, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One without its number stopped the script halfway, and those that were to be moved with it were lost."""
    for n in range(3):
        await shadows.add(job, when=timedelta(milliseconds=1), key=str(n))(n)
    async with shadows.redis() as redis:
        await redis.hdel(shadows.keys.record("1"), damage)
    with caplog.at_level(logging.ERROR, "shadows.worker"):
        await finish(shadows)
    assert [entry.key for entry in await shadows.quarantine()] == ["1"]
    assert "1 scheduled execution had lost its record and is in the quarantine." in caplog.text
    for key in ("0", "2"):
        execution = await shadows.get_execution(key)
        assert execution is not None
        assert await execution.get_result() == int(key)


@pytest.mark.parametrize(("held", "age_days", "deleted"), [(10_000, 1, "1 oldest was"), (5, 31, "5 oldest were")])
async def test_what_lost_its_record_pushes_the_oldest_out_of_the_quarantine(
    shadows: Shadow, caplog: pytest.LogCaptureFixture, held: int, age_days: int, deleted: str
) -> None:
    """The limits held only for what a worker itself set aside: a server whose records were lost over and over
    filled up with a quarantine without end."""
    await fill_quarantine(shadows, held, age_days * 24 * 3600 * 1000)
    await shadows.add(job, when=timedelta(milliseconds=1), key="lost")()
    async with shadows.redis() as redis:
        await redis.delete(shadows.keys.record("lost"))
    async with scheduling(shadows):
        await wait_until(lambda: f"its {deleted} deleted." in caplog.text, "it says what it pushed out")
    assert (await shadows.snapshot()).quarantined_count == held + 1 - int(deleted.partition(" ")[0])
    assert (await shadows.quarantine(1))[0].key == "lost"
