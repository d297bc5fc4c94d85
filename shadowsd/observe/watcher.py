"""Serves the health and the metrics of one plain worker, from a thread of its own: a task that blocks the worker's
loop fails no probe by that, and does not hide."""

import asyncio
import threading
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from logging import getLogger

from shadowsd.engine import Worker

from .addresses import Address, Place
from .gatherer import Gatherer
from .health import WorkerHealth
from .http import serve
from .logs import log_lines_dropped
from .metrics import Metrics
from .routes import LIVE, METRICS, READY, health_routes, metrics_route
from .tally import Tally

logger = getLogger("shadows.worker")

# A scrape that is on its way at the end is not waited for longer.
STOP_SECONDS = 2.0


class Watcher:
    """Takes its addresses when it is made, answers from `start` on, and frees them in `close`; without any address
    it does nothing."""

    def __init__(
        self, worker: Worker, health: WorkerHealth, health_at: Address | None, metrics_at: Address | None
    ) -> None:
        """Raises ConfigurationError when an address can't be had."""
        self._worker = worker
        self._health = health
        self._tally = Tally(log_lines_dropped)
        with ExitStack() as taken:
            self._health_place = take(taken, "--healthcheck-port", health_at)
            same = health_at == metrics_at
            self._metrics_place = self._health_place if same else take(taken, "--metrics-port", metrics_at)
            self._taken = taken.pop_all()
        if self._metrics_place is not None:
            worker.events.observers.append(self._tally.observe)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to answer. Raises ConfigurationError when somebody else took an address meanwhile."""
        places = {place for place in (self._health_place, self._metrics_place) if place is not None}
        for place in places:
            place.listen()
        if self._health_place is not None:
            logger.info("Health is served at %s%s and %s.", self._health_place.url, LIVE[0], READY[0])
        if self._metrics_place is not None:
            logger.info("Metrics are served at %s%s.", self._metrics_place.url, METRICS)
        if places:
            self._loop = loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._main, args=(loop,), name="shadows watcher", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the thread and frees the addresses."""
        if self._loop is not None and self._thread is not None:
            with suppress(RuntimeError):  # it ended by itself
                self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(STOP_SECONDS)
        self._taken.close()

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        health = health_routes(self._health.failures, self._health.obstacles)
        metrics = Metrics()
        gatherer = Gatherer(self._worker, self._health, self._tally, metrics)
        numbers = metrics_route(metrics, gatherer.gather)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(gatherer.close)
            if self._health_place is not None:
                routes = {**health, **numbers} if self._metrics_place is self._health_place else health
                await stack.enter_async_context(serve(routes, self._health_place.sockets))
            if self._metrics_place is not None and self._metrics_place is not self._health_place:
                await stack.enter_async_context(serve(numbers, self._metrics_place.sockets))
            await self._stopped.wait()


def take(stack: ExitStack, option: str, address: Address | None) -> Place | None:
    """Takes an address, if there is one, until the stack is closed."""
    return stack.enter_context(closing(Place(option, address))) if address is not None else None
