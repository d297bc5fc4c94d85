"""The way through the gates: limits that hold over all workers, such as `ConcurrencyLimit`.

1. Before a run whose function has gates begins, `admit` asks for it. What asks while one call is in flight goes
   together in the next.
2. What has to wait, or to come later, leaves this worker: it takes no slot, and nobody polls for it.
"""

import asyncio
from typing import NamedTuple

from redis.exceptions import ResponseError

from shadows.connection import Argument, Link
from shadows.dependencies.gates import Terms
from shadows.keys import Keys
from shadows.scripts import ADMIT

from .entries import Entry
from .membership import Membership
from .places import MOST_ITEMS, Opening, Places
from .slots import Running


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


class Gates:
    """Asks, for one worker."""

    def __init__(self, link: Link, keys: Keys, membership: Membership, places: Places) -> None:
        self._link = link
        self._prefix = keys.prefix
        self._task_prefix = keys.task
        self._heads = [*keys.streams, keys.waiting, keys.schedule, keys.generation, keys.gates, keys.leases]
        self._membership = membership
        self._places = places
        self._asking: list[Asking] = []
        self._busy = False

    async def admit(self, running: Running, terms: tuple[Terms, ...]) -> Answer:
        """Asks for one entry. Raises CancelledError when the run is stopped meanwhile: the entry is then pending
        still, or has left by itself."""
        handed = self._places.came_with(running.entry)
        # What it waited for is all that it asks for.
        if handed and running.places == tuple([(each.name, each.first) for each in terms]):
            return PASSES
        asking = Asking(running, terms, asyncio.get_running_loop().create_future())
        self._asking.append(asking)
        if not self._busy:
            self._busy = True
            self._membership.spawn(self._ask_all())
        return await asking.answer

    def left(self) -> None:
        """A run was stopped while it asked: what is pending for this worker still has to be looked for."""
        self._places.verify()

    async def _ask_all(self) -> None:
        try:
            while self._asking:
                consumer = self._asking[0].running.entry.consumer
                batch: list[Asking] = []
                rest: list[Asking] = []
                for each in self._asking:
                    is_next = len(batch) < MOST_ITEMS and each.running.entry.consumer == consumer
                    (batch if is_next else rest).append(each)
                self._asking = rest
                await self._ask_batch(batch, consumer)
        finally:
            self._busy = False
            refuse(self._asking, None)

    async def _ask_batch(self, batch: list[Asking], consumer: str) -> None:
        try:
            replies = await self._places.insist(self._ask, batch, consumer)
        except ResponseError as error:
            # Something is damaged in Redis; it is the fault of one of them, and ends that one only.
            if len(batch) == 1:
                refuse(batch, error)
            for each in batch if len(batch) > 1 else ():
                await self._ask_batch([each], consumer)
        except BaseException:
            refuse(batch, None)
            raise
        else:
            self._note(batch, consumer, replies)

    async def _ask(self, batch: list[Asking], consumer: str) -> list[tuple[bytes, bytes, int]]:
        keys: list[Argument] = [*self._heads]
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
            running = asking.running
            stopped_meanwhile = asking.answer.done()
            limits = tuple((each.name, each.first) for each in asking.terms if each.kind == "c")
            # Of one that is gone nobody gave back what it came with; of one that waits, or comes later, the script did.
            if word != b"n":
                running.places = limits if word == b"a" else ()
            if stopped_meanwhile:
                self._places.give_back(running.entry, running.places)
            else:
                asking.answer.set_result(Answer(word.decode(), reason.decode()))
            if was_freed:
                self._places.open_soon(Opening(consumer, name, number) for name, number in limits)


def refuse(batch: list[Asking], error: BaseException | None) -> None:
    """Tells those who ask that there is no answer: what went wrong, or that the worker leaves."""
    for asking in batch:
        if isinstance(error, Exception) and not asking.answer.done():
            asking.answer.set_exception(error)
        asking.answer.cancel()


def base_of(entry: Entry) -> float:
    """When it was submitted, or was due, in ms of Redis's clock."""
    return entry.due if entry.due is not None else int(entry.submission) / 1000
