"""Brings the metrics of one plain worker up to date, for a thread beside the worker's loop.

What the loop counted is fetched from the loop itself. While a task blocks it, the counters stay as they were and
the gauges tell of the block; nothing is lost.
"""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Final

from shadows.connection import Link
from shadowsd.engine import Worker

from .depths import DepthGauge
from .health import WorkerHealth
from .memory import private_bytes
from .metrics import Metrics, SlotGauges
from .tally import Delta, Tally

# The daemon numbers its slots from 1; a plain worker is one slot.
ONLY_SLOT: Final = "1"
# A scrape must be answered within a second; asking Redis may take half of that.
PATIENCE_SECONDS = 0.25


class Gatherer:
    """Belongs to the thread and loop that serve the metrics, but for `_hand_over`."""

    def __init__(self, worker: Worker, health: WorkerHealth, tally: Tally, metrics: Metrics) -> None:
        self._worker = worker
        self._health = health
        self._tally = tally
        self._metrics = metrics
        self._depths = DepthGauge(Link(worker.shadows.server, "observer"), worker.shadows.keys)
        self._here = asyncio.get_running_loop()
        self._asked_at: float | None = None
        self._arrived = asyncio.Event()
        self._loop_lag_seconds = 0.0

    async def gather(self) -> None:
        """To be called before each scrape; takes less than a second, whatever blocks."""
        await self._fetch()
        if self._health.loop is not None:
            self._metrics.observe_slot(ONLY_SLOT, self._gauges())
        self._metrics.observe_redis(await self._depths.read())

    async def close(self) -> None:
        """Closes the connection to Redis."""
        await self._depths.close()

    async def _fetch(self) -> None:
        loop = self._health.loop
        if loop is None:
            return
        if self._asked_at is None:
            self._arrived.clear()
            self._asked_at = monotonic()
            with suppress(RuntimeError):  # the loop is closed: there is nothing more to come
                loop.call_soon_threadsafe(self._hand_over, self._asked_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._arrived.wait()

    def _hand_over(self, asked_at: float) -> None:
        """Runs in the worker's loop."""
        lag = max(self._tally.take_loop_lag_seconds(), monotonic() - asked_at)
        with suppress(RuntimeError):  # nobody serves metrics any more
            self._here.call_soon_threadsafe(self._receive, self._tally.take(), lag)

    def _receive(self, deltas: list[Delta], loop_lag_seconds: float) -> None:
        for delta in deltas:
            self._metrics.add(ONLY_SLOT, delta)
        self._loop_lag_seconds = loop_lag_seconds
        self._asked_at = None
        self._arrived.set()

    def _gauges(self) -> SlotGauges:
        worker, now = self._worker, monotonic()
        running = list(worker.slots.running.values())  # one step, while the loop goes on
        return SlotGauges(
            slots=worker.concurrency,
            slots_busy=len(running),
            longest_running_seconds=max((now - each.started for each in running), default=0.0),
            loop_lag_seconds=max(self._loop_lag_seconds, worker.pulse.overdue_seconds),
            private_memory_bytes=private_bytes(),
        )
