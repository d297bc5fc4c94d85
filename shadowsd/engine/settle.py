"""Writing outcomes: those that gather while one call is in flight go together in the next.

A call whose reply was lost is sent again with its number, and the server answers from its memory: nothing
is overwritten, and only what another worker took over meanwhile counts as fenced.
"""

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from logging import getLogger
from typing import NamedTuple

from redis.exceptions import ResponseError

from shadows.connection import Argument, Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.priorities import NORMAL
from shadows.scripts import SETTLE

from .asides import tell_pushed_out
from .entries import Entry
from .events import Events, OutcomesFenced
from .outage import Outage
from .slots import Slots

logger = getLogger("shadows.worker")

# Half of what one script may carry: a hundred outcomes take Redis some 2 ms, and nobody settles more at a time than
# a worker of a hundred slots.
MOST_ITEMS = 100
MOST_BYTES = 1 << 20
FENCED = 0


class Next(NamedTuple):
    """What follows: in `delay_ms` from now or, when that is None, at `at_ms` of Redis's clock."""

    delay_ms: int | None
    at_ms: int | None
    payload: bytes


class Verdict(NamedTuple):
    """How an entry ended: c completed, f failed, x cancelled, r retried, b handed back; `body` is the result
    or the error; `elapsed_ms` is how long it ran."""

    entry: Entry
    word: str
    body: bytes | str
    elapsed_ms: int
    following: Next | None = None
    # Why a failure is kept, when it is.
    cause: str | None = None

    @property
    def size(self) -> int:
        """About how many bytes it brings to Redis."""
        return len(self.body) + (len(self.following.payload) if self.following else 0)


class Settler:
    """The queue of verdicts of one worker, and the one task that sends it."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        slots: Slots,
        outage: Outage,
        events: Events,
        ttl_ms: int,
        set_aside: Callable[[Entry, str], Awaitable[None]],
    ) -> None:
        self._set_aside = set_aside
        self._link = link
        self._slots = slots
        self._outage = outage
        self._events = events
        self._ttl_ms = ttl_ms
        self._prefix = keys.prefix
        self._task_prefix = keys.task
        self._heads = [
            *keys.streams,
            keys.schedule,
            keys.generation,
            keys.reply(os.urandom(8).hex(), "settle"),
            keys.quarantine,
        ]
        self._sequence = 0
        self._waiting: deque[Verdict] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._abandoned = False
        # Whether somebody else's next call brings a verdict; those that one does are not written yet.
        self.goes_along: Callable[[Verdict], bool] = lambda verdict: False
        self._gone_along = 0
        self.done = 0
        self.fenced = 0

    def put(self, verdict: Verdict) -> None:
        """Queues a verdict; its entry must be in the slots' table of unsettled ones."""
        if self._abandoned:
            return  # the end of a task that did not let itself be stopped: its worker has left
        if self.goes_along(verdict):
            self._gone_along += 1
            return
        self._waiting.append(verdict)
        # Cancelled before it began, it never cleared its place.
        if self._sender is None or self._sender.done():
            self._start()

    def went_along(self, verdict: Verdict, *, written: bool) -> None:
        """The call that brought a verdict is over; when that did not write it, it is sent like any other."""
        self._gone_along -= 1
        if written:
            self.done += 1
            self._slots.settled(verdict.entry.generation)
            return
        self._waiting.append(verdict)
        if not self._abandoned and (self._sender is None or self._sender.done()):
            self._start()

    def _start(self) -> asyncio.Task[None]:
        self._sender = asyncio.get_running_loop().create_task(self._send_all(), name="shadows settler")
        return self._sender

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                try:
                    await self._settle(batch)
                except asyncio.CancelledError:
                    # Whoever closes the loop cancels everything in it; `flushed` sends these once more.
                    self._waiting.extendleft(reversed(batch))
                    raise
                # The reader goes first: its read is short, and this worker would wait for it behind the
                # next settle while it has free slots.
                await asyncio.sleep(0)
        finally:
            self._sender = None

    async def _settle(self, batch: list[Verdict]) -> None:
        try:
            self._note(batch, await self._send(batch))
        except ResponseError as error:
            # Something is wrong with one of them, or with Redis: alone each shows which, and spares the others.
            if len(batch) > 1:
                for verdict in batch:
                    await self._settle([verdict])
                return
            entry = batch[0].entry
            logger.error("The outcome of %s with key %r can't be written: %s", entry.function, entry.key, error)
            with suppress(ResponseError):  # then it stays pending, and runs again
                await self._set_aside(entry, f"it ran, and its outcome could not be written: {error}")
            self._slots.settled(entry.generation)

    def _take(self) -> list[Verdict]:
        batch: list[Verdict] = []
        size = 0
        while self._waiting and len(batch) < MOST_ITEMS:
            verdict = self._waiting[0]
            size += verdict.size
            # A worker that lost its lease goes on under a new name: what it held before is asked for separately.
            if batch and (size > MOST_BYTES or verdict.entry.consumer != batch[0].entry.consumer):
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _send(self, batch: list[Verdict]) -> list[int]:
        self._sequence += 1
        prefix = self._task_prefix
        keys: list[Argument] = [*self._heads, *[prefix + verdict.entry.key for verdict in batch]]
        arguments: list[Argument] = [self._prefix, self._sequence, batch[0].entry.consumer, self._ttl_ms]
        for entry, word, body, elapsed_ms, following, cause in batch:
            meta = f"{entry.submission} {entry.attempt} {elapsed_ms}"
            if following is None and cause is None:
                arguments += (entry.place, entry.generation, word, meta, body)
                continue
            flags = ("k" if cause is not None else "") + ("n" if following is not None else "")
            arguments += (entry.place, entry.generation, word + flags, meta, body)
            if cause is not None:
                arguments.append(cause)
            if following is not None:
                arguments += successor(entry, following)
        while True:
            try:
                replies: list[int] = await self._link.run(SETTLE, keys, arguments)
            except (ConnectionFailed, ServerRefused) as error:
                await self._outage.failed("settling", error)
            else:
                self._outage.worked("settling")
                return replies

    def _note(self, batch: list[Verdict], replies: list[int]) -> None:
        fenced = 0
        *replies, pushed_out = replies
        tell_pushed_out(pushed_out)
        for verdict, reply in zip(batch, replies, strict=True):
            self._slots.settled(verdict.entry.generation)
            if reply == FENCED:
                fenced += 1
                logger.warning(
                    "The outcome of %s with key %r was refused: this worker had lost it to another, whose run counts.",
                    verdict.entry.function,
                    verdict.entry.key,
                )
        self.done += len(batch) - fenced
        if fenced:
            self.fenced += fenced
            self._events.emit(OutcomesFenced(fenced))

    async def flushed(self) -> None:
        """Waits until every verdict is written."""
        while not self._abandoned and (self._unwritten or (self._sender is not None and not self._sender.done())):
            if self._gone_along:
                await self._slots.change()
                continue
            sender = self._sender
            await asyncio.wait([self._start() if sender is None or sender.done() else sender])

    @property
    def _unwritten(self) -> bool:
        return bool(self._waiting or self._gone_along)

    def abandon(self) -> None:
        """Stops writing: what is left stays pending, and is given to another worker at the sign-off."""
        self._abandoned = True
        if self._sender is not None:
            self._sender.cancel()


def successor(entry: Entry, following: Next) -> tuple[Argument, ...]:
    """What follows, as the script takes it."""
    delay, at = following.delay_ms, following.at_ms
    return (
        entry.function, entry.submission, entry.attempt + 1,
        "" if delay is None else delay, "" if at is None else at, following.payload,
        "" if entry.priority == NORMAL else entry.priority,
    )  # fmt: skip
