"""How fast tasks are added: one at a time, 32 in flight, and many at once."""

from collections.abc import Awaitable, Callable
from functools import partial

from shadows.testing import RedisServer

from . import project
from .bare import Bare
from .benchmark import Benchmark, Size, interleaved, private_server, speed
from .report import Row, Target

type Adding = Callable[[int], Awaitable[object]]

# One at a time is slow on both sides, and its speed shows as well in fewer.
FEWER = 5


async def measure(size: Size) -> list[Row]:
    """Adds to an empty stream, flushed before each stretch."""
    with private_server(size) as server:
        async with Bare.opened(server.url) as bare, project.opened(server.url) as shadow:
            ways: list[tuple[str, int, Adding, Adding, Target | None]] = [
                ("one at a time, adds/s", max(1, size.tasks // FEWER), bare.add_one_by_one,
                 partial(project.add_one_by_one, shadow), None),
                ("32 in flight, adds/s", size.tasks, bare.add_in_flight,
                 partial(project.add_in_flight, shadow), Target("ratio", 2.5, at_least=True)),
                ("bulk, adds/s", size.tasks, bare.add_bulk,
                 partial(project.add_bulk, shadow), Target("ratio", 1.6, at_least=True)),
            ]  # fmt: skip
            rows = []
            for name, count, reference, ours, target in ways:
                sides = [partial(adding_speed, server, side, count) for side in (reference, ours)]
                for warm_up in (reference, ours):
                    await adding_speed(server, warm_up, max(1, count // 10))
                rows.append(Row(name, *await interleaved(size.rounds, *sides), target))
            return rows


async def adding_speed(server: RedisServer, add: Adding, count: int) -> float:
    """Adds a second, to a server that holds nothing."""
    server.command("FLUSHALL")
    return await speed(count, add(count))


BENCHMARK = Benchmark(
    "how fast tasks are added: one at a time, 32 in flight, in bulk",
    measure,
    Size(tasks=20_000, rounds=5),
)
