"""The time limit of one run."""

import asyncio
from datetime import timedelta

import pytest

from shadows.dependencies import Timeout
from tests.runs import execution_of, run

SHORT = timedelta(milliseconds=20)
LONG = timedelta(hours=1)


async def test_a_task_that_takes_too_long_is_cancelled_and_fails_with_timeout_error() -> None:
    cancelled = False

    async def slow(limit: Timeout = Timeout(SHORT)) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(TimeoutError, match=r"slow was cancelled because it ran for longer than .* 20ms"):
        await run(execution_of(slow))
    assert cancelled


async def test_a_task_in_time_returns_its_result() -> None:
    async def quick(limit: Timeout = Timeout(LONG)) -> str:
        return "done"

    assert await run(execution_of(quick)) == "done"


async def test_the_tasks_own_timeout_error_stays_as_it_is() -> None:
    async def request(limit: Timeout = Timeout(LONG)) -> None:
        raise TimeoutError("the server did not answer")

    with pytest.raises(TimeoutError, match="the server did not answer"):
        await run(execution_of(request))


async def test_a_cancellation_from_outside_is_not_a_timeout() -> None:
    started = asyncio.Event()

    async def waits(limit: Timeout = Timeout(LONG)) -> None:
        started.set()
        await asyncio.Event().wait()

    attempt = asyncio.ensure_future(run(execution_of(waits)))
    await started.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_extending_moves_the_deadline() -> None:
    async def slow(limit: Timeout = Timeout(LONG)) -> tuple[timedelta, timedelta, timedelta]:
        first = limit.remaining()
        limit.extend(timedelta(hours=2))
        second = limit.remaining()
        limit.extend()
        return first, second, limit.remaining()

    moment = timedelta(seconds=10)
    first, second, third = await run(execution_of(slow))
    assert LONG - moment < first <= LONG
    assert 3 * LONG - moment < second <= 3 * LONG
    assert 4 * LONG - moment < third <= 4 * LONG


async def test_the_error_names_all_the_time_the_task_had() -> None:
    async def slow(limit: Timeout = Timeout(SHORT)) -> None:
        limit.extend(SHORT)
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match="40ms"):
        await run(execution_of(slow))


async def test_nothing_remains_when_the_time_is_over() -> None:
    remaining = None

    async def slow(limit: Timeout = Timeout(SHORT)) -> None:
        nonlocal remaining
        try:
            await asyncio.Event().wait()
        finally:
            remaining = limit.remaining()

    with pytest.raises(TimeoutError):
        await run(execution_of(slow))
    assert remaining == timedelta(0)


async def test_a_direct_call_has_no_deadline_and_may_still_ask() -> None:
    async def asks(limit: Timeout = Timeout(LONG)) -> timedelta:
        limit.extend()
        return limit.remaining()

    assert await asks() == LONG


def test_a_deadline_can_not_be_brought_closer() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Timeout(LONG).extend(-SHORT)


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Timeout(timedelta(0))
