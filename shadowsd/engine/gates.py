"""The way through the gates: limits that hold over all workers, such as `ConcurrencyLimit`.

1. Before a run whose function has gates begins, `admit` asks for it. What asks while one call is in flight goes
   together in the next.
2. What has to wait, or to come later, leaves this worker: it takes no slot, and nobody polls for it.
3. When a run ends, its places go to those who wait first, by `open`. The slot stays taken until the answer is there,
   since the next of them may come with it: a long queue at a gate costs one round trip a run.
4. Places that were lost (their worker died, their entry was cancelled) are found by a look at all gates where somebody
   waits: at the signal of whoever may have left one, and once a lease period.

If this process dies between the end of a run and `open`, the place is one of those that were lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from logging import getLogger
from typing import NamedTuple, Protocol

import msgspec
from redis.exceptions import ResponseError

from shadows.connection import Argument, Link
from shadows.dependencies.gates import Terms
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.scripts import ADMIT, OPEN

from .entries import Entry, number_of
from .membership import Membership
from .outage import Outage
from .slots import Running, Slots

logger = getLogger("shadows.worker")

# As many as one script may take for its share of Redis's time.
MOST_ITEMS = 100
# How many gates one look takes; `open.lua` knows the same number.
GATES_A_LOOK = 20

type Rows = list[tuple[str, list[bytes], int, int]]


class Answer(NamedTuple):
    """What became of one entry: "a" it may start, "d" it is to be dropped, and with any other word it has left."""

    word: str
    reason: str


PASSES = Answer("a", "")


class Asking(NamedTuple):
    """One entry that wants to pass."""

    running: Running
    terms: tuple[Terms, ...]
    answer: asyncio.Future[Answer]


class Feeder(Protocol):
    """The reader, as the gates see it."""

    @property
    def takes_more(self) -> bool: ...

    def start(self, rows: Rows, consumer: str) -> None: ...

    def verify(self) -> None: ...


class Gates:
    """Asks and opens, for one worker."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        slots: Slots,
        membership: Membership,
        outage: Outage,
        lease_seconds: float,
    ) -> None:
        self._link = link
        self._prefix = keys.prefix
        self._task_prefix = keys.task
        self._asking_heads = [*keys.streams, keys.waiting, keys.schedule, keys.generation, keys.gates]
        self._opening_heads = [
            keys.streams[1], keys.waiting, keys.gates, keys.generation, keys.leases, keys.stream,
        ]  # fmt: skip
        self._slots = slots
        self._membership = membership
        self._outage = outage
        self._lease = lease_seconds
        self._asking: list[Asking] = []
        self._ended: list[tuple[str, str, str]] = []
        self._handed: dict[str, list[str]] = {}
        self._reserved = 0
        self._busy_asking = self._busy_opening = self._look_again = self._looking = False
        slots.on_finish = self._run_ended

    def serve(self, reader: "Feeder", has_gates: Callable[[], bool]) -> None:
        """Entries that come with an answer go to `reader`; `has_gates` tells whether a task that this worker knows
        has any: a worker without leaves the looking at them to others."""
        self._reader = reader
        self._has_gates = has_gates

    def verify(self) -> None:
        """Something may be pending for this worker that nobody here saw."""
        self._reader.verify()

    async def admit(self, running: Running, terms: tuple[Terms, ...]) -> Answer:
        """Asks for one entry. Raises CancelledError when the run is stopped meanwhile: the entry is then pending
        still, or has left by itself."""
        names = [each.name for each in terms]
        if self._handed.get(running.entry.generation) == names:
            running.places = self._handed.pop(running.entry.generation)
            return PASSES
        asking = Asking(running, terms, asyncio.get_running_loop().create_future())
        self._asking.append(asking)
        if not self._busy_asking:
            self._busy_asking = True
            self._membership.spawn(self._ask_all())
        return await asking.answer

    async def _ask_all(self) -> None:
        try:
            while self._asking:
                consumer = self._asking[0].running.entry.consumer
                batch = [each for each in self._asking[:MOST_ITEMS] if each.running.entry.consumer == consumer]
                self._asking = [each for each in self._asking if each not in batch]
                try:
                    replies = await self._insist(self._ask, batch, consumer)
                except BaseException as error:
                    refuse(batch, error)
                    if not isinstance(error, ResponseError):
                        raise
                else:
                    self._note(batch, consumer, replies)
        finally:
            self._busy_asking = False
            refuse(self._asking, None)

    async def _ask(self, batch: list[Asking], consumer: str) -> list[tuple[bytes, bytes, int]]:
        keys: list[Argument] = [*self._asking_heads]
        arguments: list[Argument] = [self._prefix, consumer]
        for running, terms, _ in batch:
            entry = running.entry
            keys.append(self._task_prefix + entry.key)
            arguments += (
                entry.place, entry.generation, entry.submission, entry.attempt, base_of(entry),
                f"{entry.generation}:{entry.deliveries}", entry.key, len(terms),
            )  # fmt: skip
            for each in terms:
                arguments += each
        replies: list[tuple[bytes, bytes, int]] = await self._link.run(ADMIT, keys, arguments)
        return replies

    def _note(self, batch: list[Asking], consumer: str, replies: list[tuple[bytes, bytes, int]]) -> None:
        for asking, (word, reason, was_freed) in zip(batch, replies, strict=True):
            submission = asking.running.entry.submission
            names = [each.name for each in asking.terms if each.kind == "c"]
            admitted = word == b"a"
            stopped_meanwhile = asking.answer.done()
            if admitted and not stopped_meanwhile:
                asking.running.places += names
            if was_freed or (admitted and stopped_meanwhile):
                self._open_soon((name, submission, consumer) for name in names)
            if not asking.answer.done():
                asking.answer.set_result(Answer(word.decode(), reason.decode()))

    def _run_ended(self, running: Running) -> None:
        """A run has left its slot, which stays taken until its places are given on."""
        if running.places:
            self._reserved += 1
            self._slots.reserved += 1
            self._open_soon((name, running.entry.submission, running.entry.consumer) for name in running.places)

    def _open_soon(self, ended: Iterable[tuple[str, str, str]]) -> None:
        self._ended += ended
        if not self._busy_opening:
            self._busy_opening = True
            self._membership.spawn(self._open_all())

    async def _open_all(self) -> None:
        try:
            while self._ended:
                consumer = self._ended[0][2]
                batch = [each for each in self._ended if each[2] == consumer][:MOST_ITEMS]
                self._ended = [each for each in self._ended if each not in batch]
                reserved, self._reserved = self._reserved, 0
                rows: Rows = []
                try:
                    rows = await self._insist(self._open, batch, consumer, reserved)
                except ResponseError as error:
                    logger.error("A gate can't be opened (%s); the next look at all gates tries again.", error)
                finally:
                    self._slots.reserved -= reserved
                    self._start(rows, consumer)
                    self._slots.wake()
        finally:
            self._busy_opening = False

    def _start(self, rows: Rows, consumer: str) -> None:
        """Runs what came with the answer: it has its places already. Those of an entry that does not begin, or has
        other gates by now, are given on when it has left its slot."""
        self._handed = {generation: limits_of(fields) for generation, fields, *_ in rows}
        self._reader.start(rows, consumer)
        for generation, fields, *_ in rows:
            names = self._handed.pop(generation, [])
            running = self._slots.running.get(generation)
            if running is not None:
                running.places += names
            elif names:
                submission = fields[fields.index(b"n") + 1].decode()
                self._open_soon((name, submission, consumer) for name in names)

    async def _open(self, batch: list[tuple[str, str, str]], consumer: str, reserved: int) -> Rows:
        room = reserved if self._reader.takes_more and consumer == self._membership.consumer else 0
        arguments: list[Argument] = [self._prefix, consumer, room, 0]
        for name, submission, _ in batch:
            arguments += (name, submission)
        rows, more = await self._link.run(OPEN, self._opening_heads, arguments)
        if more:
            self.look()
        return [(number_of(id), fields, place, deliveries) for place, id, fields, deliveries in rows]

    async def _insist[**P, R](self, send: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Sends until it comes through: each call may run twice."""
        while True:
            try:
                reply = await send(*args, **kwargs)
            except (ConnectionFailed, ServerRefused) as error:
                # What was handed over in a reply that was lost is pending, and nobody saw it.
                self.verify()
                await self._outage.failed("passing gates", error)
            else:
                self._outage.worked("passing gates")
                return reply

    def look(self) -> None:
        """A place may have been lost: looks at the gates where somebody waits."""
        self._look_again = True
        if not self._looking and self._has_gates():
            self._looking = True
            self._membership.spawn(self._look())

    async def _look(self) -> None:
        try:
            while self._look_again:
                self._look_again = False
                offset, more = 0, 1
                while more:
                    arguments: list[Argument] = [self._prefix, self._membership.consumer, 0, offset]
                    _, more = await self._link.run(OPEN, self._opening_heads, arguments)
                    offset += GATES_A_LOOK
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("Looking at the gates failed, and comes again: %s", error)
        finally:
            self._looking = False

    async def look_forever(self) -> None:
        """Looks once a lease period."""
        while True:
            self.look()
            await asyncio.sleep(max(self._lease, 0.05))


def refuse(batch: list[Asking], error: BaseException | None) -> None:
    """Tells those who ask that there is no answer: what went wrong, or that the worker leaves."""
    for asking in batch:
        if isinstance(error, Exception) and not asking.answer.done():
            asking.answer.set_exception(error)
        asking.answer.cancel()


def limits_of(fields: list[bytes]) -> list[str]:
    """The limits at which an entry waited, and has a place now."""
    asked = dict(zip(fields[::2], fields[1::2], strict=False)).get(b"gt", b"\x90")
    try:
        return [name for name, _ in msgspec.msgpack.decode(asked)]
    except (msgspec.DecodeError, TypeError, ValueError):
        return []  # damaged: it asks once more


def base_of(entry: Entry) -> float:
    """When it was submitted, or was due, in ms of Redis's clock."""
    return entry.due if entry.due is not None else int(entry.submission) / 1000
