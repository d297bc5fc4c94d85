"""A worker in this test's loop, watched by a thread that answers on real ports."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from http.client import HTTPConnection
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from shadows import Shadow, Worker
from shadowsd.observe.addresses import Address
from shadowsd.observe.health import WorkerHealth
from shadowsd.observe.watcher import Watcher


class Page(NamedTuple):
    """What came back, and how long it took."""

    status: int
    text: str
    seconds: float

    @property
    def reasons(self) -> list[str]:
        reasons: list[str] = json.loads(self.text)["reasons"]
        return reasons

    def value(self, name: str, **labels: str) -> float | None:
        """One number of /metrics; None when it is not there."""
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                if (sample.name, sample.labels) == (name, labels):
                    return sample.value
        return None


def get(port: int, path: str, accept: str = "*/*") -> Page:
    """Asks once, as a probe or a scraper does."""
    began = time.monotonic()
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Accept": accept})
        response = connection.getresponse()
        return Page(response.status, response.read().decode(), time.monotonic() - began)


class Watched:
    """A worker with its watcher; both pages are on one port."""

    def __init__(self, worker: Worker, health: WorkerHealth, watcher: Watcher) -> None:
        self.worker = worker
        self.health = health
        assert watcher._metrics_place is not None
        self.port = watcher._metrics_place.port

    def get_at_once(self, path: str = "/metrics") -> Page:
        """Asks from this thread."""
        return get(self.port, path)

    def asked(self, path: str = "/metrics") -> "asyncio.Future[Page]":
        """Asks from a thread; the answer comes also while this loop is blocked."""
        return asyncio.get_running_loop().run_in_executor(None, self.get_at_once, path)

    async def get(self, path: str = "/metrics") -> Page:
        return await self.asked(path)


@asynccontextmanager
async def watched(shadows: Shadow, **options: Any) -> AsyncIterator[Watched]:
    """The worker runs while the block does."""
    worker = Worker(shadows, **options)
    health, somewhere = WorkerHealth(worker), Address("127.0.0.1", 0)
    with closing(Watcher(worker, health, somewhere, somewhere)) as watcher:
        watcher.start()
        async with worker:
            health.begins()
            running = asyncio.create_task(worker.run_forever())
            try:
                yield Watched(worker, health, watcher)
            finally:
                await worker.stop_at_once()
                await running
