"""The sign of life: a small thread with its own connection renews the lease of this worker, and signs it off.

A task that blocks the loop so loses nothing. But a loop that was silent for `redelivery_timeout` is given up:
the thread stops renewing on purpose, and the tasks go to another worker. A call that holds the GIL stops
this thread too; only a process beside this one could help there.

The thread signs off because a Ctrl-C never hits it: that raises KeyboardInterrupt between any two lines of the
main thread, so nothing that is done there at the end can be relied on, and no handful of guarded places would
be all of them. Whether the worker was closed, or its loop was under it, or the process just ends: what
it still holds goes to the others at once.
"""

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from shadows.connection import CALL_SECONDS, Argument, Link, Server
from shadows.keys import Keys
from shadows.scripts import BEAT, LEAVE

from .ghosts import cut_off
from .membership import Membership

logger = logging.getLogger("shadows.worker")

# Below this, a machine that is merely busy would look like a server that is gone.
LEAST_PATIENCE_SECONDS = 1.0
# Until it has joined, a worker waits for its first beat with everything else.
JOINING_PAUSE_SECONDS = 0.1
# Twice as long as a call may take: one may be on its way when the end comes.
END_SECONDS = 2 * CALL_SECONDS
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
            keys.functions, keys.gates,
        ]  # fmt: skip
        self._leave_keys = [*keys.streams, keys.leases, keys.workers, keys.functions]
        self._prefix = keys.prefix
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
        self._reached = False
        self._lease_end_ms = 0
        self._gave_up = False
        # A call that hangs must not cost the lease, which the next one could still save.
        self._patience = min(CALL_SECONDS, max(LEAST_PATIENCE_SECONDS, lease_ms / 2000))
        self._thread = threading.Thread(target=self._main, name="shadows pulse", daemon=True)

    def start(self) -> None:
        """Starts the thread; the first beat goes at once."""
        self._tick()
        # For a process that ends without closing the worker: a daemon thread lives until these calls are over.
        atexit.register(self.end)
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
        """Signs the worker off and ends the thread."""
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """The same where no loop runs; waits for it, but not for long."""
        self._stopping = True
        if not self._thread.is_alive():  # it ended by itself, or in the parent of this process
            return
        if self._thread_loop is not None and self._hurry is not None:
            with suppress(RuntimeError):  # it is about to end
                self._thread_loop.call_soon_threadsafe(self._hurry.set)
        self._thread.join(END_SECONDS)

    def _main(self) -> None:
        # Not by `asyncio.run`: that starts a thread to end those of its loop, and an interpreter that ends takes none.
        with closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(self._live())
        atexit.unregister(self.end)

    async def _live(self) -> None:
        await self._beat_on()
        await self._sign_off()
        await self._link.close()

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
            self._reached = False
            self._tell(self._on_failure, error)
            return
        self._reached = True
        if beat.kept and consumer == membership.consumer:
            self._joined = consumer
            membership.lease_ends = now + self._lease_ms / 1000
            self._lease_end_ms = round(beat.now) + self._lease_ms
        self._tell(self._on_beat, beat)

    async def _sign_off(self) -> None:
        """Hands back what the worker holds, whether it knows of it or not, and takes it off the books."""
        membership = self._membership
        membership.joined = False  # a loop that still runs, in another thread, starts nothing any more
        # Who could not reach Redis a moment ago does not wait long for it once more; it may have just come back.
        patience = self._patience if self._reached else LEAST_PATIENCE_SECONDS
        try:
            async with asyncio.timeout(patience):
                # Its read may still be blocked in Redis, which would hand it what nobody sees.
                await cut_off(self._link, self._row()["reader"], membership.incarnation)
                arguments: list[Argument] = [membership.consumer, self._prefix]
                while not await self._link.run(LEAVE, self._leave_keys, arguments):
                    pass
        except Exception as error:
            level = logging.WARNING if self._reached else logging.DEBUG  # of an outage everybody knows already
            logger.log(level, "The worker could not sign off; its lease ends by itself. %s", error)

    def _tell(self, listener: Callable[..., None], *values: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(listener, *values)
        except RuntimeError:
            self._stopping = True  # the worker's loop was closed, and it did not sign off
