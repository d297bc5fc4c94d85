"""Limits beside each other, and beside what else a task can ask for."""

import asyncio
import threading
import time
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from time import monotonic
from typing import Annotated, Any

import pytest

from shadows import (
    ConcurrencyLimit,
    Cooldown,
    Debounce,
    Execution,
    ExecutionState,
    Perpetual,
    RateLimit,
    Retry,
    Shadow,
    Worker,
)
from tests.faults.gated import all_is_gone, left_behind, some_wait
from tests.features.workers import finish
from tests.waiting import wait_until

MINUTE = timedelta(minutes=1)
SHORT = timedelta(milliseconds=100)

running: Counter[str] = Counter()
most: Counter[str] = Counter()
ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    running.clear()
    most.clear()
    ran.clear()


async def occupy(*names: str) -> None:
    for name in names:
        running[name] += 1
        most[name] = max(most[name], running[name])
    await asyncio.sleep(0.003)
    for name in names:
        running[name] -= 1


async def states(executions: list[Execution]) -> list[ExecutionState]:
    for execution in executions:
        await execution.sync()
    return [execution.state for execution in executions]


async def test_two_limits_hold_both(shadows: Shadow) -> None:
    async def task(
        customer: Annotated[str, ConcurrencyLimit(1)], limit: ConcurrencyLimit = ConcurrencyLimit(2)
    ) -> None:
        await occupy(customer, "all")

    await shadows.add_many([shadows.call(task)(name) for name in ["a", "b", "c", "d"] * 10])
    await asyncio.gather(finish(shadows), finish(shadows))
    assert most == {"a": 1, "b": 1, "c": 1, "d": 1, "all": 2}
    await all_is_gone(shadows)


async def test_a_rate_and_a_concurrency_limit_hold_both(shadows: Shadow) -> None:
    starts: list[float] = []

    async def task(
        number: int, limit: ConcurrencyLimit = ConcurrencyLimit(2), rate: RateLimit = RateLimit(5, SHORT)
    ) -> None:
        starts.append(monotonic())
        await occupy("all")

    await shadows.add_many([shadows.call(task)(number) for number in range(25)])
    await asyncio.gather(finish(shadows), finish(shadows))
    assert len(starts) == 25
    assert most["all"] <= 2
    assert all(later - earlier > 0.09 for earlier, later in zip(starts, starts[5:], strict=False))
    await all_is_gone(shadows)


async def test_what_was_put_off_does_not_start_all_at_once_when_workers_come_late(shadows: Shadow) -> None:
    """Its times have passed; the limit holds for when it really starts."""
    starts: list[float] = []

    async def task(number: int, rate: RateLimit = RateLimit(2, SHORT)) -> None:
        starts.append(monotonic())
        ran.append(number)

    await shadows.add_many([shadows.call(task)(number) for number in range(8)])
    async with Worker(shadows) as worker:
        working = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: len(ran) == 2, "two have started")
        await worker.stop_at_once()
        await working
    await asyncio.sleep(0.5)  # longer than all of the times to which they were put off
    await finish(shadows)
    assert ran == list(range(8))
    assert all(later - earlier > 0.09 for earlier, later in zip(starts, starts[2:], strict=False))


async def test_a_debounced_task_that_fails_is_tried_again(shadows: Shadow) -> None:
    async def task(words: str, debounce: Debounce = Debounce(SHORT), retry: Retry = Retry(3)) -> None:
        ran.append(words)
        raise ValueError(words)

    executions = [await shadows.add(task)(words) for words in "abc"]
    await finish(shadows)
    assert ran == ["c"] * 3
    assert await states(executions) == [ExecutionState.CANCELLED] * 2 + [ExecutionState.FAILED]


async def test_a_task_that_cools_down_is_tried_again(shadows: Shadow) -> None:
    async def task(words: str, cooldown: Cooldown = Cooldown(MINUTE), retry: Retry = Retry(3)) -> None:
        ran.append(words)
        raise ValueError(words)

    executions = [await shadows.add(task)(words) for words in "ab"]
    await finish(shadows)
    assert ran == ["a"] * 3
    assert await states(executions) == [ExecutionState.FAILED, ExecutionState.CANCELLED]


async def test_a_perpetual_task_within_its_cooldown_skips_runs_and_goes_on(shadows: Shadow) -> None:
    async def task(
        cooldown: Cooldown = Cooldown(timedelta(milliseconds=250)), perpetual: Perpetual = Perpetual(every=SHORT)
    ) -> None:
        ran.append(monotonic())
        if len(ran) == 3:
            perpetual.cancel()

    await shadows.add(task)()
    await finish(shadows)
    assert len(ran) == 3
    assert all(later - earlier > 0.24 for earlier, later in pairwise(ran))


async def test_perpetual_tasks_wait_for_each_other_at_a_limit(shadows: Shadow) -> None:
    async def task(
        name: str,
        limit: ConcurrencyLimit = ConcurrencyLimit(1),
        perpetual: Perpetual = Perpetual(),
    ) -> None:
        ran.append(name)
        await occupy("all")
        if ran.count(name) >= 5:
            perpetual.cancel()

    for name in "abc":
        await shadows.add(task)(name)
    await finish(shadows)
    assert Counter(ran) == {"a": 5, "b": 5, "c": 5}
    assert most["all"] == 1
    await all_is_gone(shadows)


async def test_run_at_most_counts_runs_and_not_those_that_had_to_wait(shadows: Shadow) -> None:
    """Each of them comes to its worker twice."""

    async def task(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(number)
        await occupy("all")

    await shadows.add_many([shadows.call(task)(number) for number in range(8)])
    async with Worker(shadows) as worker, asyncio.timeout(20):
        await worker.run_at_most({"task": 5})
    assert ran == [0, 1, 2, 3, 4]
    await all_is_gone(shadows)


async def test_plain_functions_keep_their_limit(shadows: Shadow) -> None:
    lock, now, seen = threading.Lock(), [0], [0]

    def task(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(2)) -> None:
        with lock:
            now[0] += 1
            seen[0] = max(seen[0], now[0])
        time.sleep(0.002)
        with lock:
            now[0] -= 1
        ran.append(number)

    await shadows.add_many([shadows.call(task)(number) for number in range(30)])
    await asyncio.gather(finish(shadows), finish(shadows))
    assert seen[0] == 2
    assert sorted(ran) == list(range(30))
    await all_is_gone(shadows)


async def test_a_plain_function_that_a_stopping_worker_gives_up_keeps_its_place(shadows: Shadow) -> None:
    """It runs on in its thread: only its own execution may run beside it, which is what a redelivery is."""
    hold = threading.Event()

    def task(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(number)
        if len(ran) == 1:
            hold.wait(20)

    for number in range(2):
        await shadows.add(task)(number)
    try:
        async with Worker(shadows) as worker:
            working = asyncio.create_task(worker.run_forever())
            await some_wait(shadows, 1)
            await wait_until(lambda: ran == [0], "the first one runs")
            await worker.stop_at_once()
            await working
        await finish(shadows)
        assert ran == [0, 0, 1]
    finally:
        hold.set()
    await all_is_gone(shadows)


@pytest.mark.parametrize("value", ["'\"", "a\nb", "a\0b", "x" * 10_000, "a:b=c", "{x}", "gate:c:task", " ", ""])
async def test_any_text_limits_itself_only(shadows: Shadow, value: str) -> None:
    async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit("name")) -> None:
        ran.append(name)
        await occupy("own" if name == value else "other")

    for number in range(4):
        await shadows.add(task, key=f"{value}{number}")(value)
        await shadows.add(task)("other")
    await finish(shadows)
    assert most == {"own": 1, "other": 1}
    assert Counter(ran) == {value: 4, "other": 4}
    await all_is_gone(shadows)


async def test_values_that_can_not_be_hashed_limit_too(shadows: Shadow) -> None:
    async def task(tables: list[dict[str, int]], limit: ConcurrencyLimit = ConcurrencyLimit("tables")) -> None:
        await occupy(str(tables))

    for _ in range(4):
        await shadows.add(task)([{"a": 1, "b": 2}])
        await shadows.add(task)([{"a": 1}])
    await finish(shadows)
    assert set(most.values()) == {1}
    await all_is_gone(shadows)


async def test_an_argument_that_can_not_be_named_fails_its_task_and_says_why(shadows: Shadow) -> None:
    class Plain:
        pass

    async def task(name: object = Plain(), limit: ConcurrencyLimit = ConcurrencyLimit("name")) -> None:
        ran.append(name)

    execution = await shadows.add(task)()
    await finish(shadows)
    await execution.sync()
    assert execution.state is ExecutionState.FAILED
    assert "Limit by an argument such as an id" in str(execution.error)
    assert ran == []


async def test_what_waits_is_finished_by_run_until_finished(shadows: Shadow) -> None:
    """A worker is not done while somebody waits for what another one runs."""
    hold, started = asyncio.Event(), asyncio.Event()

    async def task(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        ran.append(number)
        started.set()
        await hold.wait()

    await shadows.add(task)(0)
    first = asyncio.create_task(finish(shadows))
    await started.wait()
    await shadows.add(task)(1)
    second = asyncio.create_task(finish(shadows))
    await asyncio.sleep(0.05)
    assert not second.done()
    hold.set()
    await asyncio.gather(first, second)
    assert ran == [0, 1]
    assert await left_behind(shadows) == []
