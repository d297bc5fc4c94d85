"""Factories of shared values that fail, exit or are cancelled."""

import asyncio
import gc

import pytest

from shadows.dependencies import (
    DependencyFailed,
    Depends,
    Shared,
)
from tests.engine.shared_values import Pool, run_in, scope
from tests.waiting import wait_until


async def test_a_failing_factory_fails_that_task_and_is_tried_again_by_the_next() -> None:
    opened = Pool("opened")
    calls = 0

    def pool(opened: str = Depends(opened)) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("no database")
        return "pool"

    async def task(value: str = Shared(pool)) -> str:
        return value

    async with scope() as shared:
        with pytest.raises(DependencyFailed, match=r"Shared\(.*pool\) of its parameter 'value'.* no database"):
            await run_in(shared, task)
        assert opened.log == ["open opened"], "the context manager saw the failure, and yielded to it"
        assert await run_in(shared, task) == "pool"
        assert calls == 2


async def test_a_cancelled_first_task_does_not_end_the_value_for_the_others() -> None:
    pool = Pool()
    pool.may_open.clear()

    async def task(pool: str = Shared(pool)) -> str:
        return pool

    async with scope() as shared:
        first, second = (asyncio.ensure_future(run_in(shared, task)) for _ in range(2))
        await wait_until(lambda: pool.log, "the factory is called")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        pool.may_open.set()
        assert await second == "pool"


async def test_a_failure_that_nobody_waits_for_any_more_is_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = Pool()
    pool.may_open.clear()

    async def breaks(pool: str = Depends(pool)) -> None:
        raise ConnectionError("no database")

    async def task(pool: None = Shared(breaks)) -> None: ...

    async with scope() as shared:
        only = asyncio.ensure_future(run_in(shared, task))
        await wait_until(lambda: pool.log, "the factory is called")
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        pool.may_open.set()
        await wait_until(lambda: not any("breaks" in each.get_name() for each in asyncio.all_tasks()), "it failed")
        gc.collect()
    assert caplog.records == []


async def test_a_factory_that_cancels_itself_fails_and_does_not_cancel_the_task() -> None:
    async def pool() -> None:
        raise asyncio.CancelledError

    async def task(pool: None = Shared(pool)) -> None: ...

    async with scope() as shared:
        with pytest.raises(DependencyFailed, match=r"factory .*pool was cancelled before"):
            await run_in(shared, task)


async def test_a_factory_that_exits_reaches_its_task_and_not_the_loop() -> None:
    def pool() -> None:
        raise SystemExit(3)

    async def task(pool: None = Shared(pool)) -> None: ...

    async with scope() as shared:
        with pytest.raises(SystemExit):
            await run_in(shared, task)
