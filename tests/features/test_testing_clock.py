"""`testing.clock`: what is scheduled for later runs now, in its order, with all that follows from it."""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from shadows import Cron, CurrentShadow, ExponentialRetry, Perpetual, Retry, Shadow, Worker, testing
from shadows.dependencies import Successor
from tests.features.workers import finish, working
from tests.waiting import wait_until

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_what_is_scheduled_for_tomorrow_runs_when_the_clock_is_moved(shadows: Shadow) -> None:
    ran: list[str] = []

    async def note(name: str) -> None:
        ran.append(name)

    await shadows.add(note, when=DAY)("tomorrow")
    await shadows.add(note, when=datetime.now(UTC) + 2 * HOUR)("soon")
    await shadows.add(note, when=2 * DAY)("the day after")
    await shadows.add(note)("now")
    began = monotonic()
    async with testing.clock(shadows) as clock:
        await clock.forward()
        assert ran == ["now"]
        await clock.forward(DAY - HOUR)
        assert ran == ["now", "soon"]
        await clock.forward(HOUR)
        assert ran == ["now", "soon", "tomorrow"]
        assert abs(clock.now() - datetime.now(UTC) - DAY) < timedelta(seconds=1)
    assert monotonic() - began < 10
    left = await testing.assert_task_scheduled(shadows, note, args=("the day after",))
    assert left.when is not None
    assert abs(left.when - datetime.now(UTC) - DAY) < timedelta(seconds=20)


async def test_a_task_that_runs_each_hour_runs_24_times_a_day(shadows: Shadow) -> None:
    runs = []

    async def hourly(perpetual: Perpetual = Perpetual(every=HOUR)) -> None:
        runs.append(1)
        await asyncio.sleep(0.01)

    await shadows.add(hourly, when=HOUR)()
    async with testing.clock(shadows) as clock:
        await clock.forward(DAY)
        assert len(runs) == 24
        await clock.forward(DAY)
    assert len(runs) == 48


async def test_an_automatic_task_is_started_by_the_clocks_worker(shadows: Shadow) -> None:
    runs = []

    async def hourly(perpetual: Perpetual = Perpetual(every=HOUR, automatic=True)) -> None:
        runs.append(1)

    shadows.register(hourly)
    async with testing.clock(shadows) as clock:
        await clock.forward(2 * HOUR)
    assert len(runs) == 3


async def test_retries_come_at_their_times(shadows: Shadow) -> None:
    attempts: list[int] = []

    async def flaky(retry: Retry = ExponentialRetry(attempts=5, minimum_delay=HOUR, maximum_delay=DAY)) -> str:
        attempts.append(retry.attempt)
        if retry.attempt < 4:
            raise ConnectionError
        return "done"

    execution = await shadows.add(flaky)()
    async with testing.clock(shadows) as clock:
        await clock.forward(2 * HOUR)
        assert attempts == [1, 2]
        await clock.forward(5 * HOUR)
    assert attempts == [1, 2, 3, 4]
    assert await execution.get_result(timeout=5) == "done"


async def test_what_a_task_schedules_counts_from_its_own_time(shadows: Shadow) -> None:
    ran: list[str] = []

    async def step(name: str, shadows: Shadow = CurrentShadow()) -> None:
        ran.append(name)
        if name == "first":
            await shadows.add(step, when=HOUR)("second, in an hour")
            await shadows.add(step, when=datetime.now(UTC) + 2 * HOUR)("third, at a time")

    await shadows.add(step, when=DAY)("first")
    async with testing.clock(shadows) as clock:
        await clock.forward(DAY + 2 * HOUR)
    assert ran == ["first", "second, in an hour", "third, at a time"]


class Daily(Perpetual):
    """At midnight, by the calendar, as a cron expression would say it."""

    def first(self) -> datetime:
        return midnight_after(datetime.now(UTC))

    def successor(self, duration: timedelta, due: datetime | None = None) -> Successor:
        assert due is not None
        return Successor(when=midnight_after(max(due, datetime.now(UTC))))


def midnight_after(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


async def test_a_task_that_runs_by_the_calendar_runs_once_a_day(shadows: Shadow) -> None:
    days = []

    async def daily(perpetual: Perpetual = Daily()) -> None:
        days.append(clock.now())

    first = midnight_after(datetime.now(UTC))
    await shadows.add(daily, when=first)()
    async with testing.clock(shadows) as clock:
        await clock.forward(first - datetime.now(UTC) + 3 * DAY + HOUR)
    assert [round((day - first) / DAY, 2) for day in days] == [0, 1, 2, 3]


async def test_a_cron_task_runs_at_each_of_its_moments(shadows: Shadow) -> None:
    at: list[datetime] = []

    async def twice_a_day(cron: Cron = Cron("0 6,18 * * *")) -> None:
        at.append(clock.now())

    shadows.register(twice_a_day)
    first = Cron("0 6,18 * * *").next()
    async with testing.clock(shadows) as clock:
        await clock.forward(first - datetime.now(UTC) + 2 * DAY + HOUR)
    assert [round((moment - first) / HOUR, 1) for moment in at] == [0, 12, 24, 36, 48]


async def test_a_cron_task_that_is_registered_later_begins_by_the_moved_clock(shadows: Shadow) -> None:
    at: list[datetime] = []

    async def daily(cron: Cron = Cron("0 6 * * *")) -> None:
        at.append(clock.now())

    first = Cron("0 6 * * *").next(datetime.now(UTC) + 5 * HOUR)
    async with testing.clock(shadows) as clock:
        await clock.forward(5 * HOUR)
        shadows.register(daily)
        await clock.forward(2 * DAY)
    assert [round((moment - first) / HOUR, 1) for moment in at] == [0, 24]


async def test_a_struck_run_is_followed_at_its_time_too(shadows: Shadow) -> None:
    runs = []

    async def daily(perpetual: Perpetual = Daily()) -> None:
        runs.append(1)

    first = midnight_after(datetime.now(UTC))
    await shadows.add(daily, when=first, key="daily")()
    async with testing.clock(shadows) as clock:
        await shadows.strike(daily)
        await clock.forward(first - datetime.now(UTC) + DAY + HOUR)
        next_run = await shadows.get_execution("daily")
        assert next_run is not None
        assert next_run.when is not None
        assert abs(next_run.when + shadows.ahead - (first + 2 * DAY)) < timedelta(seconds=20)
    assert not runs


async def test_it_works_with_a_worker_that_runs_until_it_is_finished(shadows: Shadow) -> None:
    ran: list[str] = []

    async def note(name: str) -> None:
        ran.append(name)

    await shadows.add(note, when=DAY)("tomorrow")
    async with testing.clock(shadows, schedule_automatic_tasks=False) as clock, Worker(shadows) as worker:
        finishing = asyncio.create_task(worker.run_until_finished())
        await clock.forward(DAY)
        async with asyncio.timeout(10):
            await finishing
    assert ran == ["tomorrow"]
    await finish(shadows)


async def test_other_workers_hear_of_the_move_at_once(shadows: Shadow) -> None:
    ran: list[str] = []

    async def note() -> None:
        ran.append("by another worker")

    await shadows.add(note, when=DAY)()
    async with working(shadows), testing.clock(shadows) as clock:
        await clock.forward(DAY - timedelta(milliseconds=300))
        assert not ran
        await wait_until(lambda: bool(ran), "the rest of the day goes by")


async def test_more_than_one_script_moves_are_moved(shadows: Shadow) -> None:
    async def note(number: int) -> None: ...

    await shadows.add_many([shadows.call(note, when=DAY + timedelta(seconds=n))(n) for n in range(450)])
    async with testing.clock(shadows) as clock:
        await clock.forward(DAY - HOUR)
    rows = (await shadows.snapshot()).scheduled
    assert len(rows) == 450
    waits = [(row.when - datetime.now(UTC)).total_seconds() for row in rows]
    assert 3560 < min(waits) <= 3600
    assert 3560 + 449 < max(waits) <= 3600 + 449


async def test_a_move_that_can_not_end_says_so(shadows: Shadow, monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(perpetual: Perpetual = Perpetual()) -> None: ...

    async def hourly(perpetual: Perpetual = Perpetual(every=HOUR)) -> None: ...

    await shadows.add(hourly, key="hourly")()
    async with testing.clock(shadows, within=timedelta(milliseconds=300)) as clock:
        monkeypatch.setattr("shadows.moved_clock.MOST_STEPS", 3)
        with pytest.raises(TimeoutError, match=r"3 times something was due, and the clock has 21:\d\d:\S+ to go"):
            await clock.forward(DAY)
        await shadows.add(always)()
        with pytest.raises(TimeoutError, match=r"Something is due still, 0:00:00.300000 after the clock was moved"):
            await clock.forward(HOUR)
        with pytest.raises(ValueError, match=r"forward\(-1 day, 0:00:00\) goes back in time"):
            await clock.forward(-DAY)
    assert shadows.ahead == timedelta(0)
