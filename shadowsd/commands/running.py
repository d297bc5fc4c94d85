"""One worker process, from waiting for Redis to its end."""

import asyncio
import logging
from contextlib import AsyncExitStack
from time import monotonic

from shadows import Shadow
from shadows.errors import ConnectionFailed, ServerRefused
from shadowsd.engine import Worker

from .stopping import StopSignals

logger = logging.getLogger("shadows.worker")

FIRST_PAUSE_SECONDS = 0.1


class Running:
    """Opens the shadow and the worker, however long Redis takes, runs, and obeys signals."""

    def __init__(self, shadow: Shadow, worker: Worker, until_finished: bool) -> None:
        self._shadow = shadow
        self._worker = worker
        self._until_finished = until_finished
        self._begun = False
        self._work: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Returns when there is nothing left to do, or after a signal."""
        with StopSignals(self._drain, self._stop_at_once):
            self._work = asyncio.create_task(self._serve(), name="shadows worker")
            await asyncio.wait([self._work])
            if not self._work.cancelled():
                self._work.result()
            logger.info("The worker %s has ended.", self._worker.name)

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            logger.info(
                "The worker %s of %r begins, %d at a time, at %s. It knows: %s.", self._worker.name, self._shadow.name,
                self._worker.concurrency, self._shadow.url, ", ".join(self._shadow.registry.names()),
            )  # fmt: skip
            self._begun = True
            await (self._worker.run_until_finished() if self._until_finished else self._worker.run_forever())

    async def _open(self, stack: AsyncExitStack) -> None:
        """Waits for a Redis that can be used; that it can't is told once."""
        began, pause, told = monotonic(), FIRST_PAUSE_SECONDS, False
        while True:
            try:
                async with AsyncExitStack() as attempt:
                    await attempt.enter_async_context(self._shadow)
                    await attempt.enter_async_context(self._worker)
                    stack.push_async_exit(attempt.pop_all())
                    break
            except (ConnectionFailed, ServerRefused, TimeoutError) as error:
                if not told:
                    told = True
                    logger.warning("The worker begins as soon as Redis can be used. %s", error or "It was too slow.")
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._worker.reconnection_delay.total_seconds())
        if told:
            logger.warning("Redis can be used after %.1f s.", monotonic() - began)

    def _drain(self) -> None:
        if self._begun:
            self._worker.stop()
        elif self._work is not None:
            self._work.cancel()

    def _stop_at_once(self) -> None:
        if self._begun:
            self._ending = asyncio.create_task(self._worker.stop_at_once(), name="shadows stop")
        elif self._work is not None:
            self._work.cancel()
