"""What follows from each sign of life: the answer tells this worker everything it should look at."""

import asyncio
from collections.abc import Callable
from logging import getLogger
from time import monotonic
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from shadows.connection import CALL_SECONDS, Link
from shadows.errors import ConnectionFailed, ServerRefused

from .asides import Asides
from .events import BeatCame
from .finish import Finish
from .pulse import Beat
from .schedule import Scheduler
from .signals import Signals
from .slots import Stop
from .sweep import Sweeper

logger = getLogger("shadows.worker")

# How often the reader compares Redis's list of what is ours with what runs here. [semantics 3]
VERIFY_SECONDS = 60.0
# A lease is looked at this long after its end, so that the look does not come a moment too early.
AFTER_EXPIRY_MS = 5
# Bits in a beat's answer about what waits beside the stream.
WORK_WAITS = 1
SUSPECTS_WAIT = 2
WAITS_AT_GATES = 4
PRIORITIES_IN_USE = 8
FUNCTIONS_LOST = 16


class Beats:
    """Acts on beats, in the loop of one worker."""

    def __init__(
        self,
        worker: Any,
        link: Link,
        scheduler: Scheduler,
        sweeper: Sweeper,
        signals: Signals,
        asides: Asides,
        finish: Finish,
        look_at_gates: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._shadow = worker.shadows
        self._link = link
        self._scheduler = scheduler
        self._sweeper = sweeper
        self._signals = signals
        self._asides = asides
        self._finish = finish
        self._look_at_gates = look_at_gates
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._obstacle: Exception | None = None
        self._published = -1
        self._timer: asyncio.TimerHandle | None = None
        self.beat_now: Callable[[], None] = lambda: None

    async def joined(self) -> None:
        """Waits for the first beat; raises what kept it from coming through."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._first
        except TimeoutError as error:
            raise self._obstacle or error from None

    def came(self, beat: Beat) -> None:
        """One beat came through."""
        if beat.consumer != self._worker.membership.consumer:
            return  # it was for the name that this worker had before
        if not beat.kept:
            self._lost()
            return
        self._worker.membership.joined = True
        self._worker.slots.wake()
        if not self._first.done():
            self._first.set_result(None)
        self._worker.outage.worked("beating")
        events = self._worker.events
        if events.observers:
            events.emit(BeatCame(monotonic() - beat.arrived, beat.now / 1000 - beat.arrived))
        self._sweeper.beat_came_through(beat.connection, beat.arrived, beat.now)
        self._signals.reload_strikes(beat.strikes)
        if beat.beside & WAITS_AT_GATES:
            self._look_at_gates()
        if beat.beside & PRIORITIES_IN_USE:
            self._worker.reader.use_priorities()
        if beat.beside & (WORK_WAITS | SUSPECTS_WAIT):
            self._worker.reader.look_beside(suspects=bool(beat.beside & SUSPECTS_WAIT))
        if beat.beside & FUNCTIONS_LOST:
            self._published = -1  # as by FLUSHALL; who asks which workers know a function would find none
        self._scheduler.due_in(beat.next_due)
        known = [name for name in map(readable, beat.parked) if self._asides.can_run(name, self._shadow.registry)]
        self._spawn(self._look_after(beat, known))
        self._look_again(beat)
        self._finish.look()

    def _spawn(self, work: Any) -> None:
        self._worker.membership.spawn(work)

    async def _look_after(self, beat: Beat, known: list[str]) -> None:
        try:
            # First, so that nothing odd among the parked can keep the dead one's work from the living.
            await self._sweeper.take_over([readable(consumer) for consumer in beat.dead])
            if self._published != self._shadow.registry.changes:
                await self.publish_functions()
            for name in known:
                await self._asides.unpark(name)
            for name in map(readable, beat.parked):
                if name not in known:
                    await self._asides.expire(name, beat.now)
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("What the last beat asked for failed and is asked for again: %s", error)

    def _look_again(self, beat: Beat) -> None:
        """Beats once more when the nearest lease ends, so that a death is noticed then and not a beat later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        delays = []
        if beat.nearest_expiry >= 0:
            delays.append((beat.nearest_expiry + AFTER_EXPIRY_MS) / 1000)
        if beat.dead:
            delays.append(self._sweeper.judges_in + AFTER_EXPIRY_MS / 1000)
        wait = min(delays, default=None)
        if wait is not None and wait < self._shadow.heartbeat_interval.total_seconds():
            self._timer = asyncio.get_running_loop().call_later(wait, self.beat_now)

    def failed(self, error: Exception) -> None:
        """A beat did not come through."""
        self._sweeper.beat_failed()
        if not self._first.done():
            self._obstacle = error
            if not isinstance(error, ConnectionFailed):
                self._first.set_exception(error)
            return
        self._worker.outage.note("beating", error)

    def _lost(self) -> None:
        """Somebody took over what this worker held: it starts nothing, and comes back as somebody else."""
        worker = self._worker
        logger.error(
            "Worker %s was taken for dead, and its tasks were given to others: what still runs here is stopped, and "
            "its outcomes won't count. It joins again. Look for a blocked event loop or a paused process.",
            worker.name,
        )
        worker.membership.joined = False
        worker.slots.stop_all(Stop.LEASE_LOST)
        worker.rejoin()
        self._published = -1
        self.beat_now()

    async def publish_functions(self) -> None:
        """Tells which functions this worker knows."""
        self._published = self._shadow.registry.changes
        names = msgspec.msgpack.encode(self._shadow.registry.names())
        await self._link.ask("HSET", self._shadow.keys.functions, self._worker.membership.consumer, names)

    async def verify_forever(self) -> None:
        """Has the reader look for deliveries that nobody saw."""
        while True:
            await asyncio.sleep(VERIFY_SECONDS)
            self._worker.reader.verify()


def readable(name: bytes) -> str:
    """A name from Redis; one that is none of ours must not keep a beat from being heeded."""
    return name.decode(errors="replace")
