"""Taking over what dead workers held.

Nobody is judged in doubt: only after a whole lease period in which this worker's own beats came through on
one connection does it believe that a lease which ended is a worker that died. After an outage all leases
are old, and the living need the time to renew them.
"""

import asyncio
from logging import getLogger
from time import monotonic

import msgspec
from redis.exceptions import ResponseError

from shadows.connection import Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.records import worker_of
from shadows.scripts import DEAD, TAKEOVER

from .events import Events, Reclaimed
from .membership import Membership

logger = getLogger("shadows.worker")

MAX_DEATHS = 3


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
        self._taking: set[str] = set()

    def beat_came_through(self, connection: int) -> None:
        """Notes one renewal; a new connection, or a gap, begins the waiting anew."""
        now = monotonic()
        gap = now - self._last_beat > self._lease / 2
        if self._steady_since is None or gap or connection != self._connection:
            self._steady_since = now
        self._last_beat = now
        self._connection = connection

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
        keys = self._keys
        await self._cut_off(consumer)
        names = [*keys.streams, keys.leases, keys.workers, keys.functions, keys.generation, keys.quarantine]
        taken, quarantined, first, left = 0, 0, 1, 1
        while left:
            count, condemned, left = await self._link.run(
                TAKEOVER, names, [keys.prefix, consumer, first, MAX_DEATHS, self._ttl_ms]
            )
            if count < 0:
                return
            first = 0
            taken += count
            quarantined += condemned
        if taken:
            logger.warning(
                "Worker %s is gone; its %d tasks run again, but for %d that were quarantined.",
                worker_of(consumer),
                taken,
                quarantined,
            )
            self._events.emit(Reclaimed(consumer, taken, quarantined))

    async def _cut_off(self, consumer: str) -> None:
        """Ends the dead one's blocked read, which Redis would still hand new entries to. The name is checked,
        since a restarted server gives the same numbers to others."""
        row = await self._link.call("HGET", self._keys.workers, consumer)
        reader = msgspec.msgpack.decode(row).get("reader", 0) if row else 0
        if not reader:
            return
        listed = await self._link.call("CLIENT", "LIST", "ID", reader)
        if b"name=shadows:reader:" + consumer.rpartition("#")[2].encode() in listed:
            await self._link.call("CLIENT", "KILL", "ID", reader)

    async def sweep(self) -> None:
        """Looks at every consumer of every stream, also at those whose lease was lost without a trace."""
        dead = await self._link.run(DEAD, [*self._keys.streams, self._keys.leases], [])
        await self.take_over([consumer.decode() for consumer in dead])

    async def sweep_forever(self) -> None:
        """Sweeps once a lease period."""
        while True:
            await asyncio.sleep(max(self._lease, 0.05))
            if self.may_judge:
                try:
                    await self.sweep()
                except (ConnectionFailed, ServerRefused, ResponseError) as error:
                    logger.debug("The sweep failed and comes again: %s", error)
