"""What a worker asks of Redis while there is nothing to do."""

import asyncio
import time

from shadows.testing import RedisServer

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, private_server
from .cost import cpu_seconds
from .report import Row, Target
from .sent import counting
from .tasks import noop

# Joining takes some commands, which do not repeat.
JOINING_SECONDS = 1.0


NAMES = ("commands a second", "Redis CPU, us a second", "CPU of the worker, us a second")
TARGETS = (Target("median", 1.0), None, None)


async def measure(size: Size) -> list[Row]:
    """One idle worker over the given seconds, its beats included, after it has joined."""
    bare, ours = [], []
    for _ in range(size.rounds):
        bare.append(await bare_idles(size))
        ours.append(await shadows_idles(size))
    rows = zip(NAMES, zip(*bare, strict=True), zip(*ours, strict=True), TARGETS, strict=True)
    return [Row(*row) for row in rows]


async def bare_idles(size: Size) -> tuple[float, float, float]:
    """The loop reads, blocked for a second at a time."""
    with private_server(size) as server:
        async with Bare.opened(server.url) as bare:
            await bare.join()
            turning = asyncio.create_task(turn_on(bare))
            try:
                return await watched(server, size.seconds)
            finally:
                turning.cancel()
                await asyncio.gather(turning, return_exceptions=True)


async def turn_on(bare: Bare) -> None:
    """Turn after turn."""
    while True:
        await bare.turn(noop)


async def shadows_idles(size: Size) -> tuple[float, float, float]:
    """A worker that has joined, and waits."""
    with private_server(size) as server:
        async with project.opened(server.url) as shadow, project.worker(shadow) as worker:
            running = asyncio.create_task(worker.run_forever())
            try:
                return await watched(server, size.seconds)
            finally:
                worker.stop()
                await running


async def watched(server: RedisServer, seconds: float) -> tuple[float, float, float]:
    """Commands sent, the server's CPU and this process's, each a second."""
    await asyncio.sleep(min(JOINING_SECONDS, seconds))
    server_cpu, own_cpu = cpu_seconds(server), time.process_time()
    with counting() as sent:
        await asyncio.sleep(seconds)
        count = sent.commands.total()
    server_cpu, own_cpu = cpu_seconds(server) - server_cpu, time.process_time() - own_cpu
    return count / seconds, server_cpu * 1e6 / seconds, own_cpu * 1e6 / seconds


BENCHMARK = Benchmark("what an idle worker asks of Redis", measure, Size(rounds=1, seconds=20.0))
