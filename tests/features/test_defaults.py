"""A Timeout and a Retry for every task that declares none."""

import asyncio
import time
from datetime import timedelta

import pytest

from shadows import ExponentialRetry, Retry, Shadow, Timeout

from .workers import finish

calls: list[str] = []
BRIEF = timedelta(milliseconds=50)


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


async def hangs(name: str) -> None:
    calls.append(name)
    await asyncio.Event().wait()


async def fails(name: str) -> None:
    calls.append(name)
    raise ValueError(name)


async def test_a_task_without_a_timeout_has_the_workers(shadows: Shadow) -> None:
    """And is told whose it was."""
    execution = await shadows.add(hangs)("x")
    await finish(shadows, default_timeout=Timeout(BRIEF))
    with pytest.raises(TimeoutError, match=r"hangs .* longer than the worker's default_timeout, 50ms"):
        await execution.get_result()


async def test_a_task_without_a_retry_has_the_workers(shadows: Shadow) -> None:
    """Plain functions too."""

    def plain(name: str) -> None:
        calls.append(name)
        raise ValueError(name)

    await shadows.add(fails)("async")
    await shadows.add(plain)("plain")
    await finish(shadows, default_retry=ExponentialRetry(attempts=3, minimum_delay=timedelta(milliseconds=5)))
    assert (calls.count("async"), calls.count("plain")) == (3, 3)


async def test_a_task_that_timed_out_is_retried(shadows: Shadow) -> None:
    """The two work together."""
    await shadows.add(hangs)("x")
    await finish(shadows, default_timeout=Timeout(BRIEF), default_retry=Retry(attempts=2))
    assert calls == ["x", "x"]


async def test_what_a_task_declares_wins(shadows: Shadow) -> None:
    """Also when it means less."""

    async def slow(limit: Timeout = Timeout(timedelta(hours=1))) -> str:
        await asyncio.sleep(2 * BRIEF.total_seconds())
        return "in time"

    async def once(retry: Retry = Retry()) -> None:
        calls.append("once")
        raise ValueError("no")

    execution = await shadows.add(slow)()
    await shadows.add(once)()
    await finish(shadows, default_timeout=Timeout(BRIEF), default_retry=Retry(attempts=5))
    assert await execution.get_result() == "in time"
    assert calls == ["once"]


async def test_a_plain_function_is_not_stopped(shadows: Shadow) -> None:
    """It can't be, so nothing claims to."""

    def slow() -> str:
        time.sleep(2 * BRIEF.total_seconds())
        return "in its time"

    execution = await shadows.add(slow)()
    await finish(shadows, default_timeout=Timeout(BRIEF))
    assert await execution.get_result() == "in its time"
