"""Whatever a task with limits raises, returns or asks for ends that task, and leaves none of its places taken."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from shadows import ConcurrencyLimit, Depends, Once, Perpetual, Progress, RateLimit, Retry, Shadow, Timeout
from tests.faults.gated import all_is_gone
from tests.faults.test_bad_tasks import BAD_TASKS, Chain, Grumpy
from tests.features.workers import working
from tests.waiting import wait_until

LIMIT = ConcurrencyLimit(1, scope="bad")
running: Counter[str] = Counter()


async def opens_badly() -> None:
    raise SystemExit(4)


@asynccontextmanager
async def closes_badly() -> AsyncIterator[str]:
    yield "opened"
    raise SystemExit(5)


def limited(task: Any) -> Any:
    """The same with a place, a start, a step, and what follows a failure."""

    async def bad(
        limit: ConcurrencyLimit = LIMIT,
        rate: RateLimit = RateLimit(1000, scope="bad"),
        once: Once = Once(),
        progress: Progress = Progress(),
        retry: Retry = Retry(attempts=2),
        perpetual: Perpetual = Perpetual(timedelta(hours=1)),
    ) -> Any:
        running["now"] += 1
        assert running["now"] == 1
        await asyncio.sleep(0)
        running["now"] -= 1
        await progress.increment()
        result: Any = await once("step", task)
        return result

    return bad


async def good(number: int, limit: ConcurrencyLimit = LIMIT) -> int:
    return number


async def follows_never(limit: ConcurrencyLimit = LIMIT, chain: Chain = Chain(object())) -> None:
    """Its successor gets an argument that can't travel."""


async def too_late(limit: ConcurrencyLimit = LIMIT, within: Timeout = Timeout(timedelta(milliseconds=20))) -> None:
    await asyncio.Event().wait()


async def opens(limit: ConcurrencyLimit = LIMIT, opened: None = Depends(opens_badly)) -> None: ...


async def closes(limit: ConcurrencyLimit = LIMIT, opened: str = Depends(closes_badly)) -> None: ...


async def grumpy_value(value: Any = None, limit: ConcurrencyLimit = ConcurrencyLimit("value", 1)) -> Any:
    return Grumpy()


def thread(limit: ConcurrencyLimit = LIMIT, retry: Retry = Retry(attempts=3)) -> None:
    raise SystemExit(6)


TASKS = {task.__name__: limited(task) for task in BAD_TASKS} | {
    task.__name__: task for task in (follows_never, too_late, opens, closes, grumpy_value, thread)
}


@pytest.mark.parametrize("name", TASKS)
async def test_its_place_goes_to_the_next(name: str, brief: Shadow) -> None:
    """One before it, one behind it, and a second bad one, at a limit of one."""
    running.clear()
    brief.register(TASKS[name], [name])
    async with working(brief) as worker:
        before = await brief.add(good)(1)
        bad = [await brief.add(name)(), await brief.add(name)()]
        after = await brief.add(good)(2)
        assert await before.get_result(timeout=10) == 1
        assert await after.get_result(timeout=10) == 2
        for each in bad:
            with pytest.raises(BaseException) as caught:  # noqa: PT011 # SystemExit and the like, too
                await each.get_result(timeout=10)
            assert not (isinstance(caught.value, TimeoutError) and "no result yet" in str(caught.value))
        await wait_until(lambda: worker.slots.idle, "all slots are free")
        await all_is_gone(brief)
        assert {row.function_name for row in (await brief.snapshot()).scheduled} <= {name}
