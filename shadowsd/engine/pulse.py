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

from shadows.connection import CALL_SECONDS, Argument, Link, Server
from shadows.keys import Keys
from shadows.scripts import BEAT

from .membership import Membership

logger = getLogger("shadows.worker")

# Below this, a machine that is merely busy would look like a server that is gone.
LEAST_PATIENCE_SECONDS = 1.0
# Until it has joined, a worker waits for its first beat with everything else.
JOINING_PAUSE_SECONDS = 0.1
# Later than any clock; a consumer that never joined has no lease that somebody could have taken.
FOR_EVER_MS = 9 * 10**15


class Beat(NamedTuple):
    """What Redis answered to one sign of life; times in ms, but for `arrived`, in seconds of the monotonic clock."""

    consumer: str
    connection: int
    arrived: float
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
        on_beat: Callable[[Beat], None],
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
        self._lease_end_ms = 0
        self._gave_up = False
        # A call that hangs must not cost the lease, which the next one could still save.
        self._patience = min(CALL_SECONDS, max(LEAST_PATIENCE_SECONDS, lease_ms / 2000))
        self._thread = threading.Thread(target=self._main, name="shadows pulse", daemon=True)

    def start(self) -> None:
        """Starts the thread; the first beat goes at once."""
        self._tick()
        self._thread.start()

    def _tick(self) -> None:
        self._seen_alive = monotonic()
        if not self._stopping:
            self._loop.call_later(self._interval, self._tick)

    @property
    def overdue_seconds(self) -> float:
        """By how much the loop is late for its next turn here: it is blocked, or the process was paused. May be asked
        from any thread."""
        return 0.0 if self._stopping else max(0.0, monotonic() - self._seen_alive - self._interval)

    def beat_now(self) -> None:
        """Asks for a beat before its time."""
        if self._thread_loop is not None and self._hurry is not None and not self._stopping:
            self._thread_loop.call_soon_threadsafe(self._hurry.set)

    def reconnect(self) -> None:
        """Has the next beat open a new connection."""
        if self._thread_loop is not None and not self._stopping:
            asyncio.run_coroutine_threadsafe(self._link.close(), self._thread_loop)

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
                self._gave_up = False
                await self._beat(began)
            interval = self._interval if self._joined else min(self._interval, JOINING_PAUSE_SECONDS)
            pause = max(0.0, interval - (monotonic() - began))
            try:
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
            except TimeoutError:
                pass
        await self._link.close()

    def _give_up(self) -> None:
        if self._gave_up:
            return
        self._gave_up = True
        logger.error(
            "The event loop of worker %s was silent for more than redelivery_timeout (%g s), so its lease is not "
            "renewed any more and its tasks go to another worker. A task blocks the loop: run it as a plain `def`, "
            "or raise redelivery_timeout.",
            self._membership.name,
            self._silent,
        )

    async def _beat(self, now: float) -> None:
        membership = self._membership
        consumer = membership.consumer
        # Within the lease nobody can have taken over, so that a lease which is gone was flushed. By Redis's clock:
        # a call that is held up on its way may come after a take-over.
        sure_until = self._lease_end_ms if consumer == self._joined else FOR_EVER_MS
        try:
            row = msgspec.msgpack.encode(self._row())
            arguments: list[Argument] = [consumer, self._lease_ms, row, sure_until]
            reply = await self._link.run(BEAT, self._keys, arguments, seconds=self._patience)
            beat = Beat(consumer, self._link.opened, monotonic(), *reply)
        except Exception as error:  # whatever it is, a worker without a pulse would be a dead one that works on
            self._tell(self._on_failure, error)
            return
        if beat.kept and consumer == membership.consumer:
            self._joined = consumer
            membership.lease_ends = now + self._lease_ms / 1000
            self._lease_end_ms = round(beat.now) + self._lease_ms
        self._tell(self._on_beat, beat)

    def _tell(self, listener: Callable[..., None], *values: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(listener, *values)
        except RuntimeError:
            self._stopping = True  # the worker's loop is closed
