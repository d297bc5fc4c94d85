"""The sign of life: a small thread with its own connection renews the lease of this worker.

A task that blocks the loop so loses nothing. But a loop that was silent for `redelivery_timeout` is given up:
the thread stops renewing on purpose, and the tasks go to another worker. A call that holds the GIL stops
this thread too; only a process beside this one could help there.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from logging import getLogger
from time import monotonic
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import RedisError

from shadows.connection import Link, Server
from shadows.errors import ShadowsError
from shadows.keys import Keys
from shadows.scripts import BEAT

from .membership import Membership

logger = getLogger("shadows.worker")


class Beat(NamedTuple):
    """What Redis answered to one sign of life; times in ms."""

    kept: int
    now: float
    next_due: int
    strikes: bytes
    beside: int
    nearest_expiry: int
    parked: list[bytes]
    dead: list[bytes]


class Pulse:
    """The thread of one worker. `on_beat` and `on_failure` are called in the worker's loop."""

    def __init__(
        self,
        server: Server,
        keys: Keys,
        membership: Membership,
        interval_seconds: float,
        lease_ms: int,
        silent_seconds: float,
        row: Callable[[], dict[str, Any]],
        on_beat: Callable[[Beat, int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._link = Link(server, f"pulse:{membership.incarnation}")
        self._keys = [
            *keys.streams, keys.leases, keys.workers, keys.schedule, keys.strikes, keys.unknown, keys.generation,
            keys.functions
        ]  # fmt: skip
        self._membership = membership
        self._interval = interval_seconds
        self._lease_ms = lease_ms
        self._silent = silent_seconds
        self._row = row
        self._on_beat = on_beat
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._seen_alive = monotonic()
        self._thread_loop: asyncio.AbstractEventLoop | None = None
        self._hurry: asyncio.Event | None = None
        self._stopping = False
        self._joined = ""
        self._thread = threading.Thread(target=self._main, name="shadows pulse", daemon=True)

    def start(self) -> None:
        """Starts the thread; the first beat goes at once."""
        self._tick()
        self._thread.start()

    def _tick(self) -> None:
        self._seen_alive = monotonic()
        if not self._stopping:
            self._loop.call_later(self._interval, self._tick)

    def beat_now(self) -> None:
        """Asks for a beat before its time."""
        if self._thread_loop is not None and self._hurry is not None and not self._stopping:
            self._thread_loop.call_soon_threadsafe(self._hurry.set)

    async def stop(self) -> None:
        """Ends the thread."""
        self._stopping = True
        if self._thread_loop is not None and self._hurry is not None:
            with suppress(RuntimeError):  # it ended by itself
                self._thread_loop.call_soon_threadsafe(self._hurry.set)
        await asyncio.to_thread(self._thread.join, 10)

    def _main(self) -> None:
        asyncio.run(self._beat_on())

    async def _beat_on(self) -> None:
        self._thread_loop = asyncio.get_running_loop()
        self._hurry = asyncio.Event()
        while not self._stopping:
            self._hurry.clear()
            began = monotonic()
            if began - self._seen_alive > self._silent:
                self._give_up()
            else:
                await self._beat()
            pause = max(0.0, self._interval - (monotonic() - began))
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                pass
        await self._link.close()

    def _give_up(self) -> None:
        logger.error(
            "The event loop of worker %s was silent for more than redelivery_timeout (%g s), so its lease is not "
            "renewed any more and its tasks go to another worker. A task blocks the loop: run it as a plain `def`, "
            "or raise redelivery_timeout.",
            self._membership.name,
            self._silent,
        )

    async def _beat(self) -> None:
        consumer = self._membership.consumer
        row = msgspec.msgpack.encode(self._row())
        is_first = int(consumer != self._joined)
        try:
            reply = await self._link.run(BEAT, self._keys, [consumer, self._lease_ms, row, is_first])
        except (ShadowsError, RedisError) as error:
            self._tell(self._on_failure, error)
            return
        beat = Beat(*reply)
        if beat.kept:
            self._joined = consumer
        self._tell(self._on_beat, beat, self._link.opened)

    def _tell(self, listener: Callable[..., None], *values: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(listener, *values)
        except RuntimeError:
            self._stopping = True  # the worker's loop is closed
