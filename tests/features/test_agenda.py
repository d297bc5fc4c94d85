"""`Agenda`: a batch of calls, spread over a stretch of time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shadows import Agenda, Disposition, Shadow
from shadows.errors import ArgumentsError
from tests.features.workers import finish

BERLIN = ZoneInfo("Europe/Berlin")

ran: list[int] = []


async def refresh(customer: int) -> None:
    ran.append(customer)


def agenda_of(count: int) -> Agenda:
    agenda = Agenda()
    for customer in range(count):
        agenda.add(refresh)(customer)
    return agenda


async def test_calls_are_spread_evenly_from_the_start_to_the_end(shadows: Shadow) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    executions = await agenda_of(5).scatter(shadows, over=timedelta(minutes=40), start=start)
    assert [each.when for each in executions] == [start + timedelta(minutes=10) * number for number in range(5)]


@pytest.mark.parametrize("night", [datetime(2027, 3, 28, 1, tzinfo=BERLIN), datetime(2027, 10, 31, 1, tzinfo=BERLIN)])
async def test_it_lasts_as_long_in_a_night_in_which_the_clock_is_changed(shadows: Shadow, night: datetime) -> None:
    """By the clock on the wall four hours were three or five there, and a part of them came all at once, or never."""
    executions = await agenda_of(9).scatter(shadows, over=timedelta(hours=4), start=night)
    begin = night.astimezone(UTC)
    assert [each.when for each in executions] == [begin + timedelta(minutes=30) * number for number in range(9)]
    jittered = await agenda_of(50).scatter(shadows, over=timedelta(hours=4), start=night, jitter=timedelta(hours=2))
    assert all(each.when is not None and each.when >= begin for each in jittered)


async def test_a_single_call_comes_in_the_middle(shadows: Shadow) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    (execution,) = await agenda_of(1).scatter(shadows, over=timedelta(minutes=40), start=start)
    assert execution.when == start + timedelta(minutes=20)


async def test_an_agenda_without_a_start_begins_now_and_can_be_used_again(shadows: Shadow) -> None:
    ran.clear()
    agenda = agenda_of(3)
    for _ in range(2):
        await agenda.scatter(shadows, over=timedelta(milliseconds=50))
    await finish(shadows)
    assert sorted(ran) == [0, 0, 1, 1, 2, 2]
    assert len(agenda) == len(list(agenda)) == 3


async def test_jitter_moves_each_call_and_none_before_the_start(shadows: Shadow) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    jitter = timedelta(minutes=5)
    executions = await agenda_of(50).scatter(shadows, over=timedelta(minutes=49), start=start, jitter=jitter)
    moved = [
        execution.when - (start + timedelta(minutes=number))
        for number, execution in enumerate(executions)
        if execution.when is not None
    ]
    assert len(set(moved)) > 40
    assert all(abs(each) <= jitter for each in moved)
    assert all(execution.when is not None and execution.when >= start for execution in executions)


async def test_an_agenda_may_hold_different_tasks_and_names(shadows: Shadow) -> None:
    agenda = Agenda()
    agenda.add(refresh)(customer=1)
    agenda.add("elsewhere")("by name")
    executions = await agenda.scatter(shadows, over=timedelta(minutes=1), start=datetime.now(UTC) + timedelta(hours=1))
    assert [each.function_name for each in executions] == ["refresh", "elsewhere"]


async def test_nothing_is_scattered_from_an_empty_agenda(shadows: Shadow) -> None:
    assert await Agenda().scatter(shadows, over=timedelta(minutes=1)) == []


async def test_a_call_that_can_not_be_added_is_raised_when_the_others_were(shadows: Shadow) -> None:
    agenda = agenda_of(2)
    agenda.add("refresh")(1, 2, 3, 4)
    agenda.add(refresh)(2)
    shadows.register(refresh)
    with pytest.raises(ArgumentsError) as caught:
        await agenda.scatter(shadows, over=timedelta(minutes=1), start=datetime.now(UTC) + timedelta(hours=1))
    assert caught.value.__notes__ == ["Scheduled: 3 of the agenda's 4 calls."]
    assert (await shadows.snapshot()).scheduled_count == 3


async def test_what_an_agenda_of_one_call_says_is_in_the_singular(shadows: Shadow) -> None:
    shadows.register(refresh)
    agenda = Agenda()
    agenda.add("refresh")(1, 2, 3, 4)
    with pytest.raises(ArgumentsError) as caught:
        await agenda.scatter(shadows, over=timedelta(minutes=1))
    assert caught.value.__notes__ == ["Scheduled: 0 of the agenda's 1 call."]


@pytest.mark.parametrize(
    ("over", "jitter"), [(timedelta(0), None), (-timedelta(1), None), (timedelta(1), -timedelta(seconds=1))]
)
async def test_a_time_that_can_not_be_right_is_refused(
    shadows: Shadow, over: timedelta, jitter: timedelta | None
) -> None:
    with pytest.raises(ValueError, match=r"pass (more than 0|0 or more)"):
        await agenda_of(2).scatter(shadows, over=over, jitter=jitter)
    assert (await shadows.snapshot()).total == 0


async def test_a_struck_call_is_no_error(shadows: Shadow) -> None:
    await shadows.strike(refresh)
    executions = await agenda_of(2).scatter(shadows, over=timedelta(minutes=1))
    assert [each.disposition for each in executions] == [Disposition.STRUCK] * 2
