"""How long it takes from the call of `add` to the first line of the task, at 200 adds a second."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, percentiles, private_server
from .report import Row, Target
from .tasks import Stamps
from .workers import started

PER_SECOND = 200

# The first adds load scripts and open connections.
WARM_UP = 20

# Adds one task that notes how long after this moment it starts.
type Add = Callable[[float], Awaitable[object]]


async def measure(size: Size) -> list[Row]:
    """The worker is a process of its own, as it is in earnest; the moment of the call travels in the payload."""
    bare: list[list[float]] = []
    ours: list[list[float]] = []
    for _ in range(size.rounds):
        bare.append(await round_trip(size, "bare_worker", bare_adder))
        ours.append(await round_trip(size, "shadows_worker", shadows_adder))
    rows = []
    for name, share, limit in (("p50", 0.5, 1.3), ("p99", 0.99, 2.0)):
        reference, measured = percentiles(bare, share), percentiles(ours, share)
        rows.append(Row(f"add to start, {name}, ms", reference, measured, Target("ratio", limit)))
    return rows


@asynccontextmanager
async def bare_adder(url: str, stamps: Stamps) -> AsyncIterator[Add]:
    """Adds to the bare loop."""
    async with Bare.opened(url) as bare:
        yield bare.add


@asynccontextmanager
async def shadows_adder(url: str, stamps: Stamps) -> AsyncIterator[Add]:
    """Adds to shadows."""
    async with project.opened(url) as shadow:

        async def add(moment: float) -> None:
            await shadow.add(stamps.stamp)(moment)

        yield add


async def round_trip(
    size: Size, module: str, adder: Callable[[str, Stamps], AbstractAsyncContextManager[Add]]
) -> list[float]:
    """One round of one side, on a server of its own."""
    with private_server(size) as server:
        stamps = Stamps("monotonic")
        async with (
            adder(server.url, stamps) as add,
            started(module, server.url, WARM_UP + size.tasks, "monotonic") as worker,
        ):
            await paced(WARM_UP + size.tasks, add)
            return (await worker.samples())[WARM_UP:]


async def paced(count: int, add: Add) -> None:
    """Adds by the clock, whether or not the adds before are answered: a slow answer must not hide the next."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            group.create_task(add_now(add))


async def add_now(add: Add) -> None:
    """One add, stamped with the moment of its call."""
    await add(time.monotonic())


BENCHMARK = Benchmark(
    "from the call of add to the start of the task, at 200 adds/s", measure, Size(tasks=1000, rounds=5)
)
