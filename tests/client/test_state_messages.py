"""What the scripts say on the channel of a key: `<submission> <word>`, one message for each change that is written.

There were two orders of the words and letters for them, and the number was now the submission, now the generation.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from shadows import Perpetual, Progress, Retry, Shadow
from shadows.errors import ResultNotKept
from shadows.states import ExecutionState
from shadows.subscriptions import Subscriptions
from shadowsd.engine.asides import Asides
from tests.engine.parts import Recorded, delivered, link_of, make_group, outage_of
from tests.engine.test_sweep import Watch, die
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until

KEY = "the key"
WORDS = {*map(str, ExecutionState), "progress"}
LATER = timedelta(hours=1)
SOON = timedelta(milliseconds=1)

type Said = list[tuple[int, str]]


async def job() -> None: ...


async def fails() -> None:
    raise ValueError("no")


async def reports_at_its_second_attempt(retry: Retry = Retry(attempts=2), progress: Progress = Progress()) -> None:
    if retry.attempt == 1:
        retry.in_(timedelta(0))
    await progress.set_total(2)


async def comes_back_later(retry: Retry = Retry(attempts=2, delay=LATER)) -> None:
    raise ValueError("not yet")


@asynccontextmanager
async def listening(shadows: Shadow) -> AsyncIterator[Callable[[], Awaitable[Said]]]:
    """Hears what is said of the key; calling what it gives waits until all of that has come."""
    said: Said = []

    def hear(message: bytes | None) -> None:
        assert message is not None
        submission, word = message.decode().split(" ")
        assert word in WORDS | {"end"}
        said.append((int(submission), word))

    async def all_of_it() -> Said:
        async with shadows.redis() as redis:
            await redis.publish(shadows.keys.events(KEY), "0 end")
        await wait_until(lambda: said[-1:] == [(0, "end")], "the last message has come")
        return said[:-1]

    subscriptions = Subscriptions(shadows.server, "test")
    await subscriptions.add(shadows.keys.events(KEY), hear)
    try:
        yield all_of_it
    finally:
        await subscriptions.close()


def asides_of(shadows: Shadow) -> Asides:
    recorded = Recorded()
    return Asides(link_of(shadows), shadows.keys, outage_of(recorded), recorded.source, 60_000, 3600_000)


@pytest.mark.parametrize(("task", "word"), [(job, "completed"), (fails, "failed")])
async def test_an_end_is_said(shadows: Shadow, task: Callable[[], Awaitable[None]], word: str) -> None:
    async with listening(shadows) as said:
        execution = await shadows.add(task, key=KEY)()
        await finish(shadows)
        assert await said() == [(execution.submission, word)]


async def test_without_a_ttl_an_end_is_said_all_the_same(shadows: Shadow) -> None:
    """Nothing is kept, but who waits need not look again to learn that."""
    brief = Shadow(name=shadows.name, url=shadows.settings.url, execution_ttl=timedelta(0))
    async with brief, listening(shadows) as said:
        execution = await brief.add(job, key=KEY)()
        await finish(brief)
        assert await said() == [(execution.submission, "completed")]


async def test_a_retry_and_its_progress_belong_to_the_submission(shadows: Shadow) -> None:
    """Progress was told with the number of the placing, which nobody outside knows."""
    async with listening(shadows) as said:
        execution = await shadows.add(reports_at_its_second_attempt, key=KEY)()
        await finish(shadows)
        words = [word for _, word in messages] if (messages := await said()) else []
        assert {number for number, _ in messages} == {execution.submission}
        assert (words[0], words[-1], set(words[1:-1])) == ("queued", "completed", {"progress"})


async def test_a_retry_that_comes_later_is_scheduled(shadows: Shadow) -> None:
    async with listening(shadows) as said, working(shadows) as worker:
        execution = await shadows.add(comes_back_later, key=KEY)()
        await wait_until(lambda: worker.settler.done, "the first attempt is settled")
        assert await said() == [(execution.submission, "scheduled")]


async def test_each_run_of_a_perpetual_ends_as_a_submission_of_its_own(shadows: Shadow) -> None:
    runs: list[int] = []

    async def twice(perpetual: Perpetual = Perpetual()) -> None:
        runs.append(1)
        if len(runs) == 2:
            perpetual.cancel()

    async with listening(shadows) as said:
        execution = await shadows.add(twice, key=KEY)()
        await finish(shadows)
        first, second = await said()
        assert first == (execution.submission, "completed")
        assert second[1] == "completed"
        assert second[0] > execution.submission


@pytest.mark.parametrize("when", [None, LATER], ids=["queued", "scheduled"])
@pytest.mark.parametrize("how", ["cancel", "clear", "replace", "strike"])
async def test_who_ends_it_before_it_runs_says_cancelled(shadows: Shadow, how: str, when: timedelta | None) -> None:
    """For one that is replaced with the number of the old submission, not of the new."""
    execution = await shadows.add(job, when=None if how == "strike" else when, key=KEY)()
    async with listening(shadows) as said:
        if how == "cancel":
            assert await shadows.cancel(KEY)
        elif how == "clear":
            assert await shadows.clear() == 1
        elif how == "replace":
            assert (await shadows.replace(job, LATER, KEY)()).submission > execution.submission
        else:
            await shadows.strike(job)
            await finish(shadows)
        assert await said() == [(execution.submission, "cancelled")]


async def test_what_a_worker_sets_aside_is_quarantined(shadows: Shadow) -> None:
    execution = await shadows.add("job", key=KEY)()
    (entry,) = await delivered(shadows)
    async with listening(shadows) as said:
        await asides_of(shadows).quarantine(entry, "because")
        assert await said() == [(execution.submission, "quarantined")]


async def test_what_kills_its_workers_is_quarantined(shadows: Shadow) -> None:
    """Being taken over twice before is no change that is written."""
    watch = Watch(shadows)
    watch.sweeper._steady_since = 0.0
    async with shadows.redis() as redis:
        await make_group(redis, shadows)
    execution = await shadows.add(job, key=KEY)()
    async with listening(shadows) as said:
        await die(shadows, watch, 3)
        assert await said() == [(execution.submission, "quarantined")]


@pytest.mark.parametrize("damage", ["payload", "record"])
async def test_what_lost_its_payload_or_record_is_quarantined(shadows: Shadow, damage: str) -> None:
    """It was said by nobody. 0 is a submission that nobody knows any more."""
    execution = await shadows.add(job, when=SOON, key=KEY)()
    async with shadows.redis() as redis:
        await redis.hdel(shadows.keys.record(KEY), *(("p",) if damage == "payload" else ("g", "n", "s", "f", "w", "p")))
    async with listening(shadows) as said:
        await finish(shadows)
        assert await said() == [(execution.submission if damage == "payload" else 0, "quarantined")]


@pytest.mark.parametrize("place", ["schedule", "stream"])
async def test_who_waits_for_what_lost_its_record_is_told_at_once(shadows: Shadow, proxy: Proxy, place: str) -> None:
    """It used to find out when it looked by the clock, which this one does after a minute."""
    slow = Shadow(name=shadows.name, url=proxy.url, heartbeat_interval=timedelta(seconds=60))
    async with slow, asyncio.timeout(20):
        execution = await slow.add("job", when=LATER if place == "schedule" else None, key=KEY)()
        proxy.reset_counts()
        waiting = asyncio.create_task(execution.get_result())
        await wait_until(lambda: proxy.commands["EVALSHA"], "it looks at the record")
        await slow.get_execution(KEY)  # goes the same way, so that the look before it is over
        async with shadows.redis() as redis:
            await redis.delete(shadows.keys.record(KEY))
            if place == "schedule":
                await redis.zadd(shadows.keys.schedule, {KEY: 1})
                await finish(shadows)
            else:
                (entry,) = await delivered(shadows)
                await asides_of(shadows).quarantine(entry, "because")
        with pytest.raises(ResultNotKept):
            await waiting


async def test_moves_between_queued_and_running_are_not_said(shadows: Shadow) -> None:
    """They are derived from where the entry is, and a message for each would double what a task costs."""
    execution = await shadows.add("job", when=SOON, key=KEY)()
    async with listening(shadows) as said:
        await finish(shadows)  # moved to the stream, and parked
        assert (await shadows.snapshot()).unknown_count == 1
        shadows.register(job)
        asides = asides_of(shadows)
        await asides.unpark("job")
        watch = Watch(shadows)
        watch.sweeper._steady_since = 0.0
        await die(shadows, watch, 1)
        assert await said() == []
    async with shadows.redis() as redis:
        kept = await redis.xadd(shadows.keys.quarantine, {"k": KEY, "f": "job", "p": b""})
    await shadows.cancel(KEY)
    async with listening(shadows) as said:
        await shadows.quarantine_retry(kept.decode())
        assert await said() == []
    assert execution.key == KEY
