"""Workers for tests: one that runs until all is done, and one that runs beside the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shadows import Shadow, Worker


async def finish(shadows: Shadow, **options: Any) -> None:
    """Run a worker until nothing is left to do; a worker that does not come to that fails the test."""
    async with Worker(shadows, **options) as worker, asyncio.timeout(20):
        await worker.run_until_finished()


@asynccontextmanager
async def working(shadows: Shadow, **options: Any) -> AsyncIterator[Worker]:
    """A worker that runs while the block does; what still runs at the end of the block is handed back."""
    async with Worker(shadows, **options) as worker:
        running = asyncio.create_task(worker.run_forever())
        try:
            yield worker
        finally:
            await worker.stop_at_once()
            async with asyncio.timeout(20):
                await running
