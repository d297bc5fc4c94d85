"""Metrics are brought up to date from beside the worker's loop, also while a task blocks that."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from shadows import Shadow
from shadows.testing import RedisServer
from tests.observe.watching import Page, Watched, watched
from tests.waiting import wait_until


async def quick() -> None: ...


@pytest.fixture
async def brief(shadows_url: str) -> AsyncIterator[Shadow]:
    """A shadow whose workers beat twenty times a second."""
    async with Shadow(f"test-{uuid4()}", shadows_url, timedelta(milliseconds=50), missed_heartbeats=100) as shadows:
        yield shadows


def between(page: Page, name: str, least: float, most: float, **labels: str) -> bool:
    value = page.value(name, **labels)
    return value is not None and least <= value <= most


async def test_what_the_worker_counted_is_there_when_somebody_asks(shadows: Shadow) -> None:
    async with watched(shadows) as it:
        for execution in [await shadows.add(quick)() for _ in range(20)]:
            await execution.get_result()
        page = await it.get()
        assert page.value("shadows_tasks_total", function="quick", outcome="completed") == 20
        assert page.value("shadows_task_punctuality_seconds_count", function="quick") == 20
        assert page.value("shadows_redis_up") == 1
        assert page.value("shadows_queue_depth") == 0
        await (await shadows.add(quick)()).get_result()
        assert (await it.get()).value("shadows_tasks_total", function="quick", outcome="completed") == 21


async def test_the_gauges_tell_of_this_moment(shadows: Shadow) -> None:
    release = asyncio.Event()

    async def waits() -> None:
        await release.wait()

    for _ in range(3):
        await shadows.add(waits)()
    async with watched(shadows, concurrency=2) as it:
        await wait_until(lambda: len(it.worker.slots.running) == 2, "two of them run")
        await asyncio.sleep(0.1)
        page = await it.get()
        assert page.value("shadows_slots", slot="1") == 2
        assert page.value("shadows_slots_busy", slot="1") == 2
        assert page.value("shadows_queue_depth") == 1
        assert between(page, "shadows_longest_running_seconds", 0.1, 5.0, slot="1")
        assert between(page, "shadows_oldest_waiting_seconds", 0.1, 5.0)
        assert between(page, "shadows_loop_lag_seconds", 0.0, 1.0, slot="1")
        assert between(page, "shadows_private_memory_bytes", 1e6, 1e9, slot="1")
        release.set()


async def test_while_the_loop_is_blocked_it_is_answered_and_loses_nothing(brief: Shadow) -> None:
    """When a worker hangs, its metrics are wanted more than ever."""
    async with watched(brief) as it:
        await (await brief.add(quick)()).get_result()
        asked = [it.asked(), it.asked()]
        time.sleep(1.2)  # noqa: ASYNC251 # what a careless task does
        assert all(page.seconds < 1.0 for page in await asyncio.gather(*asked))
        page = await it.get()
        assert page.value("shadows_tasks_total", function="quick", outcome="completed") == 1


async def test_a_block_shows_while_it_lasts_and_after_it_once(brief: Shadow) -> None:
    """Whoever looks every fifteen seconds still learns of it."""
    async with watched(brief) as it:
        await it.get()
        asked = asyncio.get_running_loop().run_in_executor(None, get_after, 0.5, it)
        time.sleep(1.0)  # noqa: ASYNC251
        assert between(await asked, "shadows_loop_lag_seconds", 0.3, 0.9, slot="1")
        await wait_until(lambda: it.worker.pulse.overdue_seconds == 0.0, "the loop turns again")
        assert between(await it.get(), "shadows_loop_lag_seconds", 0.3, 1.5, slot="1")
        assert between(await it.get(), "shadows_loop_lag_seconds", 0.0, 0.3, slot="1")


def get_after(seconds: float, it: Watched) -> Page:
    time.sleep(seconds)
    return it.get_at_once()


@pytest.mark.parametrize("fault", ["pause", "kill"])
async def test_during_an_outage_it_is_answered_without_what_can_not_be_known(
    own_redis: RedisServer, fault: str
) -> None:
    """Within a second, whether Redis refuses or is silent; and what the worker itself knows is told."""
    async with (
        Shadow("outage", own_redis.url) as shadows,
        watched(shadows, reconnection_delay=timedelta(milliseconds=50)) as it,
    ):
        assert (await it.get()).value("shadows_redis_up") == 1
        getattr(own_redis, fault)()
        await asyncio.sleep(1.0)  # a reading of a second ago would do otherwise
        page = await it.get()
        assert page.seconds < 1.0
        assert page.value("shadows_redis_up") == 0
        assert page.value("shadows_queue_depth") is None
        assert page.value("shadows_slots", slot="1") == 10
        own_redis.resume() if fault == "pause" else own_redis.start()

        async def is_up() -> bool:
            return (await it.get()).value("shadows_redis_up") == 1

        await wait_until(is_up, "Redis can be used again")


async def test_before_the_worker_begins_only_redis_is_told_of(shadows: Shadow) -> None:
    """There is no loop yet that counts."""
    async with watched(shadows) as it:
        it.health.loop = None
        page = await it.get()
        assert page.value("shadows_slots", slot="1") is None
        assert page.value("shadows_redis_up") == 1


async def test_after_the_worker_has_ended_it_is_still_answered(shadows: Shadow) -> None:
    """Its process may take a while to end; the numbers stay what they were."""
    async with watched(shadows) as it:
        await (await shadows.add(quick)()).get_result()
        await it.get()
        ended = asyncio.new_event_loop()
        ended.close()
        it.health.loop = ended
        assert (await it.get()).value("shadows_tasks_total", function="quick", outcome="completed") == 1
