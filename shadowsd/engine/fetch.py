"""The reader: takes as many entries as there are free slots, and never sleeps while there is work.

It reads new work by a blocking read. What waits beside the stream (taken from the dead, parked and come
back) is claimed before it. A suspect, which was in flight at two deaths, runs alone.
"""

import asyncio
from collections.abc import Callable
from logging import getLogger
from time import monotonic

from redis.exceptions import ResponseError

from shadows.connection import Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import GROUP, PLACES, RECLAIMED, SUSPECTS, Keys
from shadows.scripts import CLAIM

from .asides import Asides
from .attempt import Attempts
from .entries import Entry, Rows, id_of, number_of
from .ghosts import cut_off
from .group import make_group
from .hosting import Suspects
from .intake import Intake
from .membership import Membership
from .outage import Outage
from .slots import Slots

logger = getLogger("shadows.worker")

UNBLOCK_SECONDS = 0.005


class Reader:
    """Feeds one worker."""

    def __init__(
        self,
        link: Link,
        control: Link,
        keys: Keys,
        intake: Intake,
        slots: Slots,
        attempts: Attempts,
        asides: Asides,
        membership: Membership,
        outage: Outage,
        block_ms: int,
        lease_seconds: float,
        on_flush: Callable[[], None],
        is_paused: Callable[[], bool],
        suspects: Suspects = Suspects.ALONE,
    ) -> None:
        self._link = link
        self._control = control
        self._keys = keys
        self._claimed = [*keys.streams, keys.generation]
        self._intake = intake
        self._slots = slots
        self._attempts = attempts
        self._asides = asides
        self._membership = membership
        self._outage = outage
        self._block_ms = block_ms
        # A suspect waits so long for an idle worker, before a busy one stops reading to become idle.
        self._leave_to_idle = lease_seconds
        self._on_flush = on_flush
        # Whether the whole shadow is paused: then nothing is taken.
        self._is_paused = is_paused
        self._blocked = False
        self._wanted = False
        self._unblocker: asyncio.Task[None] | None = None
        self._opened = 0
        self._mode = suspects
        self._work_beside = suspects is not Suspects.ONLY
        self._suspects = suspects is not Suspects.NEVER
        self._suspects_since = monotonic()
        self._verify = True
        self.stopping = False
        self.client_id = 0
        self._known_as = ""

    @property
    def accepts(self) -> bool:
        """Whether more may be handed to this worker than it asks for: not to one that is for a suspect alone, or for
        some priorities."""
        has_all = self._mode is not Suspects.ONLY and not self._intake.dedicated
        return has_all and not (self.stopping or self._is_paused())

    async def run(self) -> None:
        """Reads until `stop`."""
        while not self.stopping:
            if not (self._slots.worth_filling and self._membership.held) or self._is_paused():
                await self._slots.change()
                continue
            consumer = self._membership.consumer
            try:
                await self._turn(consumer)
            except (ConnectionFailed, ServerRefused) as error:
                if self._membership.consumer != consumer:
                    continue  # it was cut off on purpose, to come back under another name
                # A read whose reply was lost may have handed us entries that nobody saw.
                self._verify = True
                await self._outage.failed("reading", error)
            except ResponseError as error:
                self._verify = True
                if "NOGROUP" in str(error) or "UNBLOCKED" in str(error):
                    await self._restore_group()
                else:
                    await self._outage.failed("reading", error)
            else:
                self._outage.worked("reading")

    async def _turn(self, consumer: str) -> None:
        if self._opened != self._link.opened or not self._link.connected:
            await self._connect()
        if self._verify:
            self._verify = False
            await self._recover_unseen(consumer)
        elif self._work_beside:
            self._work_beside = False
            rows, more = await self._claim(consumer, self._slots.free)
            self._work_beside = self._work_beside or more
            self.start(rows, consumer)
        elif self._suspects and (self._slots.idle or monotonic() - self._suspects_since > self._leave_to_idle):
            await self._run_suspect(consumer)
        elif self._mode is Suspects.ONLY:
            self.stopping = True
        else:
            await self._read(consumer)

    async def _connect(self) -> None:
        """On a new connection: the one before may still be blocked in Redis, which has not noticed its end, and
        be handed what nobody would see."""
        client_id = await self._link.call("CLIENT", "ID")
        if self.client_id not in (0, client_id):
            await cut_off(self._link, self.client_id, self._known_as)
        self.client_id, self._known_as = client_id, self._membership.incarnation
        self._opened = self._link.opened
        self._verify = True

    async def _read(self, consumer: str) -> None:
        self._blocked = True
        try:
            command = self._intake.read(consumer, self._slots.free, self._block_ms)
            reply = await self._link.call(*command, seconds=self._block_ms / 1000 + 5)
        finally:
            self._blocked = self._wanted = False
        rows = self._intake.rows(reply)
        if rows and self._intake.in_use:
            self._work_beside = True  # more may be ready, in an order of their own
            # One of each stream may have come.
            free = max(self._slots.free, 1)
            rows, others = rows[:free], rows[free:]
            await self._give_to_others(others)
        self.start(rows, consumer)
        self._slots.forget_cancelled()

    async def _give_to_others(self, rows: Rows) -> None:
        """There is no room for them here. Should it fail halfway: what is pending for us is looked at again."""
        for generation, _, place, _ in rows:
            stream = self._keys.streams[place - 1]
            # Not delivered: it never began. On the connection that is cut off before we look at what is pending for us,
            # lest it comes late, and takes away what another worker runs by then.
            await self._link.call("XCLAIM", stream, GROUP, RECLAIMED, 0, id_of(generation), "RETRYCOUNT", 0, "JUSTID")
        if rows:
            await self._control.call("PUBLISH", self._keys.signal, "work")

    def start(self, rows: Rows, consumer: str) -> None:
        """Runs what was handed to `consumer`."""
        if consumer != self._membership.consumer:
            return  # the lease was lost meanwhile: these belong to whoever takes over
        if rows and not self._membership.held:
            self._verify = True  # perhaps lost, too; the next beat knows
            return
        for generation, fields, place, deliveries in rows:
            holder = self._slots.holder(generation)
            if holder is not None:
                if holder != consumer:
                    self._membership.spawn(self._verify_after(generation))
                continue
            try:
                entry = Entry(place, generation, fields, deliveries, consumer)
            except (ValueError, UnicodeDecodeError) as error:
                self._membership.spawn(self._set_aside(place, generation, consumer, str(error)))
            else:
                self._attempts.start(entry)

    async def _set_aside(self, place: int, generation: str, consumer: str, cause: str) -> None:
        await self._asides.quarantine_damaged(place, generation, consumer, cause)
        self._slots.wake()  # for who waits until nothing is left

    async def _verify_after(self, generation: str) -> None:
        """What this worker had lost came back to it before it was done with it: it runs again afterwards."""
        while self._slots.knows(generation):
            await self._slots.change()
        self._verify = True
        self.wake()

    async def _claim(self, consumer: str, count: int, *places: int) -> tuple[Rows, bool]:
        """What a claim gives, and whether there may be more."""
        arguments = self._intake.asked(self._keys.prefix, consumer, count, *places)
        return self._intake.given(await self._control.run(CLAIM, self._claimed, arguments), *places)

    async def _run_suspect(self, consumer: str) -> None:
        """It is claimed before this worker becomes idle for it, so that only one does."""
        self._suspects = False
        rows, more = await self._claim(consumer, 1, SUSPECTS)
        self._suspects = self._suspects or (self._mode is Suspects.ALONE and bool(rows or more))
        if rows:
            await self._run_alone(rows, consumer)

    async def _run_alone(self, rows: Rows, consumer: str) -> None:
        """With nothing else in flight, so that the next death has one culprit. [semantics 14]"""
        while not self._slots.idle and not self.stopping:
            await self._slots.change()
        if self.stopping:
            self._verify = True
            return
        self.start(rows, consumer)
        await self._slots.until_idle()

    async def _recover_unseen(self, consumer: str) -> None:
        """Runs what Redis says is ours and nobody here has seen: the reply that brought it was lost."""
        for place in range(1, len(PLACES) + 1):
            stream = self._keys.streams[place - 1]
            if not await self._link.call("EXISTS", stream):
                continue
            most = 4 * self._slots.concurrency
            pending = await self._link.call("XPENDING", stream, GROUP, "-", "+", most, consumer)
            unseen = [row for row in pending if self._slots.holder(number_of(row[0])) != consumer]
            for id, _, _, deliveries in unseen:
                found = await self._link.call("XRANGE", stream, id, id)
                if not found:
                    await self._link.call("XACK", stream, GROUP, id)
                elif place == SUSPECTS:
                    await self._run_alone([(number_of(id), found[0][1], place, deliveries)], consumer)
                elif self._slots.free > 0:
                    logger.info("The entry %s was handed to this worker and not seen; it runs now.", id.decode())
                    self.start([(number_of(id), found[0][1], place, deliveries)], consumer)
                else:
                    self._verify = True
                    await self._slots.change()

    async def _restore_group(self) -> None:
        """After a flush the group is gone with everything else, and a priority that is new has none: one of the workers
        makes it."""
        self.look_beside(suspects=False)
        try:
            made = await make_group(self._control.call, self._keys, self._intake)
        except (ConnectionFailed, ServerRefused) as error:
            await self._outage.failed("reading", error)
            return
        if made:
            logger.warning("Redis had lost everything of this shadow, as by FLUSHALL; new work is done as before.")
            self._on_flush()

    def look_beside(self, *, suspects: bool = True) -> None:
        """Something waits beside the stream: claim it before new work."""
        self._work_beside = self._mode is not Suspects.ONLY
        self._intake.look_anew()
        if suspects and not self._suspects and self._mode is Suspects.ALONE:
            self._suspects = True
            self._suspects_since = monotonic()
        self.wake()

    def use_priorities(self) -> None:
        """There are streams of other priorities than the normal one: reads them, too, from now on. Where one has no
        group yet, the read says so."""
        if not self._intake.in_use:
            self._intake.in_use = True
            self.look_beside(suspects=False)

    def verify(self) -> None:
        """Compare what Redis says is ours with what runs here, before the next read."""
        self._verify = True

    def wake(self) -> None:
        """Ends a blocking read, so that the reader looks at what changed."""
        self._slots.wake()
        if self._blocked and not self._wanted:
            self._wanted = True
            self._unblocker = asyncio.create_task(self._unblock(), name="shadows unblock")

    async def _unblock(self) -> None:
        # Again until it took: the first may reach Redis before the read does.
        while self._blocked and self._wanted:
            try:
                await self._control.call("CLIENT", "UNBLOCK", self.client_id)
            except (ConnectionFailed, ServerRefused, ResponseError):
                return  # the read ends by itself
            await asyncio.sleep(UNBLOCK_SECONDS)

    def stop(self) -> None:
        """Reads no more; what is on its way still arrives and runs."""
        self.stopping = True
        self.wake()
