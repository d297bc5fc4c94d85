"""The reference: what one would write over redis-py by hand, without keys, state, retries or recovery.

It adds by one EVALSHA each, or by pipelines of 500; it reads 32 entries at a time, gathers them, and one
script acks and deletes them. It knows nothing of shadows, so that it can stand for an application without.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

STREAM = "{bare}:stream"
GROUP = "bare"
CONSUMER = "consumer"
IN_FLIGHT = 32
PIPELINE = 500
BLOCK_MS = 1000

ADD = "return redis.call('XADD', KEYS[1], '*', 'k', ARGV[1], 'f', ARGV[2], 'a', ARGV[3])"
DONE = f"redis.call('XACK', KEYS[1], '{GROUP}', unpack(ARGV)) return redis.call('XDEL', KEYS[1], unpack(ARGV))"

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(tuple[tuple[float], dict[str, Any]]).decode

type Function = Callable[[float], Awaitable[None]]


class Bare:
    """The loop over one redis-py client."""

    def __init__(self, client: Redis, add: str, done: str) -> None:
        self._client = client
        self._add = add
        self._done = done
        self._added = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str) -> AsyncIterator[Self]:
        """Connected, with its scripts loaded."""
        async with Redis.from_url(url) as client:
            yield cls(client, await client.script_load(ADD), await client.script_load(DONE))

    async def join(self) -> None:
        """Makes the consumer group."""
        try:
            await self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _call(self, number: float) -> tuple[Any, ...]:
        self._added += 1
        return (self._add, 1, STREAM, f"{self._added:036d}", "noop", encode(((number,), {})))

    async def add(self, number: float = 0.0) -> None:
        """Adds one."""
        await self._client.evalsha(*self._call(number))

    async def add_one_by_one(self, count: int) -> None:
        """Each after the answer to the one before."""
        for _ in range(count):
            await self.add()

    async def add_in_flight(self, count: int) -> None:
        """32 coroutines, each of which adds one after the other."""
        left = iter(range(count))

        async def send() -> None:
            for _ in left:
                await self.add()

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))

    async def add_bulk(self, count: int) -> None:
        """Pipelines of 500."""
        for first in range(0, count, PIPELINE):
            pipeline = self._client.pipeline(transaction=False)
            for _ in range(min(PIPELINE, count - first)):
                pipeline.evalsha(*self._call(0.0))
            await pipeline.execute()

    async def drain(self, function: Function, count: int) -> None:
        """Runs that many."""
        while count > 0:
            count -= await self.turn(function)

    async def turn(self, function: Function) -> int:
        """Reads once, runs what came, and settles it; returns how many."""
        # Its annotation allows for every command's reply; this one is a list of streams and their entries.
        reply: Any = await self._client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=IN_FLIGHT, block=BLOCK_MS)
        if not reply:
            return 0
        ((_, entries),) = reply
        await asyncio.gather(*(run(function, fields) for _, fields in entries))
        await self._client.evalsha(self._done, 1, STREAM, *[id for id, _ in entries])
        return len(entries)


async def run(function: Function, fields: dict[bytes, bytes]) -> None:
    """One task."""
    arguments, keywords = decode(fields[b"a"])
    await function(*arguments, **keywords)
