"""How late scheduled tasks start: the time between when they are due and their first line.

The bare loop has no schedule; a timer per task in the process that adds stands for one, which shows what
of the lateness is this machine's.
"""

import asyncio
import random
import time
from datetime import UTC, datetime

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, percentiles, private_server
from .report import Row, Target
from .tasks import Stamps
from .workers import started

# Rare enough that the worker is idle at each of them.
PER_SECOND = 50

# All are scheduled before the first is due.
LEAD_SECONDS = 0.5

# The first tasks of a process load scripts and open connections.
WARM_UP = 5


async def measure(size: Size) -> list[Row]:
    """Tasks due at random moments, 50 a second on average."""
    bare: list[list[float]] = []
    ours: list[list[float]] = []
    for _ in range(size.rounds):
        bare.append(await bare_lateness(size))
        ours.append(await shadows_lateness(size))
    rows = []
    for name, share, target in (("p50", 0.5, None), ("p99", 0.99, Target("median", 5.0))):
        reference, measured = percentiles(bare, share), percentiles(ours, share)
        rows.append(Row(f"due to start, {name}, ms", reference, measured, target))
    return rows


def moments(count: int) -> list[float]:
    """When each is due, by the wall clock; in whole ms, as schedules are."""
    first = time.time() + LEAD_SECONDS
    return sorted(round(first + random.uniform(0, count / PER_SECOND), 3) for _ in range(count))


async def bare_lateness(size: Size) -> list[float]:
    """By timers."""
    with private_server(size) as server:
        async with (
            Bare.opened(server.url) as bare,
            started("bare_worker", server.url, WARM_UP + size.tasks, "wall") as worker,
        ):
            for _ in range(WARM_UP):
                await bare.add(time.time())
            for moment in moments(size.tasks):
                await asyncio.sleep(max(0.0, moment - time.time()))
                await bare.add(moment)
            return (await worker.samples())[WARM_UP:]


async def shadows_lateness(size: Size) -> list[float]:
    """By `when`."""
    with private_server(size) as server:
        stamps = Stamps("wall")
        async with (
            project.opened(server.url) as shadow,
            started("shadows_worker", server.url, WARM_UP + size.tasks, "wall") as worker,
        ):
            for _ in range(WARM_UP):
                await shadow.add(stamps.stamp)(time.time())
            await shadow.add_many(
                shadow.call(stamps.stamp, when=datetime.fromtimestamp(moment, UTC))(moment)
                for moment in moments(size.tasks)
            )
            seconds = LEAD_SECONDS + size.tasks / PER_SECOND
            return (await worker.samples(seconds))[WARM_UP:]


BENCHMARK = Benchmark(
    "how late scheduled tasks start on an idle worker",
    measure,
    Size(tasks=500, rounds=3),
    columns=("bare loop and timers", "shadows"),
)
