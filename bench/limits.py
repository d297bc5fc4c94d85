"""What a limit over all workers costs: one at a time on three workers, against one worker that runs one at a time."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter
from typing import Any

from shadows import Shadow
from shadows.testing import RedisServer

from .benchmark import Benchmark, Size, interleaved, private_server
from .project import opened
from .report import Row, Target
from .tasks import noop, one_at_a_time
from .workers import started

WORKERS = 3
# The default of a worker.
CONCURRENCY = 10


async def measure(size: Size) -> list[Row]:
    """From the word to begin until nothing is left, with all tasks added before."""
    with private_server(size) as server:
        async with opened(server.url) as shadow:
            figures = await interleaved(
                size.rounds,
                partial(rate, server, shadow, noop, 1, 1, size.tasks),
                partial(rate, server, shadow, one_at_a_time, WORKERS, CONCURRENCY, size.tasks),
            )
            return [Row("no-ops at a limit of 1, tasks/s", *figures, Target("ratio", 0.5, at_least=True))]


async def rate(
    server: RedisServer, shadow: Shadow, function: Callable[..., Any], workers: int, concurrency: int, count: int
) -> float:
    """Tasks a second of so many workers in processes of their own."""
    server.command("FLUSHALL")
    await shadow.add_many(shadow.call(function)() for _ in range(count))
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(started("limits_worker", server.url, concurrency, "monotonic"))
            for _ in range(workers)
        ]
        began = perf_counter()
        for process in processes:
            process.tell("go")
        # The one that ran the last of them notices at once, the others with their next beat.
        done = [asyncio.create_task(process.line()) for process in processes]
        await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
        seconds = perf_counter() - began
        await asyncio.gather(*done)
    return count / seconds


BENCHMARK = Benchmark(
    "one at a time on three workers, against one worker that runs one at a time",
    measure,
    Size(tasks=5_000, rounds=3),
    ("serial, no limit", "limit of 1"),
)
