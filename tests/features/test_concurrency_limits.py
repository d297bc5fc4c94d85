"""`ConcurrencyLimit`: at most so many runs at a time, over all workers."""

import asyncio
from collections import Counter
from typing import Annotated

import pytest

from shadows import ConcurrencyLimit, Shadow
from tests.features.workers import finish, working
from tests.waiting import wait_until

running: Counter[str] = Counter()
most: Counter[str] = Counter()
order: list[int] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    running.clear()
    most.clear()
    order.clear()


async def occupy(name: str) -> None:
    """Note how many run at the same time under this name."""
    running[name] += 1
    most[name] = max(most[name], running[name])
    await asyncio.sleep(0.005)
    running[name] -= 1


async def two_at_a_time(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=2)) -> None:
    order.append(number)
    await occupy("all")


async def one_for_each_customer(customer: Annotated[str, ConcurrencyLimit(1)]) -> None:
    await occupy(customer)
    await occupy("all")


async def by_name(customer: str, limit: ConcurrencyLimit = ConcurrencyLimit("customer", max_concurrent=1)) -> None:
    await occupy(customer)


async def export(table: str, limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="database")) -> None:
    await occupy("database")


async def restore(table: str, limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="database")) -> None:
    await occupy("database")


async def test_a_limit_holds_over_all_workers(shadows: Shadow) -> None:
    await shadows.add_many([shadows.call(two_at_a_time)(number) for number in range(60)])
    await asyncio.gather(*(finish(shadows) for _ in range(3)))
    assert most["all"] == 2
    assert sorted(order) == list(range(60))


async def test_who_came_first_runs_first(shadows: Shadow) -> None:
    await shadows.add_many([shadows.call(two_at_a_time)(number) for number in range(60)])
    await finish(shadows)
    assert order == list(range(60))


async def test_each_value_of_an_annotated_argument_has_a_limit_of_its_own(shadows: Shadow) -> None:
    for customer in ["ann", "bob"] * 10:
        await shadows.add(one_for_each_customer)(customer)
    await finish(shadows)
    assert (most["ann"], most["bob"], most["all"]) == (1, 1, 2)


async def test_a_limit_may_name_its_argument(shadows: Shadow) -> None:
    for customer in ["ann", "bob"] * 10:
        await shadows.add(by_name)(customer)
    await finish(shadows)
    assert (most["ann"], most["bob"]) == (1, 1)


async def test_functions_with_the_same_scope_share_a_limit(shadows: Shadow) -> None:
    for number in range(10):
        await shadows.add(export)(f"table {number}")
        await shadows.add(restore)(f"table {number}")
    await finish(shadows)
    assert most["database"] == 1


async def test_a_waiting_task_takes_no_slot(shadows: Shadow) -> None:
    """A worker with two slots would be full of tasks that only wait."""
    hold, ran = asyncio.Event(), asyncio.Event()

    async def holds(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        await hold.wait()

    async def passes() -> None:
        ran.set()

    for _ in range(5):
        await shadows.add(holds)()
    async with working(shadows, concurrency=2):
        await shadows.add(passes)()
        await asyncio.wait_for(ran.wait(), 10)
        hold.set()
        await wait_until(lambda: is_done(shadows), "all five have run")


async def test_a_cancelled_task_that_waited_does_not_run_and_holds_nobody_up(shadows: Shadow) -> None:
    hold = asyncio.Event()

    async def holds(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        order.append(number)
        await hold.wait()

    executions = [await shadows.add(holds)(number) for number in range(3)]
    async with working(shadows):
        await wait_until(lambda: order == [0], "the first one runs")
        await wait_until(lambda: waiting_at_gates(shadows, 2), "the others wait")
        await shadows.cancel(executions[1].key)
        hold.set()
        await executions[2].get_result(timeout=10)
    assert order == [0, 2]


async def test_a_running_task_that_is_cancelled_gives_its_place_to_the_next(shadows: Shadow) -> None:
    async def lasts(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        order.append(number)
        await asyncio.sleep(60 if number == 0 else 0)

    first, second = await shadows.add(lasts)(0), await shadows.add(lasts)(1)
    async with working(shadows):
        await wait_until(lambda: waiting_at_gates(shadows, 1), "the second one waits")
        await shadows.cancel(first.key)
        await second.get_result(timeout=10)
    assert order == [0, 1]


async def is_done(shadows: Shadow) -> bool:
    return (await shadows.snapshot()).total == 0


async def waiting_at_gates(shadows: Shadow, count: int) -> bool:
    async with shadows.redis() as redis:
        return bool(await redis.xlen(shadows.keys.waiting) == count)
