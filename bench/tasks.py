"""The tasks that both sides run: one that does nothing, and one that notes how late it starts."""

import time
from collections.abc import Callable

CLOCKS: dict[str, Callable[[], float]] = {"monotonic": time.monotonic, "wall": time.time}


async def noop(number: float = 0.0) -> None:
    """Does nothing, so that all that is measured is what surrounds it."""


class Stamps:
    """How long after its argument's moment each task started, in ms.

    Both clocks are the machine's own and the same in all its processes.
    """

    def __init__(self, clock: str) -> None:
        self._now = CLOCKS[clock]
        self.samples: list[float] = []

    async def stamp(self, moment: float) -> None:
        """Notes one start."""
        self.samples.append((self._now() - moment) * 1000)
