"""Places at limits over all workers: given back when a run ends, and given on to those who wait first.

1. When a run ends, its places go to those who wait first, by `open`. The slot stays taken until the answer is there,
   since the next of them may come with it. Of a run that came so, `open` writes the outcome, too, if it is a plain one:
   a long queue at a gate costs one round trip a run.
2. Places that were lost (their worker died, their entry was cancelled) are found when somebody has to wait for them
   (`admit.lua`), and by a look at all gates where somebody waits: at the signal of whoever may have left one, and once
   a lease period.

If this process dies between the end of a run and `open`, the place is one of those that were lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from logging import getLogger
from time import monotonic
from typing import Protocol

from redis.exceptions import ResponseError

from shadows.connection import Argument, Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import RETURNED, Keys
from shadows.scripts import OPEN

from .entries import Entry, Held, Rows, held_of, number_of
from .membership import Membership
from .outage import Outage
from .settle import Settler, Verdict
from .slots import Running, Slots

logger = getLogger("shadows.worker")

# As many as one script may take for its share of Redis's time.
MOST_ITEMS = 100
# So that a full call brings no more than half of what one script may carry.
MOST_BYTES = (1 << 19) // MOST_ITEMS
# Places expire a day after they were taken (`admit.lua`), so that a lost one for which nobody waits is no leak; those
# of long runs are kept far more often than that.
PLACE_MS = 24 * 3600 * 1000
KEEP_SECONDS = 3600.0


@dataclass(slots=True, eq=False)
class Opening:
    """A gate to be opened, and whose place there is free now; nobody's when there was room already."""

    consumer: str
    name: str
    number: int
    submission: str = ""
    generation: str = ""
    # The outcome of the run that ended, where it goes along.
    verdict: Verdict | None = None

    def arguments(self) -> tuple[Argument, ...]:
        """As the script takes it."""
        plain = (self.name, self.number, self.submission, self.generation)
        if self.verdict is None:
            return (*plain, "")
        entry, word, body, elapsed_ms, *_ = self.verdict
        return (*plain, word, entry.key, f"{entry.submission} {entry.attempt} {elapsed_ms}", body)


class Feeder(Protocol):
    """The reader, as the gates see it."""

    @property
    def accepts(self) -> bool: ...

    def start(self, rows: Rows, consumer: str) -> None: ...

    def verify(self) -> None: ...

    def wake(self) -> None: ...


class Places:
    """Gives the places of one worker's runs back, and looks for those that were lost."""

    def __init__(
        self, link: Link, keys: Keys, slots: Slots, membership: Membership, outage: Outage, lease_seconds: float,
        settler: Settler, ttl_ms: int,
    ) -> None:  # fmt: skip
        self._link = link
        self._prefix = keys.prefix
        self._heads = [keys.streams[1], keys.waiting, keys.gates, keys.generation, keys.leases, keys.stream]
        self._slots = slots
        self._membership = membership
        self._outage = outage
        self._lease = lease_seconds
        self._openings: list[Opening] = []
        self._handed: set[str] = set()
        self._reserved = 0
        self._opening = self._wants_look = self._looking = False
        self._looked = 0.0
        self.keep_seconds = KEEP_SECONDS
        self._settler = settler
        self._ttl_ms = ttl_ms
        slots.on_finish = self._run_ended
        settler.goes_along = self._goes_along

    def serve(self, reader: Feeder, has_gates: Callable[[], bool]) -> None:
        """Entries that come with an answer go to `reader`; `has_gates` tells whether a task that this worker knows
        has any: a worker without leaves most of the looking at them to others."""
        self._reader = reader
        self._has_gates = has_gates

    def verify(self) -> None:
        """Something may be pending for this worker that nobody here saw."""
        self._reader.verify()

    def came_with(self, entry: Entry) -> bool:
        """Whether an entry that begins now was handed over with its places."""
        handed = entry.generation in self._handed
        self._handed.discard(entry.generation)
        return handed

    def _run_ended(self, running: Running) -> None:
        """A run has left its slot, which stays taken until its places are given on."""
        self._reserved += 1
        self._slots.reserved += 1
        self.give_back(running.entry, running.places)

    def _goes_along(self, verdict: Verdict) -> bool:
        """Whether the outcome of a run that has just ended goes with its place. What has a successor is for `settle`,
        and what did not wait at a gate goes there with others."""
        last = self._openings[-1] if self._openings else None
        if last is None or last.generation != verdict.entry.generation or verdict.entry.place != RETURNED:
            return False
        if verdict.word not in "cfx" or verdict.following or verdict.cause or verdict.size > MOST_BYTES:
            return False
        last.verdict = verdict
        return True

    def give_back(self, entry: Entry, places: Held) -> None:
        self.open_soon(
            Opening(entry.consumer, name, number, entry.submission, entry.generation) for name, number in places
        )

    def open_soon(self, openings: Iterable[Opening]) -> None:
        self._openings += openings
        if self._openings and not self._opening:
            self._opening = True
            # Cancelled before it began, it would not get to its end.
            self._membership.spawn(self._open_all()).add_done_callback(self._over)

    async def _open_all(self) -> None:
        try:
            while self._openings:
                consumer = self._openings[0].consumer
                batch: list[Opening] = []
                rest: list[Opening] = []
                for each in self._openings:
                    (batch if len(batch) < MOST_ITEMS and each.consumer == consumer else rest).append(each)
                self._openings = rest
                reserved, self._reserved = self._reserved, 0
                rows: Rows = []
                try:
                    rows = await self._open_batch(batch, consumer, reserved)
                finally:
                    self._send_alone(batch)
                    self._slots.reserved -= reserved
                    self._start(rows, consumer)
                    self._slots.wake()
        finally:
            self._opening = False

    def _over(self, opening: asyncio.Task[None]) -> None:
        if opening.cancelled():
            self._opening = False
            self._send_alone(self._openings)

    def _send_alone(self, openings: list[Opening]) -> None:
        """Outcomes that did not get through with their places, for whatever reason."""
        for each in openings:
            self._went_along(each, written=False)

    def _went_along(self, opening: Opening, *, written: bool) -> None:
        verdict, opening.verdict = opening.verdict, None
        if verdict is not None:
            self._settler.went_along(verdict, written=written)

    async def _open_batch(self, batch: list[Opening], consumer: str, reserved: int) -> Rows:
        try:
            return await self.insist(self._open, batch, consumer, reserved)
        except ResponseError as error:
            # Something is damaged in Redis, at one of these gates.
            if len(batch) == 1:
                logger.error("The gate %r can't be opened, and who waits there waits on: %s", batch[0].name, error)
        rows: Rows = []
        for each in batch if len(batch) > 1 else ():
            rows += await self._open_batch([each], consumer, max(0, reserved - len(rows)))
        return rows

    def _start(self, rows: Rows, consumer: str) -> None:
        """Runs what came with the answer: it has its places already. Those of an entry that does not begin are given
        on."""
        self._handed = {generation for generation, *_ in rows}
        self._reader.start(rows, consumer)
        for generation, fields, *_ in rows:
            if generation in self._handed and generation not in self._slots.running:
                named = dict(zip(fields[::2], fields[1::2], strict=False))
                submission = named.get(b"n", b"").decode(errors="replace")
                self.open_soon(
                    Opening(consumer, name, number, submission, generation)
                    for name, number in held_of(named.get(b"gt", b""))
                )
        self._handed.clear()

    async def _open(self, batch: list[Opening], consumer: str, reserved: int) -> Rows:
        room = reserved if self._reader.accepts and consumer == self._membership.consumer else 0
        arguments: list[Argument] = [self._prefix, consumer, room, 0, self._ttl_ms]
        for each in batch:
            arguments += each.arguments()
        rows, next_look, settled = await self._link.run(OPEN, self._heads, arguments)
        for each, written in zip([each for each in batch if each.verdict is not None], settled, strict=True):
            self._went_along(each, written=bool(written))
        if next_look >= 0:
            self.look()
        return [(number_of(id), fields, place, deliveries) for place, id, fields, deliveries in rows]

    async def insist[**P, R](self, send: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Sends until it comes through: each call may run twice."""
        failed = False
        while True:
            try:
                reply = await send(*args, **kwargs)
            except (ConnectionFailed, ServerRefused) as error:
                failed = True
                await self._outage.failed("passing gates", error)
            else:
                self._outage.worked("passing gates")
                if failed:
                    self._make_good()
                return reply

    def _make_good(self) -> None:
        """A reply was lost: what it handed over is pending and nobody saw it, and what it freed nobody opened."""
        self._reader.verify()
        self._reader.wake()
        self.look()

    def look_again(self) -> None:
        """Somebody waits at a gate: looks at all of them, once a lease period."""
        if monotonic() - self._looked >= self._lease:
            self._look_soon()

    def look(self) -> None:
        """A place may have been lost: looks at the gates where somebody waits, unless that is for others to do."""
        if self._has_gates():
            self._look_soon()

    def _look_soon(self) -> None:
        self._wants_look = True
        if not self._looking:
            self._looking = True
            self._membership.spawn(self._look())

    async def _look(self) -> None:
        try:
            while self._wants_look:
                self._wants_look = False
                self._looked = monotonic()
                offset = 0
                while offset >= 0:
                    arguments: list[Argument] = [self._prefix, self._membership.consumer, 0, offset, self._ttl_ms]
                    _, offset, _ = await self._link.run(OPEN, self._heads, arguments)
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("Looking at the gates failed, and comes again: %s", error)
        finally:
            self._looking = False

    async def keep_forever(self) -> None:
        """Keeps the places of what runs here from expiring."""
        while True:
            await asyncio.sleep(self.keep_seconds)
            names = {name for running in self._slots.running.values() for name, _ in running.places}
            try:
                for name in names:
                    await self._link.call("PEXPIRE", f"{self._prefix}gate:{name}", PLACE_MS)
            except (ConnectionFailed, ServerRefused, ResponseError) as error:
                logger.debug("Keeping places failed, and comes again: %s", error)
