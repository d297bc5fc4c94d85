"""Whether a plain worker lives, and whether it takes work: each time with the reasons why not.

It lives while its loop turns, through any outage of Redis: a restart would bring Redis back no sooner, and lose
what runs. A blocked loop is a failure only once the worker gives its own tasks up for it. All may be asked from
a thread beside the loop.
"""

import asyncio
from time import monotonic

from shadowsd.engine import Worker

# A loop that was late for less than this hardly kept anybody waiting.
BLOCKED_SECONDS = 5.0


class WorkerHealth:
    """The health of one worker process, from its start on."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waits_since: float | None = None
        # The loop that the worker runs in, once it does.
        self.loop: asyncio.AbstractEventLoop | None = None

    def waits_for_redis(self) -> None:
        """The worker could not begin, and tries again."""
        if self._waits_since is None:
            self._waits_since = monotonic()

    def begins(self) -> None:
        """The worker has joined the others, in the loop that runs now."""
        self.loop = asyncio.get_running_loop()

    def failures(self) -> list[str]:
        """Why the process should be restarted; empty while it lives."""
        if self.loop is None:
            return []
        limit = self._worker.redelivery_timeout.total_seconds()
        blocked = self._worker.pulse.overdue_seconds
        if blocked <= limit:
            return []
        told = f"the event loop is blocked since {blocked:.1f} s, longer than redelivery_timeout ({limit:g} s)"
        return [f"{told}, and its tasks are given to another worker"]

    def obstacles(self) -> list[str]:
        """Why no work is taken now; empty while some would be."""
        if self.loop is None:
            if self._waits_since is None:
                return ["the worker has not begun yet"]
            return [f"Redis can't be used since {monotonic() - self._waits_since:.1f} s, and the worker has not begun"]
        worker = self._worker
        reasons = []
        outage = worker.outage.lasts_seconds
        blocked = worker.pulse.overdue_seconds
        if outage is not None:
            reasons.append(f"Redis can't be used since {outage:.1f} s")
        if blocked > BLOCKED_SECONDS:
            reasons.append(f"the event loop is blocked since {blocked:.1f} s")
        if not reasons and not worker.membership.held:
            reasons.append("the worker lost its lease, and joins again")
        if worker.reader.stopping:
            reasons.append("the worker is stopping")
        return reasons
