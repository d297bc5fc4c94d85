"""`RateLimit`, `Cooldown` and `Debounce`: how often a task may start, over all workers."""

import asyncio
from datetime import timedelta
from time import monotonic
from typing import Annotated

import pytest

from shadows import Cooldown, Debounce, ExecutionState, RateLimit, Shadow
from tests.features.workers import finish, working

starts: list[float] = []
ran: list[object] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    starts.clear()
    ran.clear()


async def five_in_a_while(number: int, rate: RateLimit = RateLimit(5, per=timedelta(milliseconds=200))) -> None:
    starts.append(monotonic())
    ran.append(number)


async def two_then_none(number: int, rate: RateLimit = RateLimit(2, per=timedelta(minutes=1), drop=True)) -> None:
    ran.append(number)


async def refresh(customer: Annotated[int, Cooldown(timedelta(minutes=1))]) -> None:
    ran.append(customer)


async def reindex(words: str, debounce: Debounce = Debounce(timedelta(milliseconds=300))) -> None:
    starts.append(monotonic())
    ran.append(words)


async def test_no_stretch_of_time_holds_more_starts_than_the_limit(shadows: Shadow) -> None:
    await shadows.add_many([shadows.call(five_in_a_while)(number) for number in range(20)])
    await asyncio.gather(finish(shadows), finish(shadows))
    assert sorted(ran, key=str) == sorted(range(20), key=str)
    # A start is counted when it is allowed; the way from there to the task takes its time, and not always the same.
    assert all(later - earlier > 0.19 for earlier, later in zip(starts, starts[5:], strict=False))


async def test_what_comes_too_early_is_scheduled_for_when_there_is_room(shadows: Shadow) -> None:
    executions = [await shadows.add(five_in_a_while)(number) for number in range(7)]
    await finish(shadows)
    assert starts[6] - starts[0] < 2
    assert ran == list(range(7))
    for execution in executions:
        assert await execution.get_result(timeout=1) is None


async def test_with_drop_what_comes_too_early_is_cancelled(shadows: Shadow) -> None:
    executions = [await shadows.add(two_then_none)(number) for number in range(4)]
    await finish(shadows)
    for execution in executions:
        await execution.sync()
    assert ran == [0, 1]
    assert [execution.state for execution in executions[2:]] == [ExecutionState.CANCELLED] * 2
    assert executions[3].error == "over its rate limit"


async def test_within_a_cooldown_only_the_first_runs(shadows: Shadow) -> None:
    executions = [await shadows.add(refresh)(customer) for customer in (1, 1, 2, 1)]
    await finish(shadows)
    for execution in executions:
        await execution.sync()
    assert ran == [1, 2]
    assert executions[1].state is ExecutionState.CANCELLED
    assert "cooling down" in str(executions[1].error)


async def test_a_debounced_task_runs_once_with_the_last_arguments_when_it_is_quiet(shadows: Shadow) -> None:
    async with working(shadows):
        for words in ("a", "a b", "a b c"):
            last = await shadows.add(reindex)(words)
            submitted = monotonic()
            await asyncio.sleep(0.05)  # the stretch between two submissions, which is what is tested
        await last.get_result(timeout=10)
    assert ran == ["a b c"]
    assert starts[0] - submitted > 0.29


async def test_a_burst_that_waited_for_a_worker_for_longer_runs_once_too(shadows: Shadow) -> None:
    """Each of them ran: by the time that a worker asked for the first, its time was over, and nobody had asked for the
    last."""

    async def rename(words: str, debounce: Debounce = Debounce(timedelta(milliseconds=50))) -> None:
        ran.append(words)

    executions = [await shadows.add(rename)(str(number)) for number in range(30)]
    await asyncio.sleep(0.1)  # no worker is there for so long, which is what is tested
    await finish(shadows, concurrency=4)
    assert ran == ["29"]
    for execution in executions[:-1]:
        await execution.sync()
        assert (execution.state, execution.error) == (ExecutionState.CANCELLED, "debounced: a later submission came")
