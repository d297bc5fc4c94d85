"""Parts of a worker for tests, put together around a real shadow without the rest of the worker."""

from collections.abc import Iterable
from datetime import timedelta
from time import time
from typing import Any

from shadows import Shadow
from shadows.connection import Link
from shadows.keys import GROUP, STREAM
from shadowsd.engine.entries import Entry, number_of
from shadowsd.engine.events import Event, Events
from shadowsd.engine.outage import Outage

CONSUMER = "w#1"


def entry_of(key: str = "key", function: str = "job", generation: str = "1000", **fields: str | bytes) -> Entry:
    """An entry as `submit` writes it, with more fields if some are given."""
    named: dict[str, str | bytes] = {"k": key, "f": function, "p": b"", **fields}
    flat = [word if isinstance(word, bytes) else word.encode() for pair in named.items() for word in pair]
    return Entry(STREAM, generation, flat, 1, CONSUMER)


class Recorded:
    """The events of a part, as they came."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.source = Events()
        self.source.observers.append(self.events.append)


def outage_of(recorded: Recorded, longest: timedelta = timedelta(milliseconds=20)) -> Outage:
    return Outage(recorded.source, longest)


def link_of(shadows: Shadow) -> Link:
    """The client's own link, which is closed with it."""
    return shadows.queries


async def delivered(shadows: Shadow, count: int = 100, consumer: str = CONSUMER) -> list[Entry]:
    """What waits in the stream, handed to a consumer as a worker's reader would be; with a lease if it has none."""
    async with shadows.redis() as redis:
        await make_group(redis, shadows)
        reply: Any = await redis.xreadgroup(GROUP, consumer, {shadows.keys.stream: ">"}, count=count)
    rows: Iterable[tuple[bytes, dict[bytes, bytes]]] = reply[0][1] if reply else ()
    return [
        Entry(STREAM, number_of(id), [word for pair in fields.items() for word in pair], 1, consumer)
        for id, fields in rows
    ]


async def make_group(redis: Any, shadows: Shadow) -> None:
    """The group, unless a worker made it."""
    if not await redis.exists(shadows.keys.stream) or not await redis.xinfo_groups(shadows.keys.stream):
        await redis.xgroup_create(shadows.keys.stream, GROUP, "0", mkstream=True)


async def fill_quarantine(shadows: Shadow, count: int = 10_000, age_ms: int = 60_000) -> None:
    """Entries of the quarantine, one a millisecond, which began so long ago; as many as it holds."""
    oldest = int(time() * 1000) - age_ms
    async with shadows.redis() as redis, redis.pipeline(transaction=False) as pipe:
        for n in range(count):
            pipe.xadd(shadows.keys.quarantine, {"k": str(n)}, id=f"{oldest + n}-0")
        await pipe.execute()
