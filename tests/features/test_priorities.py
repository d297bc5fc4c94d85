"""Priorities: of what is ready, the higher always leaves Redis first; nothing else about a task changes."""

import asyncio
from datetime import timedelta
from typing import Any, get_args

import pytest

from shadows import CurrentExecution, Disposition, Execution, Perpetual, Retry, Shadow, Worker
from shadows.errors import ArgumentsError, ConfigurationError
from shadows.keys import HIGH, LOW
from shadows.priorities import PRIORITIES, Priority
from tests.waiting import wait_until

from .workers import finish, working

SOON = timedelta(milliseconds=50)
ran: list[Any] = []


async def work(label: Any) -> None:
    ran.append(label)


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def test_the_higher_run_first_in_their_order(shadows: Shadow) -> None:
    """Strictly: not one of a lower priority before the last of a higher, and each in the order of the adds."""
    priorities: list[Priority] = ["low", "normal", "high"]
    for number in range(9):
        await shadows.add(work, priority=priorities[number % 3])(number)
    await finish(shadows, concurrency=1)
    assert ran == [2, 5, 8, 1, 4, 7, 0, 3, 6]


async def test_the_normal_one_is_the_default(shadows: Shadow) -> None:
    """What names no priority is normal, and the execution tells which it has."""
    plain = await shadows.add(work, key="plain")("plain")
    low = await shadows.add(work, key="low", priority="low")("low")
    assert [plain.priority, low.priority] == ["normal", "low"]
    found = await shadows.get_execution("low")
    assert found is not None
    assert found.priority == "low"
    await finish(shadows, concurrency=1)
    assert ran == ["plain", "low"]
    found = await shadows.get_execution("low")
    assert found is not None
    assert found.priority == "low"


async def test_many_calls_have_one_each(shadows: Shadow) -> None:
    """`call` takes it, for `add_many` and `replace_many`."""
    calls = [shadows.call(work, priority=priority)(priority) for priority in ("low", "high", "normal")]
    await shadows.add_many(calls)
    await shadows.replace_many([shadows.call(work, key="again", priority="high")("again")])
    await finish(shadows, concurrency=1)
    assert ran == ["high", "again", "normal", "low"]


async def test_what_is_scheduled_keeps_its_priority(shadows: Shadow) -> None:
    """It counts from when the execution is due."""
    for priority in ("low", "normal", "high"):
        await shadows.add(work, when=SOON, priority=priority)(priority)
    await asyncio.sleep(2 * SOON.total_seconds())  # all three are due when the worker comes
    await finish(shadows, concurrency=1)
    assert ran == ["high", "normal", "low"]


async def test_a_retry_and_the_next_run_keep_it(shadows: Shadow) -> None:
    """Through the stream and through the schedule."""
    seen = []

    def note(label: str, execution: Execution) -> None:
        seen.append(f"{label} {execution.priority} {execution.attempt}")

    async def at_once(execution: Execution = CurrentExecution(), retry: Retry = Retry(attempts=2)) -> None:
        note("at once", execution)
        raise ValueError

    async def later(
        execution: Execution = CurrentExecution(), retry: Retry = Retry(attempts=2, delay=timedelta(milliseconds=1))
    ) -> None:
        note("later", execution)
        raise ValueError

    async def goes_on(
        execution: Execution = CurrentExecution(), perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=1))
    ) -> None:
        note("goes on", execution)
        if len(seen) == 7:
            perpetual.cancel()

    await shadows.add(at_once, priority="high")()
    await shadows.add(later, priority="low")()
    async with Worker(shadows, concurrency=1) as worker:
        await worker.run_until_finished()
        assert sorted(seen) == ["at once high 1", "at once high 2", "later low 1", "later low 2"]
        await shadows.add(goes_on, priority="low")()
        await worker.run_until_finished()
    assert seen[4:] == ["goes on low 1"] * 3


async def test_a_replacement_has_its_own(shadows: Shadow) -> None:
    """An add to a busy key changes nothing, and a replace everything."""
    await shadows.add(work, key="one", priority="low")("low")
    again = await shadows.add(work, key="one", priority="high")("high")
    assert again.disposition is Disposition.ALREADY_SCHEDULED
    await shadows.add(work)("normal")
    await shadows.replace(work, None, "one", priority="high")("replaced")
    await finish(shadows, concurrency=1)
    assert ran == ["replaced", "normal"]


async def test_a_key_that_was_of_another_priority_is_normal_again(shadows: Shadow) -> None:
    """Nothing of the one before is left in its record."""
    await shadows.add(work, key="one", priority="high")("first")
    await finish(shadows)
    await shadows.add(work, key="one")("second")
    execution = await shadows.get_execution("one")
    assert execution is not None
    assert execution.priority == "normal"
    await shadows.add(work, priority="high")("high")
    await finish(shadows, concurrency=1)
    assert ran == ["first", "high", "second"]


async def test_a_running_worker_serves_the_first_of_all_at_once(shadows: Shadow) -> None:
    """The streams are there from the first on; a worker that waits is told."""
    async with working(shadows):
        for priority in PRIORITIES:
            async with asyncio.timeout(2):
                execution = await shadows.add(work, priority=priority)(priority)
                await execution.get_result()
    async with shadows.redis() as redis:
        for place in (HIGH, LOW):  # nobody is thrown out of its read
            assert await redis.xinfo_groups(shadows.keys.streams[place - 1])
    assert ran == ["high", "normal", "low"]


async def test_workers_that_are_for_one_priority_take_no_other(shadows: Shadow) -> None:
    """Whatever else waits; and it ends when its own is done."""
    for priority in ("low", "normal", "high", "high"):
        await shadows.add(work, priority=priority)(priority)
    async with Worker(shadows, priorities=["high"]) as worker:
        await worker.run_until_finished()
    assert ran == ["high", "high"]
    async with Worker(shadows, priorities=("low", "normal"), concurrency=1) as worker:
        await worker.run_until_finished()
    assert ran == ["high", "high", "normal", "low"]


async def test_a_worker_for_one_priority_waits_for_it_though_there_was_none(shadows: Shadow) -> None:
    """It need not be told: the stream that it reads is its own to make."""
    async with Worker(shadows, priorities=["low"]) as worker:
        running = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: worker.reader.client_id > 0, "the worker reads")
        async with asyncio.timeout(2):
            execution = await shadows.add(work, priority="low")("low")
            await execution.get_result()
        worker.stop()
        await running


@pytest.mark.parametrize("concurrency", [1, 2, 3])
async def test_what_comes_at_once_never_fills_more_than_the_slots(shadows: Shadow, concurrency: int) -> None:
    """One read may bring one of each priority; what has no room goes to others, and is taken back once there is."""
    now, most, going_on = 0, 0, asyncio.Event()

    async def counted() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await going_on.wait()
        now -= 1

    shadows.register(counted)
    await shadows.add(counted, priority="high")()
    going_on.set()
    await finish(shadows)  # from here on the streams are there
    for _ in range(5):
        going_on.clear()
        most = 0
        async with working(shadows, concurrency=concurrency) as worker:
            await wait_until(lambda: worker.reader.client_id > 0, "the worker reads")
            calls = [shadows.call(counted, priority=priority)() for priority in ("low", "normal", "high")]
            executions = await shadows.add_many(calls)
            await wait_until(lambda: now == concurrency, "every slot is taken")
            going_on.set()
            for execution in executions:
                await execution.get_result(timeout=5)
        assert most <= concurrency


async def test_everything_counts_and_clears_all_priorities(shadows: Shadow) -> None:
    """Snapshot, cancel and clear see each of them."""
    for priority in PRIORITIES:
        await shadows.add(work, key=f"{priority} now", priority=priority)(1)
        await shadows.add(work, timedelta(hours=1), f"{priority} later", priority=priority)(1)
    snapshot = await shadows.snapshot()
    assert snapshot.total == 6
    assert {row.key for row in snapshot.queued} == {"high now", "normal now", "low now"}
    assert await shadows.cancel("high now")
    assert await shadows.cancel("low later")
    assert await shadows.clear() == 4
    assert (await shadows.snapshot()).total == 0
    await finish(shadows)
    assert ran == []


@pytest.mark.parametrize("wrong", ["urgent", "", None, 1, [], b"high"])
async def test_what_is_no_priority_is_refused_before_anything_is_sent(shadows: Shadow, wrong: Any) -> None:
    """By its value, with those that there are."""
    for method in (shadows.add, shadows.call):
        with pytest.raises(ArgumentsError, match=r'expected one of "high", "normal" and "low"'):
            method(work, priority=wrong)
    with pytest.raises(ArgumentsError):
        shadows.replace(work, None, "key", priority=wrong)
    call = shadows.call(work)(1)._replace(priority=wrong)
    (execution,) = await shadows.add_many([call])
    assert execution.disposition is Disposition.FAILED
    assert isinstance(execution.schedule_exception, ArgumentsError)


@pytest.mark.parametrize("wrong", [[], (), "high", ["urgent"], ["high", None], None])
def test_a_worker_for_no_priority_is_refused(shadows: Shadow, wrong: Any) -> None:
    """It would run nothing, for ever."""
    with pytest.raises(ConfigurationError, match="priorities is"):
        Worker(shadows, priorities=wrong)


def test_the_type_and_the_table_name_the_same() -> None:
    """In the order in which they are taken."""
    assert tuple(PRIORITIES) == get_args(Priority.__value__) == ("high", "normal", "low")
