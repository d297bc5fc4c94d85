"""What a worker tells its observers of its runs, its beats and what it sets aside."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import pytest

from shadows import Execution, Perpetual, Retry, Shadow, Worker
from shadowsd.engine.events import (
    BeatCame,
    EntryParked,
    Event,
    Events,
    OutcomesFenced,
    ScheduledQuarantined,
    TaskEnded,
    TaskStarted,
)
from tests.features.workers import finish, working
from tests.waiting import wait_until


@pytest.fixture
async def brief(shadows_url: str) -> AsyncIterator[Shadow]:
    """A shadow whose workers beat twenty times a second."""
    async with Shadow(f"test-{uuid4()}", shadows_url, timedelta(milliseconds=50), missed_heartbeats=100) as shadows:
        yield shadows


class Seen(list[Event]):
    """What an observer was told, in order."""

    def words(self) -> list[str]:
        """The runs, as `function started` and `function outcome`."""
        told = []
        for event in self:
            if isinstance(event, TaskStarted):
                told.append(f"{event.entry.function} started")
            elif isinstance(event, TaskEnded):
                told.append(f"{event.entry.function} {event.outcome}")
        return told

    def of[T: Event](self, kind: type[T]) -> list[T]:
        return [event for event in self if isinstance(event, kind)]


async def test_each_run_has_a_start_and_an_end(shadows: Shadow) -> None:
    """The start says when it was, and its entry when it was due and whether it was handed out before."""
    seen, before = Seen(), monotonic()

    async def fails_once(retry: Retry = Retry(attempts=2, delay=timedelta(milliseconds=50))) -> None:
        if retry.attempt == 1:
            raise ValueError("no")

    await shadows.add(fails_once)()
    async with Worker(shadows) as worker, asyncio.timeout(20):
        worker.events.observers.append(seen.append)
        await worker.run_until_finished()
    assert seen.words() == [
        "fails_once started",
        "fails_once retried",
        "fails_once started",
        "fails_once completed",
    ]
    first, second = seen.of(TaskStarted)
    assert before < first.at_seconds < second.at_seconds < monotonic()
    assert first.entry.due is None
    assert second.entry.due is not None
    assert not first.entry.redelivered


async def test_what_is_struck_or_unknown_never_started(shadows: Shadow) -> None:
    """Its function was not called, so there is no lateness and no duration to measure."""
    seen = Seen()

    async def struck(perpetual: Perpetual = Perpetual()) -> None: ...

    await shadows.add(struck)()
    await shadows.strike(struck)
    await shadows.add("nobody knows it", key="key")()
    async with Worker(shadows) as worker:
        worker.events.observers.append(seen.append)
        working = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: len(seen.words()) >= 1 and seen.of(EntryParked), "both were handled")
        worker.stop()
        await working
    assert "struck started" not in seen.words()
    assert seen.words()[0] == "struck cancelled"
    assert seen.of(EntryParked) == [EntryParked("key", "nobody knows it")]


async def test_a_run_that_was_cancelled_from_outside_ends_as_cancelled(shadows: Shadow) -> None:
    """It writes no outcome, since the cancel did; observers would otherwise see a start without an end."""
    seen, started = Seen(), asyncio.Event()

    async def waits() -> None:
        started.set()
        await asyncio.Event().wait()

    await shadows.add(waits, key="waits")()
    async with working(shadows) as worker:
        worker.events.observers.append(seen.append)
        await started.wait()
        await shadows.cancel("waits")
        await wait_until(lambda: not worker.slots.running, "the task was stopped")
    assert seen.words()[-1] == "waits cancelled"
    assert len(seen.of(TaskEnded)) == 1


async def test_a_plain_function_that_was_cancelled_ends_once_it_returns(shadows: Shadow) -> None:
    """Nothing can stop it; its outcome does not count, and is not told of as one."""
    seen, release = Seen(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def plain() -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)

    await shadows.add(plain, key="plain")()
    async with working(shadows) as worker:
        worker.events.observers.append(seen.append)
        await wait_until(lambda: seen.of(TaskStarted), "it runs")
        await shadows.cancel("plain")
        await wait_until(lambda: all(each.stop for each in worker.slots.running.values()), "the cancel came")
        assert not seen.of(TaskEnded)
        release.set()
        await wait_until(lambda: seen.of(TaskEnded), "it returned")
    assert seen.words()[-1] == "plain cancelled"


async def test_what_is_handed_back_ends_once(shadows: Shadow) -> None:
    """A plain function runs on in its thread after that, and its end is no second one."""
    seen, release = Seen(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def plain() -> None:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(20)

    await shadows.add(plain)()
    async with Worker(shadows) as worker:
        worker.events.observers.append(seen.append)
        working = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: seen.of(TaskStarted), "it runs")
        await worker.stop_at_once()
        release.set()
        await working
        await asyncio.sleep(0)
    assert [event.outcome for event in seen.of(TaskEnded)] == ["handed back"]
    await finish(shadows)


async def test_a_beat_tells_how_late_the_loop_is_and_redis_time(brief: Shadow) -> None:
    """A task that blocks the loop shows, and due times can be compared with the moments of starts."""
    seen = Seen()
    async with working(brief) as worker:
        worker.events.observers.append(seen.append)
        await wait_until(lambda: seen.of(BeatCame), "a beat came")
        async with brief.redis() as redis:
            seconds, micros = await redis.time()
        redis_now = monotonic() + seen.of(BeatCame)[-1].to_redis_seconds
        assert redis_now == pytest.approx(seconds + micros / 1e6, abs=1.0)
        time.sleep(0.25)  # noqa: ASYNC251 # the beats go on in their thread, and the loop hears of them late
        await wait_until(lambda: any(beat.loop_lag_seconds > 0.1 for beat in seen.of(BeatCame)), "the lag is told")


async def test_how_late_the_loop_is_can_be_asked_while_it_is_blocked(brief: Shadow) -> None:
    """From a thread beside it, which could not wait for a beat."""
    async with working(brief) as worker:
        assert worker.pulse.overdue_seconds < 0.2
        time.sleep(0.4)  # noqa: ASYNC251 # what a careless task does
        assert worker.pulse.overdue_seconds > 0.2
        await wait_until(lambda: worker.pulse.overdue_seconds == 0.0, "the loop turns again")
    time.sleep(0.2)  # noqa: ASYNC251 # long enough for a worker that still should have been there
    assert worker.pulse.overdue_seconds == 0.0


async def test_scheduled_executions_that_lost_their_records_are_told_of(shadows: Shadow) -> None:
    """They go into the quarantine in the script, and nobody else would count them."""
    seen = Seen()
    execution: Execution = await shadows.add("job", when=timedelta(milliseconds=200), key="job")()
    async with shadows.redis() as redis:
        await redis.delete(shadows.keys.record(execution.key))
    async with working(shadows) as worker:
        worker.events.observers.append(seen.append)
        await wait_until(lambda: seen.of(ScheduledQuarantined), "it was due, and is told of")
    assert seen.of(ScheduledQuarantined) == [ScheduledQuarantined(1)]


def test_an_observer_that_fails_is_told_nothing_more_and_the_others_are(caplog: pytest.LogCaptureFixture) -> None:
    """It must not fail the task that it was told of, nor fill the log at each one that follows."""
    events, told = Events(), Seen()

    def broken(event: Event) -> None:
        raise RuntimeError("a bug")

    events.observers.extend([broken, told.append])
    for _ in range(3):
        events.emit(OutcomesFenced(1))
    assert len(told) == 3
    assert caplog.text.count("An observer failed at OutcomesFenced and is told nothing more.") == 1
    assert "RuntimeError: a bug" in caplog.text
