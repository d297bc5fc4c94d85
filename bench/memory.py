"""What a worker takes in memory beside a process that only has redis-py and runs the bare loop."""

import asyncio

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, private_server
from .report import Row, Target
from .tasks import Stamps
from .workers import started

CLOCK = "monotonic"


async def measure(size: Size) -> list[Row]:
    """Both run at the same time, so that what they share is shared alike, and each has run its tasks."""
    found: list[tuple[float, float]] = []
    with private_server(size) as server:
        for _ in range(size.rounds):
            server.command("FLUSHALL")
            found.append(await both(server.url, size.tasks))
    bare, ours = zip(*found, strict=True)
    return [Row("PSS of one worker process, MB", bare, ours, Target("difference", 15.0))]


async def both(url: str, count: int) -> tuple[float, float]:
    """The PSS of a bare worker and of one of shadows."""
    stamps = Stamps(CLOCK)
    async with (
        Bare.opened(url) as bare,
        project.opened(url) as shadow,
        started("bare_worker", url, count, CLOCK) as bare_worker,
        started("shadows_worker", url, count, CLOCK) as worker,
    ):
        await bare.add_bulk(count)
        await shadow.add_many(shadow.call(stamps.stamp)(0.0) for _ in range(count))
        await asyncio.gather(bare_worker.samples(), worker.samples())
        return bare_worker.pss(), worker.pss()


BENCHMARK = Benchmark("memory of a worker over the bare loop", measure, Size(tasks=1000, rounds=3))
