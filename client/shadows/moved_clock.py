"""A clock that tests can move: what is scheduled for tomorrow runs now, in order, with all that follows from it.

Redis's clock can't be moved, so the schedule is: all due times come closer by the same time, step by step, from one
due time to the next. What is due then runs to its end before the next step; hence a task that runs each hour runs 24
times in a day. No time passes for the schedule meanwhile: the milliseconds that the runs really take do not add up to
a run that comes too late for its day.

Not moved: what `datetime.now()` says, to tasks too; the windows of RateLimit, Cooldown and Debounce; leases; how long
outcomes are kept.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import shadows

from .scripts import FORWARD
from .shadow import Shadow

if TYPE_CHECKING:
    from shadows import Worker

NOTHING = timedelta(0)
# A task that runs each second would run for a long time in a year.
MOST_STEPS = 10_000
LOOK_SECONDS = 0.002


@asynccontextmanager
async def clock(
    shadow: Shadow, within: timedelta = timedelta(seconds=30), **worker_options: Any
) -> "AsyncIterator[Clock]":
    """A clock for what is scheduled: `async with clock(shadow) as clock: await clock.forward(timedelta(days=1))`.

    It has a worker of its own, which runs while the clock moves. Another worker may run beside it.

    within: how long one move may take, in real time.
    worker_options: for its `Worker`, such as `dependencies` or `concurrency`.
    """
    async with shadows.Worker(shadow, **worker_options) as worker:
        try:
            yield Clock(shadow, worker, within)
        finally:
            shadow.ahead = NOTHING


class Clock:
    """Moved by `forward`. A server where others work at the same time is no place for it: it moves their tasks, too."""

    def __init__(self, shadow: Shadow, worker: "Worker", within: timedelta) -> None:
        self._shadow = shadow
        self._worker = worker
        self._within = within
        self._keys = [shadow.keys.schedule, *shadow.keys.streams, shadow.keys.waiting]

    def now(self) -> datetime:
        """What time it is by this clock."""
        return datetime.now(UTC) + self._shadow.ahead

    async def forward(self, by: timedelta = NOTHING) -> None:
        """Moves the clock, and runs everything that is due by then, with retries and next runs, in the order of time.

        Raises TimeoutError when that does not come to an end, and ValueError for a time in the past.
        """
        if by < NOTHING:
            raise ValueError(f"forward({by}) goes back in time; pass 0 or more.")
        await self._worker.seed()
        working = asyncio.create_task(self._worker.run_forever())
        moving = asyncio.create_task(self._move_on(round(by.total_seconds() * 1000)))
        try:
            await asyncio.wait({working, moving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            moving.cancel()
            self._worker.stop()
            await working
        await moving

    async def _move_on(self, left_ms: int) -> None:
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                for _ in range(MOST_STEPS):
                    wait_ms = await self._until_nothing_is_due()
                    if wait_ms is None or wait_ms > left_ms:
                        await self._move(left_ms)
                        return
                    await self._move(wait_ms)
                    left_ms -= wait_ms
        except TimeoutError:
            raise TimeoutError(
                f"Something is due still, {self._within} after the clock was moved. A Perpetual with every=0 always "
                "is; a task that waits for another may wait for a later one. Otherwise pass clock(..., within=...)."
            ) from None
        raise TimeoutError(
            f"{MOST_STEPS} times something was due, and the clock has {timedelta(milliseconds=left_ms)} to go. Move it "
            "less far at a time."
        )

    async def _until_nothing_is_due(self) -> int | None:
        """Waits until all that is due has run; returns the ms until the next is due, None when nothing is scheduled."""
        while True:
            _, ready, wait_us = await self._script(0, 0)
            if not ready and wait_us != 0:
                return None if wait_us < 0 else -(-wait_us // 1000)
            await asyncio.sleep(LOOK_SECONDS)

    async def _move(self, by_ms: int) -> None:
        self._shadow.ahead += timedelta(milliseconds=by_ms)
        left = -1
        while by_ms and left:
            left, _, _ = await self._script(by_ms, left)

    async def _script(self, by_ms: int, left: int) -> list[int]:
        answer: list[int] = await self._shadow.queries.run(FORWARD, self._keys, [self._shadow.keys.prefix, by_ms, left])
        return answer
