"""A daemon that serves, and what the tests of its faults do with it again and again."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shadows import Execution, Shadow
from tests.daemon import Daemon
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_for, wait_until

SPAWNS = pytest.mark.parametrize("spawn", ["fork", "exec"])

type Runner = Callable[..., contextlib.AbstractContextManager["Running"]]


class Running(Daemon):
    """One whose tasks write into the journal of the test."""

    def __init__(self, directory: Path, shadow: Shadow, journal: Journal, *flags: str, **options: Any) -> None:
        super().__init__(directory, shadow, *flags, **options)
        self.shadow = shadow
        self.journal = journal

    async def holds(self, *keys: str, task: Callable[..., Any] = hold, gate: str = "gate") -> list[Execution]:
        """Adds tasks that run until the gate is opened; all of them run when this returns."""
        add = self.shadow.call
        added = await self.shadow.add_many([add(task, key=key)(str(self.journal), key, gate) for key in keys])
        await wait_until(lambda: self.journal.count("start").keys() >= set(keys), f"{len(keys)} tasks run")
        return list(added)

    async def proves_itself(self, key: str = "proof") -> None:
        """It runs a task now."""
        added = await self.shadow.add(rest, key=key)(str(self.journal), key)
        assert await added.get_result(timeout=10) == key

    @property
    def metrics(self) -> dict[str, float]:
        """Each series that it has, and its value; needs `metrics_port`."""
        _, text = answer_of(self.wait_logged(r"Metrics are served at \S+/metrics").split()[-1])
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def runs_alone(self, slot: int = 1) -> int:
        """Scales to one worker, which is the one in slot 1; its pid."""
        self.ask("scale", workers=1)
        wait_for(lambda: len(self.slots()) == 1, "one worker is left")
        return self.serving()[slot]


def answer_of(url: str) -> tuple[int, str]:
    """What an HTTP server answers to who asks as a probe or a scraper does: the status and the text."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def deaths_of(shadow: Shadow, key: str) -> int:
    """How many deaths of workers its record has against it."""
    async with shadow.redis() as redis:
        return int(await redis.hget(shadow.keys.record(key), "d") or 0)


@contextlib.contextmanager
def running_daemon(directory: Path, shadow: Shadow, journal: Journal, *flags: str, **options: Any) -> Iterator[Running]:
    """One that is ready when the block begins; at its end it must stop well."""
    directory.mkdir(exist_ok=True)
    with Running(directory, shadow, journal, *flags, **options) as daemon:
        daemon.wait_ready()
        yield daemon
        assert daemon.stop() == 0
