"""The same steps through shadows, with everything on its default."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shadows import Shadow, Worker

from .bare import IN_FLIGHT
from .benchmark import CONCURRENCY
from .tasks import noop

NAME = "bench"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Shadow]:
    """A connected client that knows the no-op."""
    async with Shadow(name=NAME, url=url) as shadow:
        shadow.register(noop)
        yield shadow


async def add_one_by_one(shadow: Shadow, count: int) -> None:
    """Each after the answer to the one before."""
    for _ in range(count):
        await shadow.add(noop)(0.0)


async def add_in_flight(shadow: Shadow, count: int) -> None:
    """32 coroutines, each of which adds one after the other."""
    left = iter(range(count))

    async def send() -> None:
        for _ in left:
            await shadow.add(noop)(0.0)

    await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


async def add_bulk(shadow: Shadow, count: int) -> None:
    """All in one `add_many`."""
    await shadow.add_many(shadow.call(noop)(0.0) for _ in range(count))


@asynccontextmanager
async def worker(shadow: Shadow) -> AsyncIterator[Worker]:
    """A worker that has joined and runs nothing yet."""
    async with Worker(shadow, concurrency=CONCURRENCY) as worker:
        yield worker
