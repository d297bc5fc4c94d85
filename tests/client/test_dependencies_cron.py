"""What follows a run at a cron's moment."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shadows.dependencies import Cron, Outcome, Perpetual, Successor
from tests.runs import execution_of

MINUTE = timedelta(minutes=1)


async def task() -> None:
    """Stands for any task."""


def following(due: datetime, cron: Cron) -> datetime:
    """When the run comes that follows one that was due then, and has ended now."""
    execution = execution_of(task)
    execution.when = due
    successor = cron.on_complete(execution, Outcome(timedelta(seconds=1)))
    assert successor is not None
    assert successor.when is not None
    return successor.when


def test_the_next_run_is_at_the_first_moment_that_is_to_come() -> None:
    """Whether one was missed or a thousand: they are skipped, and not made up for."""
    before = datetime.now(UTC)
    found = following(before - timedelta(days=3), Cron("* * * * *"))
    assert before < found <= datetime.now(UTC) + MINUTE
    assert (found.second, found.microsecond) == (0, 0)


def test_a_host_whose_clock_is_behind_does_not_run_a_moment_twice() -> None:
    """By its clock the run ends before it was due, and what comes next would be the same moment again."""
    due = Cron("* * * * *").next() + 2 * MINUTE
    assert following(due, Cron("* * * * *")) == due + MINUTE


def test_a_struck_run_is_followed_by_the_next_moment_too() -> None:
    due = Cron("*/5 * * * *").next() + timedelta(hours=1)
    successor = Cron("*/5 * * * *").successor(timedelta(0), due)
    assert successor.when is not None
    assert due < successor.when <= due + 5 * MINUTE
    assert Cron("@daily").successor(timedelta(0)).when == Cron("@daily").next()


def test_what_the_run_said_counts_more() -> None:
    cron = Cron("@daily")
    cron.after(MINUTE)
    cron.perpetuate(5)
    assert cron.on_complete(execution_of(task), Outcome(MINUTE)) == Successor(MINUTE, None, (5,), {})
    cron.cancel()
    assert cron.on_complete(execution_of(task), Outcome(MINUTE)) is None


def test_it_is_a_perpetual_that_workers_start_unless_it_says_otherwise() -> None:
    assert isinstance(Cron("@daily"), Perpetual)
    assert Cron("@daily").automatic
    assert not Cron("@daily", automatic=False).automatic
    assert Cron("@daily").first() == Cron("@daily").next()


def test_its_moments_are_those_of_its_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = Cron("0 9 * * *", tz=berlin).next(datetime(2027, 7, 1, tzinfo=UTC))
    assert found == datetime(2027, 7, 1, 7, tzinfo=UTC)
    assert found.tzinfo is berlin


@pytest.mark.parametrize("expression", ["* * * *", "@sometimes", "0 0 31 2 *"])
def test_a_bad_expression_is_refused_where_it_is_written(expression: str) -> None:
    with pytest.raises(ValueError, match="expected five fields"):

        async def report(cron: Cron = Cron(expression)) -> None: ...
