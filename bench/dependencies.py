"""What dependencies cost a task: three nested ones, against none."""

from collections.abc import Callable
from functools import partial
from typing import Any

from shadows import Depends, Shadow
from shadows.testing import RedisServer

from . import project
from .benchmark import Benchmark, Size, interleaved, private_server, speed
from .report import Row, Target
from .tasks import noop


async def settings() -> str:
    """The innermost of the three."""
    return "settings"


async def connection(told: str = Depends(settings)) -> str:
    """Needs the settings."""
    return told


async def session(opened: str = Depends(connection)) -> str:
    """Needs the connection."""
    return opened


async def nested(number: float = 0.0, opened: str = Depends(session)) -> None:
    """Does nothing with its session."""


async def measure(size: Size) -> list[Row]:
    """Of a drain as in `drain`, so that all else is the same."""
    with private_server(size) as server:
        async with project.opened(server.url) as shadow:
            figures = await interleaved(
                size.rounds,
                partial(micros_per_task, server, shadow, noop, size.tasks),
                partial(micros_per_task, server, shadow, nested, size.tasks),
            )
            return [Row("three nested Depends, us per task", *figures, Target("difference", 15.0))]


async def micros_per_task(server: RedisServer, shadow: Shadow, function: Callable[..., Any], count: int) -> float:
    """From the first read to the last outcome written, with all tasks added before."""
    server.command("FLUSHALL")
    await shadow.add_many(shadow.call(function)(0.0) for _ in range(count))
    async with project.worker(shadow) as worker:
        return 1e6 / await speed(count, worker.run_until_finished())


BENCHMARK = Benchmark(
    "what three nested dependencies cost a task",
    measure,
    Size(tasks=20_000, rounds=5),
    ("no dependencies", "three nested Depends"),
)
