"""The state of one node: what is wanted, what is there, and the parts that keep both.

Signals and commands change what is wanted here, and wake the master; nothing here acts on a process.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from shadows import Shadow, __version__
from shadows.amounts import counted
from shadowsd.engine.takeover import Taken
from shadowsd.observe.metrics import Metrics

from .child import Child
from .clock import Clock
from .fleet import Fleet
from .history import History
from .leases import Leases
from .notify import Notifier
from .oom import kills
from .reclaim import Loss, Reclaims
from .reloading import Outcome, Reloading
from .seen import child_seen, generation_seen
from .settings import Settings
from .world import DRAIN, STOP, World

logger = logging.getLogger("shadowsd")


class Node:
    """One master's node. `reread` reads the settings anew, for a reload; it raises ConfigurationError."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self.settings = settings
        self.reread = reread
        self.shadow = Shadow(settings.client.name, settings.client.url)
        self.clock = Clock()
        self.history = History()
        self.metrics = Metrics()
        self.notifier = Notifier()
        self.workers = settings.workers
        self.target = 1
        self.stopping = ""
        self.served = False
        self.exit_code: int | None = None
        self.failure = ""
        self.oom_kills = kills()
        self.zygotes_not_before: dict[int, float] = {}
        self._changed = asyncio.Event()
        self.reloading = Reloading()
        self.fleet = Fleet(self.clock, self.wake)
        client = settings.client
        self.reclaims = Reclaims(self.shadow.server, self.shadow.keys, self.shadow.settings.ttl_ms, self._taken)
        self.leases = Leases(
            self.shadow.server, self.shadow.keys, settings.name, client.heartbeat_interval.total_seconds(),
            client.lease.total_seconds(), self._consumers, self._row, self.wake,
        )  # fmt: skip

    def _row(self) -> dict[str, Any]:
        """What the master's beats tell others."""
        return {
            "at": time.time() * 1000, "host": socket.gethostname(), "pid": os.getpid(), "kind": "master",
            "workers": self.workers, "generation": self.target, "version": __version__,
        }  # fmt: skip

    def serving(self) -> list[Child]:
        """The children that take tasks, and are meant to."""
        return [
            child for child in self.fleet.children.values()
            if child.ready_at is not None and not child.asked and not child.suspect
        ]  # fmt: skip

    def wake(self) -> None:
        """Something changed: look again."""
        self._changed.set()

    def _consumers(self) -> list[str]:
        return [consumer for child in self.fleet.children.values() if child.pid and (consumer := child.page.consumer)]

    def _taken(self, loss: Loss, taken: Taken) -> None:
        self.leases.told.suspects += taken.suspects
        self.metrics.reclaimed(taken.taken, taken.quarantined)
        self.wake()

    async def changed(self, seconds: float) -> None:
        """Waits until something changed, or so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    def look(self) -> None:
        """Whatever changes from now on is news."""
        self._changed.clear()

    def stop(self, *, at_once: bool = False) -> None:
        """Drains, or hands back what runs; asked again, it goes on as it does, unless it is to be quicker now."""
        if self.stopping == STOP or (self.stopping == DRAIN and not at_once):
            return
        self.stopping = STOP if at_once else DRAIN
        logger.info(
            "Stopping at once: what runs is handed back." if at_once else
            "Stopping: what runs is finished within %g s, and nothing new is taken.",
            *(() if at_once else (self.settings.limits.drain,)),
        )  # fmt: skip
        self.notifier.stopping()
        self.reloading.abandon(Outcome(False, "the master stops"))
        self.wake()

    def scale(self, workers: int) -> int:
        """Wants so many workers, at least one and at most twice what was configured or the machine has processors
        for; kept over reloads."""
        most = max(2 * self.settings.workers, os.cpu_count() or 1)
        wanted = max(1, min(workers, most))
        if wanted != self.workers:
            logger.info("From %s to %d.", counted(self.workers, "worker"), wanted)
            self.workers = wanted
            self.wake()
        return wanted

    def world(self) -> World:
        """What is seen now, as values."""
        now, fleet = self.clock.now(), self.fleet
        children = tuple(child_seen(child, self.clock) for child in fleet.children.values())
        busy_suspects = sum(1 for child in fleet.children.values() if child.suspect and child.page.head.running)
        needed = {self.target, self.reloading.under_way.generation if self.reloading.under_way else self.target}
        return World(
            workers=self.workers,
            target=self.target,
            generations={
                number: generation_seen(generation, now, now >= self.zygotes_not_before.get(number, 0.0))
                for number, generation in fleet.generations.items()
                if number in needed
            },
            children=children,
            reload=self.reloading.under_way,
            held=self.history.held(self.workers, now),
            suspects=self.leases.told.suspects + busy_suspects,
            stopping=self.stopping,
            limits=self.settings.limits,
        )

    def quit(self, code: int, why: str, traceback: str = "") -> None:
        """Ends before it ever served; of several reasons, the first counts."""
        if self.exit_code is not None:
            return
        self.exit_code, self.failure = code, why
        if traceback:
            logger.error("%s", traceback.rstrip())
