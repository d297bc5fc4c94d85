"""Taking over what dead workers held.

Nobody is judged in doubt: only after a whole lease period in which this worker's own beats came through on
one connection does it believe that a lease which ended is a worker that died. After an outage all leases
are old, and the living need the time to renew them.
"""

import asyncio
from logging import getLogger
from time import monotonic

from redis.exceptions import ResponseError

from shadows.amounts import counted
from shadows.connection import Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.records import worker_of
from shadows.scripts import DEAD

from .events import Events, Reclaimed
from .membership import Membership
from .takeover import Judgement, take_over

logger = getLogger("shadows.worker")


class Sweeper:
    """Watches the leases of all workers, for one worker."""

    def __init__(
        self, link: Link, keys: Keys, membership: Membership, events: Events, lease_seconds: float, ttl_ms: int
    ) -> None:
        self._link = link
        self._keys = keys
        self._membership = membership
        self._events = events
        self._lease = lease_seconds
        self._ttl_ms = ttl_ms
        self._steady_since: float | None = None
        self._last_beat = 0.0
        self._connection = 0
        self._redis_clock = 0.0
        self._leaseless: set[str] = set()
        self._taking: set[str] = set()

    def beat_came_through(self, connection: int, arrived: float, redis_ms: float) -> None:
        """Notes one renewal, which arrived at `arrived` of the monotonic clock. A new connection, a gap, or a jump
        of Redis's own clock, which ends all leases at once, begins the waiting anew."""
        passed = arrived - self._last_beat
        jump = abs((redis_ms - self._redis_clock) / 1000 - passed)
        disturbed = connection != self._connection or max(passed, jump) > self._lease / 2
        if self._steady_since is None or disturbed:
            self._steady_since = arrived
        self._last_beat = arrived
        self._connection = connection
        self._redis_clock = redis_ms

    def beat_failed(self) -> None:
        """Notes that a renewal did not come through."""
        self._steady_since = None

    @property
    def may_judge(self) -> bool:
        """Whether a lease that ended means a worker that died."""
        return self._steady_since is not None and monotonic() - self._steady_since >= self._lease

    @property
    def judges_in(self) -> float:
        """Seconds until it may judge, when nothing disturbs the beats."""
        if self._steady_since is None:
            return self._lease
        return max(0.0, self._steady_since + self._lease - monotonic())

    async def take_over(self, consumers: list[str]) -> None:
        """Takes over from each of these, if it is still dead when Redis looks."""
        for consumer in consumers:
            if consumer in self._taking or consumer == self._membership.consumer or not self.may_judge:
                continue
            self._taking.add(consumer)
            try:
                await self._take_over(consumer)
            except (ConnectionFailed, ServerRefused, ResponseError) as error:
                logger.warning("Taking over from %s failed and is tried again at the next beat: %s", consumer, error)
            finally:
                self._taking.discard(consumer)

    async def _take_over(self, consumer: str) -> None:
        taken = await take_over(self._link, self._keys, consumer, self._ttl_ms, Judgement())
        if taken is not None and taken.taken:
            logger.warning(
                "Worker %s is gone; of what it held, %s, but for %s.",
                worker_of(consumer),
                counted(taken.taken, "task runs again", "tasks run again"),
                counted(taken.quarantined, "that was quarantined", "that were quarantined"),
            )
            self._events.emit(Reclaimed(consumer, taken.taken, taken.quarantined))

    async def sweep(self) -> None:
        """Looks at every consumer of every stream, also at those whose lease was lost without a trace: these
        only when they had none the last time either, since the living have renewed it meanwhile."""
        found = await self._link.run(DEAD, [*self._keys.streams, self._keys.leases], [])
        leaseless = {consumer.decode(errors="replace") for consumer in found}
        known, self._leaseless = self._leaseless, leaseless
        await self.take_over(sorted(known & leaseless))

    async def sweep_forever(self) -> None:
        """Sweeps once a lease period."""
        while True:
            await asyncio.sleep(max(self._lease, 0.05))
            if self.may_judge:
                try:
                    await self.sweep()
                except (ConnectionFailed, ServerRefused, ResponseError) as error:
                    logger.debug("The sweep failed and comes again: %s", error)
