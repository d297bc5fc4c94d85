"""What follows from each sign of life, and what follows when it was too late."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import ResponseError

from shadows import CurrentExecution, Execution, Shadow, Worker
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.scripts import BEAT
from shadowsd.engine.ghosts import cut_off
from shadowsd.engine.membership import Membership
from shadowsd.engine.pulse import Beat
from shadowsd.engine.sweep import Sweeper
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import Recorded, delivered, link_of


@pytest.fixture
async def brief(proxy: Proxy) -> AsyncIterator[Shadow]:
    """Through the proxy, with a lease of 0.4 s."""
    async with Shadow(
        name=f"test-{uuid4()}",
        url=proxy.url,
        heartbeat_interval=timedelta(milliseconds=50),
        missed_heartbeats=8,
    ) as shadows:
        yield shadows


async def test_a_worker_that_was_taken_for_dead_stops_its_tasks_and_comes_back_as_somebody_else(
    brief: Shadow, proxy: Proxy, shadows_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its network was away for longer than its lease, and another worker took what it held."""
    stopped = list[str]()
    started = asyncio.Event()

    async def slow(execution: Execution = CurrentExecution()) -> str:
        if execution.redelivered:
            return "done"
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(execution.key)
        return "never"

    async with Shadow(name=brief.name, url=shadows_url) as near, working(brief) as worker:
        before = worker.membership.consumer
        execution = await near.add(slow, key="slow")()
        await started.wait()
        proxy.black_hole()
        await wait_until(lambda: not worker.membership.held, "its lease is over")
        sweeper = Sweeper(link_of(near), near.keys, Membership("other"), Recorded().source, 0.0, 60_000)
        sweeper._steady_since = 0.0

        async def is_taken_over() -> bool:
            await sweeper.take_over([before])
            return not (await near.snapshot()).running

        await wait_until(is_taken_over, "its task was taken over")
        proxy.resume()
        assert await execution.get_result(timeout=10) == "done"
        assert worker.membership.consumer != before
        assert worker.membership.held
    assert stopped == ["slow"]
    assert "was taken for dead, and its tasks were given to others" in caplog.text


async def test_a_worker_whose_functions_were_lost_tells_them_again(brief: Shadow) -> None:
    """After a flush it went on, and for `task_workers` and `shadows why` it knew none of its functions any more."""

    async def job() -> None: ...

    async with working(brief) as worker, brief.redis() as redis:
        brief.register(job)
        await wait_until(lambda: brief.task_workers("job"), "it is known")
        await redis.delete(brief.keys.functions)
        (found,) = await wait_until(lambda: brief.task_workers("job"), "it is known again")
        assert found.name == worker.name


async def test_a_beat_for_a_name_that_the_worker_had_before_says_nothing(brief: Shadow) -> None:
    """It was on its way while the worker joined again."""
    async with working(brief) as worker:
        worker._parts.beats.came(Beat("me#before", 1, 0.0, 0, 0.0, -1, b"0", 0, -1, [], []))
        assert worker.membership.held


async def test_a_loop_that_is_silent_for_too_long_is_given_up_on_purpose(
    brief: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread that beats says who is to blame, once."""
    async with working(brief, redelivery_timeout=timedelta(milliseconds=100)):
        time.sleep(0.4)  # noqa: ASYNC251 # what a careless task does
        await asyncio.sleep(0)
    assert caplog.text.count("was silent for more than redelivery_timeout (0.1 s)") == 1


async def test_a_worker_that_can_not_beat_does_not_join(
    brief: Shadow, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would run tasks that others take from it; the error is what kept the beats from coming through."""
    monkeypatch.setattr("shadowsd.engine.beats.CALL_SECONDS", 0.3)
    proxy.lose_replies(count=1000, where=lambda words: BEAT.digest.encode() in words or BEAT.source in words)
    with pytest.raises(ConnectionFailed):
        async with Worker(brief):
            pass


async def test_a_server_that_refuses_the_first_beat_is_told_at_once(brief: Shadow) -> None:
    """Waiting would not help."""
    worker: Any = Worker(brief)
    worker._build()
    worker._parts.beats.failed(ServerRefused("no"))
    with pytest.raises(ServerRefused, match="no"):
        await worker._parts.beats.joined()


async def test_once_a_minute_the_worker_looks_for_what_it_never_saw(
    brief: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that was handed to it without its knowing would wait for ever under a living lease."""
    monkeypatch.setattr("shadowsd.engine.beats.VERIFY_SECONDS", 0.05)

    async def job() -> str:
        return "ran"

    async with working(brief) as worker:
        await wait_until(lambda: worker.reader._blocked, "the worker reads")
        slots, worker.slots.concurrency = worker.slots.concurrency, 0
        worker.reader.wake()
        await wait_until(lambda: not worker.reader._blocked, "the worker does not read")
        execution = await brief.add(job)()
        assert await delivered(brief, consumer=worker.membership.consumer)
        worker.slots.concurrency = slots
        worker.reader.wake()
        assert await execution.get_result(timeout=10) == "ran"


async def test_a_worker_whose_stream_is_something_else_does_not_start(shadows: Shadow) -> None:
    """Somebody uses the name for another thing; nothing of it is touched."""
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.stream, "something else")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            async with Worker(shadows):
                pass
        assert await redis.get(shadows.keys.stream) == b"something else"
        await redis.delete(shadows.keys.stream)


async def test_an_odd_error_while_reading_is_an_outage_that_ends_with_its_cause(
    brief: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody overwrote the stream of a running worker: when that is gone, it works again by itself."""

    async def job() -> str:
        return "ran"

    async with working(brief) as worker, brief.redis() as redis:
        await wait_until(lambda: worker.reader._blocked, "the worker reads")
        with caplog.at_level(logging.WARNING, "shadows.worker"):
            await redis.delete(brief.keys.stream)
            await redis.set(brief.keys.stream, "something else")
            await wait_until(lambda: worker.outage.ongoing, "the worker noticed")
            await redis.delete(brief.keys.stream)
            execution = await brief.add(job)()
            assert await execution.get_result(timeout=10) == "ran"
        await wait_until(lambda: not worker.outage.ongoing, "the outage is over")


async def test_a_second_cancel_does_not_wait_for_what_runs(brief: Shadow) -> None:
    """The first one drains; who is in a hurry gets what runs handed back instead."""
    started = asyncio.Event()

    async def slow(execution: Execution = CurrentExecution()) -> str:
        if execution.redelivered:
            return "done"
        started.set()
        await asyncio.Event().wait()
        return "never"

    execution = await brief.add(slow)()
    async with Worker(brief) as worker:
        running = asyncio.create_task(worker.run_forever())
        await started.wait()
        running.cancel()
        await wait_until(lambda: worker.reader.stopping, "it drains")
        assert worker.slots.running
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    async with working(brief):
        assert await execution.get_result(timeout=10) == "done"


async def test_who_may_not_close_connections_goes_on(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """Not every user of Redis may; what is handed out to a ghost is noticed later."""
    with caplog.at_level(logging.DEBUG, "shadows.worker"):
        await cut_off(link_of(shadows), 2**70, "ghost")
    assert "could not be closed" in caplog.text


async def test_abandoning_side_work_stops_it(shadows: Shadow) -> None:
    """A worker that gives up waiting leaves nothing running behind."""
    membership = Membership("w")
    membership.spawn(asyncio.Event().wait())  # type: ignore[arg-type] # a coroutine all the same
    membership.abandon_side_work()
    await asyncio.wait_for(membership.finish_side_work(), 5)
