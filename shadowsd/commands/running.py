"""One worker process, from waiting for Redis to its end."""

import asyncio
import logging
from contextlib import AsyncExitStack

from shadows import Shadow
from shadowsd.engine import Worker
from shadowsd.engine.opening import open_patiently
from shadowsd.observe.health import WorkerHealth

from .stopping import StopSignals

logger = logging.getLogger("shadows.worker")


class Running:
    """Opens the shadow and the worker, however long Redis takes, runs, and obeys signals."""

    def __init__(self, shadow: Shadow, worker: Worker, health: WorkerHealth, until_finished: bool) -> None:
        self._shadow = shadow
        self._worker = worker
        self._health = health
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
            await open_patiently(stack, self._shadow, self._worker, self._health.waits_for_redis)
            logger.info(
                "The worker %s of %r begins, %d at a time, at %s. It knows: %s.", self._worker.name, self._shadow.name,
                self._worker.concurrency, self._shadow.url, ", ".join(self._shadow.registry.names()),
            )  # fmt: skip
            self._begun = True
            self._health.begins()
            await (self._worker.run_until_finished() if self._until_finished else self._worker.run_forever())

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
