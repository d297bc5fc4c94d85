"""What stands before an execution: others that wait, a gate with all its places taken, workers that are all busy."""

from typing import NamedTuple

from redis.exceptions import ResponseError

from . import lazy
from .connection import Link
from .keys import GROUP, HIGH, LOW, PLACES, RECLAIMED, RETURNED, STREAM, Keys
from .obstacles import Crew
from .priorities import Priority
from .records import Record, text, worker_of
from .scripts import WALK
from .snapshot import living, read_workers

# How many of those that wait before it are counted, and how many of those that hold a place are named.
MOST_COUNTED = 1000
MOST_HOLDERS = 20
# In which order workers take from the streams; suspects wait for themselves.
IN_ORDER = (RETURNED, HIGH, STREAM, LOW)


class Holder(NamedTuple):
    """Who has a place at a gate: its key, and its worker once it runs."""

    key: str
    worker: str | None


class AtGate(NamedTuple):
    """The gate at which an execution waits: how many may run there, how many wait, and how many of them before it."""

    name: str
    most: int
    before: int
    waiting: int
    taken: int
    holders: list[Holder]


class Ahead:
    """Reads it for the executions of one key."""

    def __init__(self, link: Link, keys: Keys, key: str) -> None:
        self._link = link
        self._keys = keys
        self._key = key

    async def crew(self, function: str, priority: Priority) -> Crew:
        """Who works, and how many entries they hold: a slot each."""
        alive = await living(self._link, self._keys)
        workers = await read_workers(self._link, self._keys)
        taken = 0
        for stream in self._keys.streams:
            taken += sum(count for consumer, count in await self._held(stream) if consumer in alive)
        knowing = [worker for worker in workers if function in worker.tasks]
        serving = sum(priority in worker.priorities for worker in knowing)
        return Crew(len(workers), len(knowing), serving, sum(worker.concurrency for worker in workers), taken)

    async def _held(self, stream: str) -> list[tuple[bytes, int]]:
        """How many entries of a stream each consumer holds."""
        try:
            pending = await self._link.ask("XPENDING", stream, GROUP)
        except ResponseError:
            return []  # there is no such stream now, or nobody has come to read it yet
        return [(consumer, int(count)) for consumer, count in pending[3] or ()]

    async def before(self, record: Record, place: str) -> int | None:
        """How many are handed out before it; None where there is no such order."""
        if place not in PLACES:
            return None
        number = PLACES.index(place) + 1
        first = IN_ORDER[: IN_ORDER.index(number)] if number in IN_ORDER else ()
        count = 0
        for each in first:
            count += await self._taken_back(self._keys.streams[each - 1])
            count += await self._new(self._keys.streams[each - 1], "+")
        own, end = self._keys.prefix + place, f"({record.generation}-0"
        if record.holder == RECLAIMED:
            count += len(await self._link.ask("XPENDING", own, GROUP, "-", end, MOST_COUNTED, RECLAIMED))
        else:
            count += await self._taken_back(own) + await self._new(own, end)
        return min(count, MOST_COUNTED)

    async def _taken_back(self, stream: str) -> int:
        """How many of a stream were taken from the dead: they go before what is new there."""
        return sum(count for consumer, count in await self._held(stream) if consumer == RECLAIMED.encode())

    async def _new(self, stream: str, end: str) -> int:
        """How many of a stream nobody was handed yet, up to an id."""
        return (await self.walk(stream, await self._delivered(stream), end))[1]

    async def _delivered(self, stream: str) -> str:
        """Behind what was handed out, as a range of the stream begins."""
        try:
            groups = await self._link.ask("XINFO", "GROUPS", stream)
        except ResponseError:
            return "-"
        for group in groups:
            said = dict(zip(group[::2], group[1::2], strict=True))
            if said[b"name"] == GROUP.encode():
                return f"({text(said[b'last-delivered-id'])}"
        return "-"

    async def walk(self, stream: str, first: str, last: str, *, find: bool = False) -> tuple[list[str], int]:
        """The ids of the key's entries in a stretch of a stream, and how many entries were passed until one was found,
        or until they were enough."""
        passed = 0
        while last and (find or passed < MOST_COUNTED):
            count, ids, last = await self._link.repeat(WALK, [stream], [first, last, self._key if find else ""])
            passed += count
            if find and ids:
                return [text(id) for id in ids], passed
        return [], passed

    async def gate(self, record: Record) -> AtGate | None:
        """The one of its gates at which it waits."""
        placed, prefix = str(record.generation), self._keys.prefix
        asked = lazy.told().decoded(record.entry.get("gt", b""), tuple[tuple[str, int], ...]) or ()
        for name, most in asked:
            queue, places = f"{prefix}queue:{name}", f"{prefix}gate:{name}"
            waits = await self._link.ask("ZSCORE", queue, placed)
            if waits is not None:
                held = await self._link.ask("HRANDFIELD", places, MOST_HOLDERS, "WITHVALUES")
                return AtGate(
                    name.partition(":")[2], most, await self._link.ask("ZCOUNT", queue, "-inf", f"({text(waits)}"),
                    await self._link.ask("ZCARD", queue), await self._link.ask("HLEN", places),
                    sorted(map(holder_of, held[1::2]), key=lambda holder: (holder.key, holder.worker or "")),
                )  # fmt: skip
        return None


def holder_of(value: bytes) -> Holder:
    """Who has a place, as the scripts write it."""
    consumer, key, _ = lazy.told().decoded(value, tuple[str, str, str]) or ("", "?", "")
    return Holder(key, worker_of(consumer) if consumer else None)
