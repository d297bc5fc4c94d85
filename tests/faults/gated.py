"""What the tests of limits under faults share: who runs at the same time, who waits, and what is left in Redis."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from shadows import Shadow
from tests.waiting import wait_until

ENDS = ("end", "stopped", "failed")


class Events(Protocol):
    """What happened in order, as a journal tells it."""

    @property
    def events(self) -> list[tuple[str, str, int]]: ...


def most_at_once(journal: Events, killed: int = 0) -> int:
    """How many ran at the same time at most; those of a process that was killed do not run any more at its mark, which
    may have its number for a label."""
    running: dict[str, int] = {}
    most = 0
    for word, label, pid in journal.events:
        if word == "start":
            running[label] = pid
        elif word in ENDS:
            running.pop(label, None)
        elif word == "killed":
            dead = int(label) if label.isdigit() else killed
            running = {each: of for each, of in running.items() if of != dead}
        most = max(most, len(running))
    return most


async def waits(shadow: Shadow, count: int) -> bool:
    async with shadow.redis() as redis:
        return bool(await redis.xlen(shadow.keys.waiting) == count)


async def some_wait(shadow: Shadow, count: int) -> None:
    await wait_until(lambda: waits(shadow, count), f"{count} wait at a limit")


async def holders(shadow: Shadow, name: str) -> int:
    """How many places are taken at a concurrency limit."""
    async with shadow.redis() as redis:
        return int(await redis.hlen(f"{shadow.keys.prefix}gate:c:{name}"))


async def keys_of(redis: Any, shadow: Shadow, *words: str) -> AsyncIterator[bytes]:
    for word in words:
        pattern = shadow.keys.prefix.replace("{", "[{]") + word
        async for key in redis.scan_iter(pattern, count=10_000):
            yield key


async def left_behind(shadow: Shadow) -> list[bytes]:
    """What limits have left in Redis for ever."""
    words = ("gate:*", "queue:*", "waiting", "gates")
    async with shadow.redis() as redis:
        return [key async for key in keys_of(redis, shadow, *words) if await redis.ttl(key) == -1]


async def all_is_gone(shadow: Shadow) -> None:
    """Nobody waits, no place is taken, and nothing is left."""

    async def taken() -> list[bytes]:
        async with shadow.redis() as redis:
            return [key async for key in keys_of(redis, shadow, "gate:c:*", "waiting", "gates")]

    async def none_taken() -> bool:
        return not await taken()

    await wait_until(none_taken, "no place is taken and nobody waits")
    assert await left_behind(shadow) == []
