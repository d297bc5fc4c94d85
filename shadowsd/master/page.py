"""One page of memory that a child writes and its master reads, also after the child was killed.

It holds what must not need Redis, a reply, or the child's goodwill: two stamps that tell whether its loop and
its threads still turn, the name it has in Redis, and the table of the tasks it has in flight. The child never
waits for anybody here. A death between two writes leaves one row that is old or missing, never a false one: a
row counts by its generation, which is written last and cleared first.
"""

import mmap
import os
import struct
from enum import IntEnum
from time import monotonic
from typing import NamedTuple, Self

# Written by the child's loop: stamp and lag (seconds), done, fenced, running (numbers), phase.
LOOP = struct.Struct("<ddQQII")
# Written by a thread of its own: stamp (seconds), private memory (bytes).
THREAD_AT, THREAD = 48, struct.Struct("<dQ")
CONSUMER_AT, CONSUMER_SIZE = 64, 320
ROWS_AT = 512
# Started (monotonic seconds), function and key (cut to what fits, for people to read), generation.
ROW = struct.Struct("<d40s40sQ")
GENERATION = struct.Struct("<Q")
GENERATION_AT = ROW.size - GENERATION.size
NAME_SIZE = 40
# How often a child shows that it turns; the master's timers are far longer.
STAMP_SECONDS = 0.25


class Phase(IntEnum):
    """How far a child has come, as it says itself."""

    BOOTING = 0
    WAITING_FOR_REDIS = 1
    READY = 2
    DRAINING = 3


class Head(NamedTuple):
    """What a child says of itself; times in seconds of the monotonic clock, which all processes share."""

    loop_stamp: float
    lag: float
    done: int
    fenced: int
    running: int
    phase: Phase
    thread_stamp: float
    memory: int


class InFlight(NamedTuple):
    """One task that a child runs."""

    generation: str
    function: str
    key: str
    started: float


class Page:
    """One child's page. Made by the master; the child maps the same file descriptor."""

    def __init__(self, fd: int, rows: int) -> None:
        self.fd = fd
        self._rows = rows
        self._map = mmap.mmap(fd, size_of(rows))
        self._free = list(range(rows))
        self._taken: dict[str, int] = {}

    @classmethod
    def make(cls, rows: int) -> Self:
        """A page of `rows` tasks; its two stamps begin now, as a child that is being born is not silent yet."""
        fd = os.memfd_create("shadowsd-child")
        os.ftruncate(fd, size_of(rows))
        page = cls(fd, rows)
        now = monotonic()
        page.stamp_loop(now, 0.0, 0, 0, 0, Phase.BOOTING)
        page.stamp_thread(now, 0)
        return page

    def stamp_loop(self, now: float, lag: float, done: int, fenced: int, running: int, phase: Phase) -> None:
        """Shows that the loop turns, and what it knows."""
        LOOP.pack_into(self._map, 0, now, lag, done, fenced, running, phase)

    def stamp_thread(self, now: float, memory: int) -> None:
        """Shows that a thread gets its turn, whatever the loop does."""
        THREAD.pack_into(self._map, THREAD_AT, now, memory)

    @property
    def head(self) -> Head:
        """What the child last said."""
        stamp, lag, done, fenced, running, phase = LOOP.unpack_from(self._map, 0)
        thread_stamp, memory = THREAD.unpack_from(self._map, THREAD_AT)
        return Head(stamp, lag, done, fenced, running, Phase(phase), thread_stamp, memory)

    @property
    def consumer(self) -> str:
        """The name that the child has in Redis now; empty before it has one."""
        return _text(self._map[CONSUMER_AT : CONSUMER_AT + CONSUMER_SIZE])

    def named(self, consumer: str) -> None:
        """Notes the name that the child has in Redis from now on."""
        self._map[CONSUMER_AT : CONSUMER_AT + CONSUMER_SIZE] = consumer.encode().ljust(CONSUMER_SIZE, b"\0")

    def begin(self, generation: str, function: str, key: str) -> None:
        """Notes that a task runs; called before its first line does."""
        if not self._free:
            return
        row = self._taken[generation] = self._free.pop()
        name, shown = function.encode()[:NAME_SIZE], key.encode(errors="replace")[:NAME_SIZE]
        ROW.pack_into(self._map, ROWS_AT + row * ROW.size, monotonic(), name, shown, int(generation))

    def end(self, generation: str) -> None:
        """Notes that it does not any more."""
        row = self._taken.pop(generation, None)
        if row is not None:
            GENERATION.pack_into(self._map, ROWS_AT + row * ROW.size + GENERATION_AT, 0)
            self._free.append(row)

    @property
    def in_flight(self) -> list[InFlight]:
        """The tasks that run, or ran when the child died; those that began first come first."""
        found = []
        for row in range(self._rows):
            started, function, key, generation = ROW.unpack_from(self._map, ROWS_AT + row * ROW.size)
            if generation:
                found.append(InFlight(str(generation), _text(function), _text(key), started))
        return sorted(found, key=lambda task: task.started)

    def close(self) -> None:
        """Unmaps the page and closes its descriptor."""
        self._map.close()
        os.close(self.fd)


def size_of(rows: int) -> int:
    """Bytes that a page of so many tasks takes."""
    return ROWS_AT + rows * ROW.size


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")
