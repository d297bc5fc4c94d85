"""Whether Redis can be used now: one log line when it can't any more, one when it can again."""

import asyncio
from datetime import timedelta
from logging import WARNING, getLogger
from time import monotonic

from .events import Events, OutageBegan, OutageEnded

logger = getLogger("shadows.worker")

# The first pause after a failed call: most outages are a restart of some milliseconds.
FIRST_PAUSE_SECONDS = 0.05


class Outage:
    """Shared by all parts of a worker, so that an outage is told once and not by each."""

    def __init__(self, events: Events, longest_pause: timedelta, level: int = WARNING) -> None:
        self._events = events
        self._level = level
        self._longest = longest_pause.total_seconds()
        self._began: float | None = None  # of the monotonic clock
        self._failing: dict[str, int] = {}

    @property
    def ongoing(self) -> bool:
        """Whether some part of the worker can't use Redis now."""
        return bool(self._failing)

    @property
    def lasts_seconds(self) -> float | None:
        """For how long Redis can't be used already; None when it can. May be asked from any thread."""
        began = self._began
        return None if began is None else monotonic() - began

    def note(self, part: str, error: Exception) -> int:
        """One part's call failed: says so if it is the first; returns how often this part failed in a row."""
        if self._began is None:
            self._began = monotonic()
            logger.log(self._level, "Redis can't be used now, and is tried again until it can. %s", error)
            self._events.emit(OutageBegan(str(error)))
        self._failing[part] = self._failing.get(part, 0) + 1
        return self._failing[part]

    async def failed(self, part: str, error: Exception) -> None:
        """The same, and pauses, longer each time."""
        count = self.note(part, error)
        await asyncio.sleep(min(self._longest, FIRST_PAUSE_SECONDS * 2 ** min(count - 1, 20)))

    def worked(self, part: str) -> None:
        """One part's call came through; the outage is over when all have."""
        if self._began is None:
            return
        self._failing.pop(part, None)
        if not self._failing:
            lasted = timedelta(seconds=monotonic() - self._began)
            self._began = None
            logger.log(self._level, "Redis can be used again after %.1f s.", lasted.total_seconds())
            self._events.emit(OutageEnded(lasted))
