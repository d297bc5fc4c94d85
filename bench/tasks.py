"""The tasks that both sides run: one that does nothing, and one that notes how late it starts."""

import asyncio
import time
from collections.abc import Callable

from shadows import ConcurrencyLimit

CLOCKS: dict[str, Callable[[], float]] = {"monotonic": time.monotonic, "wall": time.time}


async def noop(number: float = 0.0) -> None:
    """Does nothing, so that all that is measured is what surrounds it."""


async def one_at_a_time(number: float = 0.0, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
    """The same, and only one at a time over all workers."""


class Stamps:
    """How many ms after the moment in its argument each task started.

    Both clocks belong to the machine, so they are the same in all its processes.
    """

    def __init__(self, clock: str, count: int = 0) -> None:
        self.now = CLOCKS[clock]
        self.samples: list[float] = []
        self.collected = asyncio.Event()
        self._count = count

    async def stamp(self, moment: float) -> None:
        """Notes one start."""
        self.samples.append((self.now() - moment) * 1000)
        if len(self.samples) == self._count:
            self.collected.set()
