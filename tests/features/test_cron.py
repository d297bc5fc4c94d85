"""Tasks that run at certain times of day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shadows import Cron, ExecutionState, Retry, Shadow, Worker
from shadows.errors import RegistrationError
from shadowsd.engine.automatic import seed
from tests.waiting import wait_until

from .workers import finish, working

runs: list[datetime] = []


@pytest.fixture(autouse=True)
def no_runs() -> None:
    runs.clear()


def minute_that_ends_in(seconds: float) -> timezone:
    """A time zone in which the next minute begins so soon: no test waits for a real one."""
    into_minute = timedelta(milliseconds=round(datetime.now(UTC).timestamp() * 1000) % 60_000)
    return timezone(timedelta(seconds=60 - seconds) - into_minute)


async def test_a_task_runs_at_its_moment(shadows: Shadow) -> None:
    """The workers that know it start it by themselves: at the next moment, and not at once."""

    async def report(cron: Cron = Cron("* * * * *", tz=minute_that_ends_in(0.5))) -> None:
        runs.append(datetime.now(UTC))

    shadows.register(report)
    async with working(shadows), working(shadows):
        waiting = await wait_until(lambda: shadows.get_execution("report"), "it is scheduled")
        moment = waiting.when
        assert runs == []
        assert waiting.state is ExecutionState.SCHEDULED
        await wait_until(lambda: runs, "its moment came")
        await wait_until(lambda: scheduled(shadows), "the next is scheduled")
        following = await shadows.get_execution("report")
    assert following is not None
    assert following.when is not None
    assert moment is not None
    assert len(runs) == 1
    assert timedelta(milliseconds=-5) < runs[0] - moment < timedelta(seconds=1)
    assert following.when - moment == timedelta(minutes=1)


async def scheduled(shadows: Shadow) -> bool:
    return (await shadows.snapshot()).scheduled_count == 1


async def test_a_hundred_workers_that_come_do_not_move_the_next_run(shadows: Shadow) -> None:
    """Each of them starts what is not there."""

    async def report(cron: Cron = Cron("@yearly")) -> None: ...

    shadows.register(report)
    await seed(shadows)
    first = await shadows.get_execution("report")
    assert first is not None
    assert first.when == Cron("@yearly").next()
    for _ in range(100):
        await seed(shadows)
    last = await shadows.get_execution("report")
    assert last is not None
    assert (last.when, last.fence) == (first.when, first.fence)


async def test_moments_that_nobody_ran_are_one_run(shadows: Shadow) -> None:
    """The workers were away for days; it catches up once, and then waits for its moment."""

    async def report(cron: Cron = Cron("* * * * *", automatic=False)) -> None:
        runs.append(datetime.now(UTC))

    await shadows.add(report, when=datetime.now(UTC) - timedelta(days=3), key="report")()
    async with working(shadows), working(shadows):
        await wait_until(lambda: runs, "what was missed is run")
        await wait_until(lambda: scheduled(shadows), "the next is scheduled")
        following = await shadows.get_execution("report")
    assert following is not None
    assert following.when is not None
    assert len(runs) == 1
    assert timedelta(0) < following.when - runs[0] <= timedelta(minutes=1)


async def test_a_run_that_lasts_over_its_next_moment_skips_it(shadows: Shadow) -> None:
    """Two runs of one key never overlap, and none comes late for a moment that is over."""
    ended: list[datetime] = []
    zone = minute_that_ends_in(0.2)

    async def report(cron: Cron = Cron("* * * * *", automatic=False, tz=zone)) -> None:
        runs.append(datetime.now(UTC))
        if len(runs) == 1:
            await wait_until(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=50), "its moment passed")
        ended.append(datetime.now(UTC))

    moment = Cron("* * * * *", tz=zone).next()
    await shadows.add(report, key="report")()
    async with working(shadows):
        await wait_until(lambda: ended, "the first run is over")
        await wait_until(lambda: scheduled(shadows), "the next is scheduled")
        following = await shadows.get_execution("report")
    assert runs[0] < moment < ended[0]
    assert following is not None
    assert following.when == moment + timedelta(minutes=1)
    assert len(runs) == 1


async def test_a_failure_is_retried_and_followed_by_the_next_moment(shadows: Shadow) -> None:
    """As with every perpetual task."""

    async def report(cron: Cron = Cron("@daily", automatic=False), retry: Retry = Retry(attempts=2)) -> None:
        runs.append(datetime.now(UTC))
        raise ValueError("no")

    await shadows.add(report, key="report")()
    async with working(shadows):
        await wait_until(lambda: len(runs) == 2, "both attempts")
        await wait_until(lambda: scheduled(shadows), "the next is scheduled")
        following = await shadows.get_execution("report")
    assert following is not None
    assert following.when == Cron("@daily").next()
    assert following.attempt == 1


async def test_it_is_struck_for_a_while_without_losing_its_next_moment(shadows: Shadow) -> None:
    """The struck run does not run, and the next is scheduled."""

    async def report(cron: Cron = Cron("@daily", automatic=False)) -> None:
        runs.append(datetime.now(UTC))

    await shadows.add(report, key="report", when=timedelta(milliseconds=200))()
    await shadows.strike(report)
    async with working(shadows):

        async def moved_on() -> bool:
            execution = await shadows.get_execution("report")
            return execution is not None and execution.when == Cron("@daily").next()

        await wait_until(moved_on, "the next is scheduled")
    assert runs == []


async def test_a_run_may_end_it_or_give_the_next_one_arguments(shadows: Shadow) -> None:
    """What a `Perpetual` can do, a `Cron` can."""
    seen: list[int] = []

    async def report(number: int = 1, cron: Cron = Cron("@daily", automatic=False)) -> None:
        seen.append(number)
        cron.perpetuate(number + 1)
        cron.after(timedelta(0))
        if number == 3:
            cron.cancel()

    await shadows.add(report)()
    await finish(shadows)
    assert seen == [1, 2, 3]


async def test_run_at_most_ends_it_in_a_test(shadows: Shadow) -> None:
    """Without waiting for the next day."""

    async def report(cron: Cron = Cron("@daily", automatic=False)) -> None:
        runs.append(datetime.now(UTC))

    await shadows.add(report)()
    async with Worker(shadows) as worker:
        await worker.run_at_most({"report": 1})
    assert len(runs) == 1


async def test_an_automatic_one_requires_no_arguments(shadows: Shadow) -> None:
    """Nobody would know them."""

    async def report(customer: int, cron: Cron = Cron("@daily")) -> None: ...

    with pytest.raises(RegistrationError, match=r"automatic=True in its parameter 'cron'.*requires: 'customer'"):
        shadows.register(report)
