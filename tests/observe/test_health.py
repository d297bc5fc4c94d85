"""Whether a worker lives and takes work, as it goes through what can happen to it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shadows import Shadow, Worker
from shadows.testing import RedisServer
from shadowsd.observe import health
from shadowsd.observe.health import WorkerHealth
from tests.features.workers import working
from tests.waiting import wait_until


@asynccontextmanager
async def watched(shadows: Shadow, **options: Any) -> AsyncIterator[tuple[Worker, WorkerHealth]]:
    async with working(shadows, **options) as worker:
        state = WorkerHealth(worker)
        state.begins()
        yield worker, state


@pytest.fixture
async def brief(shadows_url: str) -> AsyncIterator[Shadow]:
    """A shadow whose workers beat twenty times a second."""
    async with Shadow(f"test-{uuid4()}", shadows_url, timedelta(milliseconds=50), missed_heartbeats=100) as shadows:
        yield shadows


async def test_before_it_begins_it_lives_and_takes_no_work(shadows: Shadow) -> None:
    """Restarting it would not bring Redis back."""
    state = WorkerHealth(Worker(shadows))
    assert (state.failures(), state.obstacles()) == ([], ["the worker has not begun yet"])
    for _ in range(2):
        state.waits_for_redis()
        time.sleep(0.11)  # noqa: ASYNC251 # so that it shows
    assert state.failures() == []
    (reason,) = state.obstacles()
    assert reason == "Redis can't be used since 0.2 s, and the worker has not begun"


async def test_a_worker_that_works_has_nothing_to_say(shadows: Shadow) -> None:
    async with watched(shadows) as (_, state):
        await wait_until(lambda: state.obstacles() == [], "it takes work")
        assert state.failures() == []


async def test_an_outage_is_an_obstacle_and_no_failure(own_redis: RedisServer) -> None:
    """A restart of all workers is the last thing that an outage needs."""
    async with (
        Shadow("outage", own_redis.url, heartbeat_interval=timedelta(milliseconds=50)) as shadows,
        watched(shadows, reconnection_delay=timedelta(milliseconds=50)) as (worker, state),
    ):
        own_redis.kill()

        def outages() -> list[str]:
            return [reason for reason in state.obstacles() if reason.startswith("Redis can't be used since ")]

        assert len(await wait_until(outages, "the outage is noticed")) == 1
        await wait_until(lambda: not worker.membership.held, "its lease is over")
        assert len(state.obstacles()) == 1, "that its lease is over follows from the outage"
        assert state.failures() == []
        own_redis.start()
        await wait_until(lambda: not state.obstacles(), "it takes work again")


async def test_a_lost_lease_is_an_obstacle(shadows: Shadow) -> None:
    """Until it has joined again it starts nothing."""
    async with watched(shadows) as (worker, state):
        worker.membership.joined = False
        assert state.obstacles() == ["the worker lost its lease, and joins again"]


async def test_a_worker_that_stops_takes_no_work(shadows: Shadow) -> None:
    async with watched(shadows) as (worker, state):
        worker.stop()
        assert state.obstacles() == ["the worker is stopping"]
        assert state.failures() == []


async def test_a_blocked_loop_is_an_obstacle_first_and_then_a_failure(
    brief: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure only when the worker gives its tasks up for it: before that a restart would lose what runs."""
    monkeypatch.setattr(health, "BLOCKED_SECONDS", 0.2)
    async with watched(brief, redelivery_timeout=timedelta(seconds=0.6)) as (_, state):
        assert state.obstacles() == []
        time.sleep(0.4)  # noqa: ASYNC251 # what a careless task does
        (reason,) = state.obstacles()
        assert reason.startswith("the event loop is blocked since 0.")
        assert state.failures() == []
        time.sleep(0.4)  # noqa: ASYNC251
        (reason,) = state.failures()
        assert "longer than redelivery_timeout (0.6 s), and its tasks are given to another worker" in reason
        await wait_until(lambda: not state.failures() and not state.obstacles(), "the loop turns again")
