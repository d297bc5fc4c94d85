"""Values that live as long as the worker."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest

from shadows.dependencies import (
    CurrentExecution,
    CurrentShadow,
    CurrentWorker,
    DependencyFailed,
    Depends,
    Shared,
)
from tests.engine.shared_values import SHADOW, WORKER, Pool, run_in, scope
from tests.waiting import wait_until


async def test_a_shared_value_is_made_once_and_closed_when_the_worker_stops() -> None:
    pool = Pool()

    async def one(pool: str = Shared(pool)) -> str:
        return pool

    async def other(pool: str = Shared(pool)) -> str:
        return pool

    async with scope() as shared:
        assert [await run_in(shared, each) for each in (one, other, one)] == ["pool"] * 3
        assert pool.log == ["open pool"]
    assert pool.log == ["open pool", "close pool"]


async def test_concurrent_first_uses_make_one_value() -> None:
    pool = Pool()
    pool.may_open.clear()

    async def task(pool: str = Shared(pool)) -> str:
        return pool

    async with scope() as shared:
        runs = [asyncio.ensure_future(run_in(shared, task)) for _ in range(5)]
        await wait_until(lambda: pool.log, "the factory is called")
        pool.may_open.set()
        assert await asyncio.gather(*runs) == ["pool"] * 5
        assert pool.log == ["open pool"]


async def test_a_slow_factory_does_not_hold_up_another() -> None:
    slow, quick = Pool("slow"), Pool("quick")
    slow.may_open.clear()

    async def waits(value: str = Shared(slow)) -> str:
        return value

    async def goes(value: str = Shared(quick)) -> str:
        return value

    async with scope() as shared:
        waiting = asyncio.ensure_future(run_in(shared, waits))
        await wait_until(lambda: slow.log, "the slow factory is called")
        assert await run_in(shared, goes) == "quick"
        slow.may_open.set()
        assert await waiting == "slow"


async def test_what_a_shared_value_depends_on_lives_as_long_as_it() -> None:
    """uncalled-for's own Shared closed such a connection with the first task, under a pool that lived on."""
    log: list[str] = []
    connection, settings = Pool("connection", log), Pool("settings", log)

    @asynccontextmanager
    async def pool(connection: str = Depends(connection), settings: str = Shared(settings)) -> AsyncIterator[str]:
        log.append("open pool")
        yield f"pool over {connection} and {settings}"
        log.append("close pool")

    async def task(pool: str = Shared(pool)) -> str:
        return pool

    opening = ["open connection", "open settings", "open pool"]
    async with scope() as shared:
        assert await run_in(shared, task) == "pool over connection and settings"
        assert await run_in(shared, task) == "pool over connection and settings"
        assert log == opening
    assert log == [*opening, "close pool", "close connection", "close settings"]


def test_a_loop_that_ends_without_the_worker_stopping_still_closes() -> None:
    pool = Pool()

    async def task(pool: str = Shared(pool)) -> None: ...

    asyncio.run(run_in(scope(), task))
    assert pool.log == ["open pool", "close pool"]


async def test_a_value_whose_only_task_was_cancelled_is_closed_too() -> None:
    pool = Pool()
    pool.may_open.clear()

    async def task(pool: str = Shared(pool)) -> None: ...

    async with scope() as shared:
        only = asyncio.ensure_future(run_in(shared, task))
        await wait_until(lambda: pool.log, "the factory is called")
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        pool.may_open.set()
        await shared.value(pool)
    assert pool.log == ["open pool", "close pool"]


async def test_a_factory_sees_the_worker_and_not_the_task_that_asked_first() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")

    def pool(shadow: object = CurrentShadow(), worker: object = CurrentWorker()) -> tuple[object, ...]:
        return shadow, worker, tenant.get()

    async def task(pool: tuple[object, ...] = Shared(pool)) -> tuple[object, ...]:
        return pool

    async with scope() as shared:
        tenant.set("the first")
        assert await run_in(shared, task) == (SHADOW, WORKER, "none")


async def test_a_factory_that_asks_for_the_execution_is_told_why_there_is_none() -> None:
    def pool(execution: object = CurrentExecution()) -> None: ...

    async def task(pool: None = Shared(pool)) -> None: ...

    async with scope() as shared:
        with pytest.raises(DependencyFailed, match=r"CurrentExecution .* Shared factory"):
            await run_in(shared, task)


async def test_each_worker_has_its_own_values() -> None:
    def pool() -> object:
        return object()

    async def task(pool: object = Shared(pool)) -> object:
        return pool

    async with scope() as one, scope() as other:
        assert await run_in(one, task) is await run_in(one, task)
        assert await run_in(one, task) is not await run_in(other, task)


async def test_a_worker_that_stops_ends_what_is_still_opening() -> None:
    started, never = Pool("started"), Pool("never")
    started.may_open.clear()

    async def task(pool: str = Shared(started)) -> None: ...

    async def late(pool: str = Shared(never)) -> None: ...

    shared = scope()
    waiting = asyncio.ensure_future(run_in(shared, task))
    await wait_until(lambda: started.log, "the factory is called")
    hardly = asyncio.ensure_future(run_in(shared, late))
    # One turn: the value's own asyncio task exists, and did not begin.
    await asyncio.sleep(0)
    await shared.close()
    for each in (waiting, hardly):
        with pytest.raises(DependencyFailed, match="cancelled before it had a value"):
            await each
    assert never.log == []


async def test_a_worker_that_stopped_opens_nothing() -> None:
    pool = Pool()

    async def task(pool: str = Shared(pool)) -> None: ...

    shared = scope()
    async with shared:
        pass
    with pytest.raises(DependencyFailed, match="worker is stopping"):
        await run_in(shared, task)
    assert pool.log == []


async def test_without_a_workers_values_the_error_says_so() -> None:
    async def task(pool: str = Shared(Pool())) -> None: ...

    with pytest.raises(DependencyFailed, match="Shared needs a worker"):
        await run_in(None, task)


async def test_a_value_that_fails_to_close_is_logged_and_the_others_close(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = Pool()

    @asynccontextmanager
    async def sticky() -> AsyncIterator[str]:
        yield "sticky"
        raise OSError("will not")

    async def task(pool: str = Shared(pool), sticky: str = Shared(sticky)) -> None: ...

    with caplog.at_level(logging.ERROR):
        async with scope() as shared:
            await run_in(shared, task)
    assert pool.log == ["open pool", "close pool"]
    [record] = caplog.records
    assert "sticky" in record.getMessage()


async def test_a_cancelled_stop_cuts_one_closing_short_and_does_the_others() -> None:
    pool, closing = Pool(), asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[str]:
        yield "slow"
        closing.set()
        await asyncio.Event().wait()

    async def task(pool: str = Shared(pool), slow: str = Shared(slow)) -> None: ...

    shared = scope()
    await run_in(shared, task)
    stop = asyncio.ensure_future(shared.close())
    await closing.wait()
    stop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stop
    assert pool.log == ["open pool", "close pool"]


async def test_a_scope_may_be_closed_in_another_context_than_it_was_opened_in() -> None:
    """Fixtures of test frameworks do that, and uncalled-for's SharedContext raised ValueError."""
    pool = Pool()

    async def task(pool: str = Shared(pool)) -> None: ...

    shared = await asyncio.create_task(scope().__aenter__())
    await asyncio.create_task(run_in(shared, task))
    await asyncio.create_task(shared.close())
    assert pool.log == ["open pool", "close pool"]
