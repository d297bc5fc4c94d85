"""The edges of the thread behind `shadows.sync`; what it is for is tested there."""

import asyncio

import pytest

from shadows.errors import ShadowsError
from shadows.loop_thread import LoopThread


async def nothing() -> None:
    """Neither work nor farewell."""


def test_it_takes_nothing_after_its_end_and_ends_once() -> None:
    """Another thread may close it between a caller's look and its call."""
    thread = LoopThread(nothing)
    thread.close()
    thread.close()
    with pytest.raises(ShadowsError, match="closed by another thread"):
        thread.run(nothing)


def test_its_farewell_comes_before_what_still_runs_is_cancelled() -> None:
    """Closing a client sends what is queued, which its own tasks do."""
    said: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            said.append("cancelled")

    async def begins() -> asyncio.Task[None]:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        return task

    async def farewell() -> None:
        said.append("farewell")

    thread = LoopThread(farewell)
    kept = thread.run(begins)
    thread.close()
    assert said == ["farewell", "cancelled"]
    assert kept.done()
