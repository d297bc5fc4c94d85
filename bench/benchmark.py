"""What a benchmark is: its size, its two columns, and the function that measures."""

import gc
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from shadows.testing import RedisServer

from .report import Row

CONCURRENCY = 32

type Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Size:
    """How much of it to run, and on which server program (None: the one that tests take)."""

    tasks: int = 0
    rounds: int = 1
    seconds: float = 0.0
    program: Path | None = None


@dataclass(frozen=True)
class Benchmark:
    """One command of `python -m bench`. The ratio is that of the second column to the first."""

    purpose: str
    measure: Callable[[Size], Coroutine[Any, Any, list[Row]]]
    size: Size
    columns: tuple[str, str] = ("bare redis-py loop", "shadows")


@contextmanager
def private_server(size: Size) -> Iterator[RedisServer]:
    """A server of this run alone, so that it may be flushed; over TCP, as servers mostly are reached."""
    with RedisServer(tcp=True, program=size.program) as server:
        yield server


async def speed(count: int, work: Awaitable[object]) -> float:
    """How many a second; the garbage of what ran before is not its burden."""
    gc.collect()
    began = perf_counter()
    await work
    return count / (perf_counter() - began)


async def interleaved(rounds: int, first: Measure, second: Measure) -> tuple[list[float], list[float]]:
    """A B A B ...: what disturbs this machine for a while disturbs both."""
    figures: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        figures[0].append(await first())
        figures[1].append(await second())
    return figures


def percentiles(rounds: list[list[float]], share: float) -> list[float]:
    """Of each round, the sample that this share of its samples does not exceed."""
    return [sorted(samples)[min(len(samples) - 1, int(len(samples) * share))] for samples in rounds]
