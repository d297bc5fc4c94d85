"""How much waits in Redis: asked for when somebody wants to know, in one round trip, and at most once a second."""

import asyncio
from time import monotonic
from typing import NamedTuple

from redis.exceptions import ResponseError

from shadows.connection import Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.scripts import DEPTHS

# Two scrapers, or a person who reloads a page, cost Redis no more than one.
FRESH_SECONDS = 1.0
# A scrape must be answered within a second, also when Redis does not answer at all.
PATIENCE_SECONDS = 0.5


class Depths(NamedTuple):
    """What waits in one shadow."""

    queue_depth: int
    schedule_depth: int
    oldest_waiting_seconds: float
    parked_size: int
    quarantine_size: int
    waiting_at_limits: int


class Reading(NamedTuple):
    """What came of asking: whether Redis can be used, and the depths unless they could not be read."""

    up: bool
    depths: Depths | None


class DepthGauge:
    """Reads the depths of one shadow over a link of its own, which belongs to the loop that asks."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = [*keys.streams, keys.schedule, keys.unknown, keys.quarantine, keys.waiting]
        self._reading = Reading(up=False, depths=None)
        self._read_at: float | None = None
        self._lock = asyncio.Lock()

    async def read(self) -> Reading:
        """The depths of this moment, or of at most a second ago."""
        async with self._lock:
            if self._read_at is None or monotonic() - self._read_at >= FRESH_SECONDS:
                self._reading = await self._ask()
                self._read_at = monotonic()
            return self._reading

    async def _ask(self) -> Reading:
        try:
            waiting, scheduled, oldest_ms, parked, quarantined, at_gates = await self._link.run(
                DEPTHS, self._keys, [], seconds=PATIENCE_SECONDS
            )
        except (ConnectionFailed, ServerRefused):
            return Reading(up=False, depths=None)
        except ResponseError:
            # Something else keeps its data under one of these keys; that is no outage.
            return Reading(up=True, depths=None)
        return Reading(
            up=True, depths=Depths(waiting, scheduled, max(0, oldest_ms) / 1000, parked, quarantined, at_gates)
        )

    async def close(self) -> None:
        """Closes the link."""
        await self._link.close()
