"""`--task-timeout` around one call."""

import asyncio
from datetime import timedelta

import pytest

from shadowsd.engine.task_timeout import limited

BRIEF = timedelta(milliseconds=10)


async def test_a_call_that_takes_too_long_is_cancelled_and_the_option_named() -> None:
    cancelled = asyncio.Event()

    async def never_ends() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError, match="clean was cancelled because it ran for longer than --task-timeout, 10ms"):
        await limited(BRIEF, "clean", never_ends)
    assert cancelled.is_set()


async def test_what_the_task_raises_or_returns_itself_stays_as_it_is() -> None:
    async def fails() -> None:
        raise TimeoutError("of a request")

    async def succeeds() -> int:
        return 5

    with pytest.raises(TimeoutError, match=r"^of a request$"):
        await limited(timedelta(seconds=60), "clean", fails)
    assert await limited(timedelta(seconds=60), "clean", succeeds) == 5
