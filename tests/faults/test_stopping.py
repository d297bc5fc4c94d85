"""A worker that stops, in whatever way, finishes its tasks or gives them back."""

import asyncio
import signal
import threading
from contextlib import suppress
from time import monotonic
from uuid import uuid4

import pytest

from shadows import CurrentExecution, Execution, Shadow, Worker
from shadows.testing import RedisServer
from tests.faults.conftest import LEASE_SECONDS, Starter, brief_shadow
from tests.features.workers import working
from tests.recorded import Journal, hold, hold_thread, rest
from tests.waiting import wait_until


async def test_term_finishes_what_runs_and_takes_nothing_new(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    worker = start_worker(brief, concurrency=3)
    running = [await brief.add(task)(str(journal), f"{task.__name__}", "gate") for task in (hold, hold_thread)]
    await wait_until(lambda: len(journal.count("start")) == 2, "both run")
    worker.signal(signal.SIGTERM)
    await asyncio.sleep(2 * LEASE_SECONDS)
    late = await brief.add(rest)(str(journal), "late")
    journal.open_gate("gate")
    assert [await each.get_result(timeout=5) for each in running] == ["hold", "hold_thread"]
    assert worker.wait() == 0
    assert await brief.workers() == []
    assert "late" not in journal.count("start")
    start_worker(brief)
    assert await late.get_result(timeout=5) == "late"
    assert set(journal.count("start").values()) == {1}


@pytest.mark.parametrize("cuts", ["stop_at_once", "ctrl-c twice"])
async def test_what_a_stopped_worker_ran_runs_at_once_elsewhere(
    cuts: str, brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Not when its lease is over; and being stopped is no outcome, however the loop ends."""
    worker = start_worker(brief, handles_signals=cuts == "stop_at_once")
    added = [await brief.add(hold, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(8)]
    plain = await brief.add(hold_thread, key="plain")(str(journal), "plain", "gate")
    await wait_until(lambda: len(journal.count("start")) == 9, "all run")
    start_worker(brief)
    worker.signal(signal.SIGINT)
    if cuts == "ctrl-c twice":
        await wait_until(lambda: "left" not in worker.output, "it drains")
        await asyncio.sleep(0.2)
        worker.signal(signal.SIGINT)
    since = monotonic()
    await wait_until(lambda: set(journal.count("start").values()) == {2}, "all run again")
    assert monotonic() - since < LEASE_SECONDS + 2
    journal.open_gate("gate")
    assert [await each.get_result(timeout=5) for each in added] == [f"k{n}" for n in range(8)]
    assert await plain.get_result(timeout=5) == "plain"
    assert len(await brief.workers()) == 1
    await added[0].sync()
    assert added[0].attempt == 1


async def test_a_cancelled_worker_drains_and_does_not_swallow_the_cancel(brief: Shadow, journal: Journal) -> None:
    async with Worker(brief) as worker:
        running = asyncio.create_task(worker.run_forever())
        execution = await brief.add(hold)(str(journal), "a", "gate")
        await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
        running.cancel()
        await wait_until(lambda: worker.reader.stopping, "it drains")
        journal.open_gate("gate")
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await execution.get_result(timeout=1) == "a"
    assert journal.count("start") == {"a": 1}


async def test_a_loop_that_is_closed_under_its_worker_hands_back_what_it_cancels(shadows_url: str) -> None:
    """asyncio cancels everything when the main task has ended: that is no task's own wish, and no drain either."""
    name, begun = f"test-{uuid4()}", threading.Event()

    async def work(execution: Execution = CurrentExecution()) -> str:
        if not execution.redelivered:
            begun.set()
            await asyncio.Event().wait()
        return f"attempt {execution.attempt}"

    async def serve() -> None:
        async with Shadow(name, shadows_url) as shadow, Worker(shadow) as worker:
            shadow.register(work)
            await worker.run_forever()

    async def main() -> None:
        serving = asyncio.create_task(serve())
        await asyncio.to_thread(begun.wait, 10)
        assert not serving.done()

    async with Shadow(name, shadows_url) as shadow:
        execution = await shadow.add(work)()
        await asyncio.to_thread(asyncio.run, main())
        async with working(shadow):
            assert await execution.get_result(timeout=3) == "attempt 1"


async def test_a_task_that_does_not_let_itself_be_stopped_is_handed_back_at_the_sign_off(
    shadows: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the end of the lease, though its worker could have said that it is gone."""
    monkeypatch.setattr("shadowsd.engine.worker.LEAVE_SECONDS", 0.1)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def stubborn(execution: Execution = CurrentExecution()) -> str:
        if not execution.redelivered:
            begun.set()
            while not may_end.is_set():
                with suppress(asyncio.CancelledError):
                    await may_end.wait()
        return f"attempt {execution.attempt}"

    execution = await shadows.add(stubborn)()
    try:
        async with working(shadows):
            await begun.wait()
        async with working(shadows):
            assert await execution.get_result(timeout=3) == "attempt 1"
    finally:
        may_end.set()


async def test_a_worker_can_be_stopped_while_redis_is_gone(
    durable_redis: RedisServer, journal: Journal, start_worker: Starter
) -> None:
    async with brief_shadow(durable_redis.url) as shadow:
        worker = start_worker(shadow)
        execution = await shadow.add(hold)(str(journal), "a", "gate")
        await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
        durable_redis.kill()
        worker.signal(signal.SIGINT)
        since = monotonic()
        assert await asyncio.to_thread(worker.wait, 20) == 0
        assert monotonic() - since < 12
        durable_redis.start()
        start_worker(shadow)
        journal.open_gate("gate")
        assert await execution.get_result(timeout=5) == "a"
