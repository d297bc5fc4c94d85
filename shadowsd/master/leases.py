"""The node's place in Redis: one call a heartbeat renews the leases of the master and of all its living children.

A child's own beats renew its lease, too. But a task may hold the GIL for longer than any lease, and then only
the master can say that the child lives. Nothing here ever decides that a child dies.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import msgspec
from redis.exceptions import RedisError

from shadows.connection import Link, Server
from shadows.errors import ShadowsError
from shadows.keys import SUSPECTS, Keys
from shadows.scripts import LEAVE, RENEW
from shadowsd.engine.takeover import read_row

logger = logging.getLogger("shadowsd")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class Told:
    """What the last renewal told; `beats` are the rows of children by consumer."""

    suspects: int = 0
    beats: dict[str, dict[str, Any]] = field(default_factory=dict)
    at: float = 0.0


class Leases:
    """Renews, for one master, until it is cancelled."""

    def __init__(
        self,
        server: Server,
        keys: Keys,
        node: str,
        interval_seconds: float,
        lease_seconds: float,
        consumers: Callable[[], list[str]],
        row: Callable[[], dict[str, Any]],
        on_told: Callable[[], None],
    ) -> None:
        self._link = Link(server, "master")
        self._keys = keys
        self._consumer = f"{node}#{os.urandom(4).hex()}"
        self._interval = interval_seconds
        self._lease_ms = round(lease_seconds * 1000)
        self._consumers = consumers
        self._row = row
        self._on_told = on_told
        self.told = Told()
        self.outages = 0
        self.failing_since: float | None = monotonic()
        self.error = "Redis was not reached yet."
        self._ever = False

    @property
    def works(self) -> bool:
        """Whether the last renewal came through."""
        return self.failing_since is None

    async def run(self) -> None:
        """Renews for ever; an outage is one line at its beginning and one at its end."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = monotonic()
            try:
                await self._renew()
            except (ShadowsError, RedisError) as error:
                self._failed(error)
                wait, pause = pause, min(LONGEST_PAUSE_SECONDS, 2 * pause)
            else:
                self._worked()
                pause = FIRST_PAUSE_SECONDS
                wait = max(0.0, self._interval - (monotonic() - began))
            self._on_told()
            await asyncio.sleep(wait)

    async def _renew(self) -> None:
        keys, consumers = self._keys, self._consumers()
        row = msgspec.msgpack.encode(self._row())
        now, suspects, *rows = await self._link.run(
            RENEW,
            [keys.leases, keys.workers, keys.nodes, keys.streams[SUSPECTS - 1]],
            [self._consumer, row, self._lease_ms, *consumers],
        )
        beats = {consumer: read_row(raw) for consumer, raw in zip(consumers, rows[::2], strict=True)}
        self.told = Told(suspects, {name: beat | {"age": now - beat.get("at", now)} for name, beat in beats.items()},
                         monotonic())  # fmt: skip

    def _failed(self, error: Exception) -> None:
        self.error = str(error)
        if self.failing_since is None:
            self.failing_since = monotonic()
        elif self._ever or self.outages:
            return
        self.outages += 1
        logger.warning(
            "Redis can't be used now, and is tried again until it can; no worker is stopped for it. %s", error
        )

    def _worked(self) -> None:
        self._ever = True
        if self.failing_since is not None:
            if self.outages:
                logger.warning("Redis can be used again after %.1f s.", monotonic() - self.failing_since)
            self.failing_since = None

    async def leave(self) -> None:
        """Takes the master off the books, if Redis can be reached; its lease ends by itself otherwise."""
        keys = self._keys
        try:
            await self._link.run(
                LEAVE, [*keys.streams, keys.leases, keys.nodes, keys.functions], [self._consumer, keys.prefix]
            )
        except (ShadowsError, RedisError) as error:
            logger.warning("The master could not sign off; its lease ends by itself. %s", error)
        await self._link.close()
