"""What runs in this worker, how much more may, and what is done but not yet written down."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from time import monotonic

from shadows.execution import Execution

from .entries import Entry
from .hosting import Ledger


class Stop(StrEnum):
    """Why a running task was stopped from outside."""

    CANCELLED = "cancelled"
    LEASE_LOST = "the worker lost its lease"
    SHUTDOWN = "the worker was told to stop at once"


class Running:
    """One entry in a slot."""

    __slots__ = ("entry", "execution", "handed_back", "is_async", "logged", "places", "started", "stop", "task")

    def __init__(self, entry: Entry, started: float, is_async: bool) -> None:
        self.entry = entry
        self.started = started
        self.is_async = is_async
        self.task: asyncio.Task[None] | None = None
        # Made at once only where somebody is told of failures.
        self.execution: Execution | None = None
        self.stop: Stop | None = None
        self.handed_back = False
        # Whether the log has a line of its start, and so gets one of its end.
        self.logged = False
        # The limits at which it has a place, with their numbers; those where it waited came with it.
        self.places = entry.places

    @property
    def elapsed(self) -> timedelta:
        """For how long it has run."""
        return timedelta(seconds=monotonic() - self.started)


class Slots:
    """The table of entries in flight: running in a slot, or waiting for their outcome to be written."""

    def __init__(self, concurrency: int, ledger: Ledger | None = None) -> None:
        self.concurrency = concurrency
        self._ledger = ledger
        self.running: dict[str, Running] = {}
        self.unsettled: dict[str, Entry] = {}
        # Slots that are kept for what may come with the answer to a run's end.
        self.reserved = 0
        self.on_finish: Callable[[Running], None] = lambda running: None
        self._cancelled: set[str] = set()
        self._changed = asyncio.Event()
        self.on_idle: Callable[[], None] | None = None

    @property
    def free(self) -> int:
        """How many entries may be fetched. Running plus unsettled stays within twice the concurrency, so
        that a Redis which is slow to settle slows the fetching down."""
        running = len(self.running) + self.reserved
        return min(self.concurrency - running, 2 * self.concurrency - running - len(self.unsettled))

    @property
    def worth_filling(self) -> bool:
        """Whether a read pays: a quarter of the slots is free, or no outcome is on its way to Redis. While one
        is, more slots become free within that round trip, and one read fills them all."""
        free = self.free
        return free > 0 and (4 * free >= self.concurrency or not self.unsettled)

    @property
    def idle(self) -> bool:
        """Whether nothing runs, every outcome is written, and nothing may come with an answer that is on its way."""
        return not self.running and not self.unsettled and not self.reserved

    @property
    def unfinished(self) -> list[asyncio.Task[None]]:
        """The asyncio tasks of what runs on the loop."""
        running = [each.task for each in self.running.values() if each.is_async]
        return [task for task in running if task is not None and not task.done()]

    def knows(self, generation: str) -> bool:
        """Whether an entry is in flight here."""
        return generation in self.running or generation in self.unsettled

    def holder(self, generation: str) -> str | None:
        """Under which consumer name an entry is in flight here."""
        running = self.running.get(generation)
        entry = running.entry if running is not None else self.unsettled.get(generation)
        return entry.consumer if entry is not None else None

    def take(self, running: Running) -> bool:
        """Puts an entry into a slot; False when it was cancelled while it was on its way."""
        generation = running.entry.generation
        if generation in self._cancelled:
            return False
        self.running[generation] = running
        if self._ledger is not None:
            self._ledger.begin(generation, running.entry.function, running.entry.key)
        return True

    def finish(self, running: Running, *, settles: bool) -> None:
        """Frees the slot; the entry stays known until its outcome is written, if it has one."""
        generation = running.entry.generation
        self.running.pop(generation, None)
        if self._ledger is not None:
            self._ledger.end(generation)
        # A plain function that was given up runs on in its thread: its place stays taken while this worker lives, and
        # is then its execution's, which runs elsewhere.
        if running.places and not running.handed_back:
            self.on_finish(running)
        if settles:
            self.unsettled[generation] = running.entry
        self.wake()

    def settled(self, generation: str) -> None:
        """The outcome was written, or refused for good."""
        self.unsettled.pop(generation, None)
        self.wake()

    def cancel(self, generation: str) -> None:
        """Cancels a running task; remembers the id, since its entry may still be on its way here."""
        running = self.running.get(generation)
        if running is None:
            self._cancelled.add(generation)
        else:
            self.stop(running, Stop.CANCELLED)

    def forget_cancelled(self) -> None:
        """To be called when a read was handled: whatever was on its way has arrived."""
        self._cancelled.clear()

    def stop(self, running: Running, why: Stop) -> None:
        """Stops one task; a plain `def` runs on in its thread, and its outcome will not count."""
        running.stop = running.stop or why
        if running.task is not None and running.is_async:
            running.task.cancel()

    def stop_all(self, why: Stop) -> None:
        """Stops everything that runs."""
        for running in tuple(self.running.values()):
            self.stop(running, why)

    def wake(self) -> None:
        """Lets those who wait look again."""
        self._changed.set()
        if self.on_idle is not None and self.idle:
            self.on_idle()

    async def until_idle(self) -> None:
        """Waits until nothing runs and every outcome is written."""
        while not self.idle:
            await self.change()

    async def change(self) -> None:
        """Waits until something finished, settled, or somebody called `wake`."""
        self._changed.clear()
        await self._changed.wait()
