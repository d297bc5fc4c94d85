"""Moves what is due into the stream, and sleeps until the next due time, not for an interval."""

import asyncio
from datetime import timedelta
from logging import getLogger
from time import monotonic

from redis.exceptions import ResponseError

from shadows.amounts import counted
from shadows.connection import Argument, Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.scripts import PROMOTE
from shadows.subscriptions import Subscriptions

from .asides import tell_pushed_out
from .events import Events, ScheduledQuarantined
from .outage import Outage

logger = getLogger("shadows.worker")

# asyncio's timers are exact to about a millisecond; a clock that runs apart from Redis's is caught up so.
LONGEST_SLEEP_SECONDS = 3600.0
# A timer that rounds down wakes a little early; looking again at once would only ask Redis again.
SHORTEST_SLEEP_SECONDS = 0.0005
# A beat's reply is a little old; only a real difference counts.
LATE_SECONDS = 0.05


class Scheduler:
    """Every worker moves what is due; one that comes second finds nothing and loses nothing."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        signals: Subscriptions,
        outage: Outage,
        events: Events,
        ttl_ms: int,
        resolution: timedelta,
    ) -> None:
        self._link = link
        self._keys = [keys.stream, keys.schedule, keys.generation, keys.quarantine]
        self._arguments: list[Argument] = [keys.prefix, ttl_ms]
        self._signals = signals
        self._outage = outage
        self._events = events
        self._resolution = resolution.total_seconds()
        self._changed = asyncio.Event()
        self._looks_at = 0.0

    def wake(self) -> None:
        """Something earlier was scheduled: look again."""
        self._changed.set()

    def due_in(self, ms: int) -> None:
        """A beat saw the next due time: look then, if the signal that should have told of it was lost."""
        if ms >= 0 and monotonic() + ms / 1000 + LATE_SECONDS < self._looks_at:
            self._changed.set()

    async def run(self) -> None:
        """Moves and sleeps, until cancelled."""
        while True:
            self._changed.clear()
            try:
                wait = await self._promote()
            except (ConnectionFailed, ServerRefused, ResponseError) as error:
                await self._outage.failed("scheduling", error)
                continue
            self._outage.worked("scheduling")
            await self._sleep(wait)

    async def _promote(self) -> float:
        """Moves all that is due; returns the seconds until the next is."""
        while True:
            _, lost, wait_us, pushed_out = await self._link.run(PROMOTE, self._keys, self._arguments)
            if lost:
                logger.error(
                    "%s in the quarantine.",
                    counted(
                        lost, "scheduled execution had lost its record and is",
                        "scheduled executions had lost their records and are",
                    ),
                )  # fmt: skip
                self._events.emit(ScheduledQuarantined(lost))
            tell_pushed_out(pushed_out)
            if wait_us != 0:
                return LONGEST_SLEEP_SECONDS if wait_us < 0 else max(wait_us / 1e6, SHORTEST_SLEEP_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        if not self._signals.connected:
            # Nobody can tell of an earlier insert now, so look by the clock.
            seconds = min(seconds, self._resolution)
        self._looks_at = monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
