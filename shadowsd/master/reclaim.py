"""A dead child's entries go back to the living at once, in the order of the deaths, and however long Redis takes."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from redis.exceptions import RedisError

from shadows.amounts import counted
from shadows.connection import Link, Server
from shadows.errors import ShadowsError
from shadows.keys import Keys
from shadowsd.engine.takeover import Judgement, Taken, take_over

logger = logging.getLogger("shadowsd")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """One child that ended: who it was in Redis, in which slot, and what is known of its end."""

    consumer: str
    slot: int
    judgement: Judgement


class Reclaims:
    """The queue of losses of one master, and the one task that works it off."""

    def __init__(self, server: Server, keys: Keys, ttl_ms: int, on_taken: Callable[[Loss, Taken], None]) -> None:
        self._link = Link(server, "reclaim")
        self._keys = keys
        self._ttl_ms = ttl_ms
        self._on_taken = on_taken
        self._losses: deque[Loss] = deque()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, loss: Loss) -> None:
        """Queues one; the caller goes on at once, whatever Redis does."""
        self._losses.append(loss)
        self._idle.clear()
        self._changed.set()

    async def run(self) -> None:
        """Works them off for ever. A loss leaves the queue only when all that it held is taken: who dies midway
        leaves a lease of 0, by which any worker goes on."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            while self._losses:
                try:
                    await self._take(self._losses[0])
                except (ShadowsError, RedisError) as error:
                    logger.debug("Taking over from %s is tried again: %s", self._losses[0].consumer, error)
                    await asyncio.sleep(pause)
                    pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)
                else:
                    self._losses.popleft()
                    pause = FIRST_PAUSE_SECONDS
            self._idle.set()
            self._changed.clear()
            await self._changed.wait()

    async def _take(self, loss: Loss) -> None:
        began = monotonic()
        taken = await take_over(self._link, self._keys, loss.consumer, self._ttl_ms, loss.judgement)
        if taken is None or not taken.taken:
            return
        logger.warning(
            "%s of the worker in slot %d given back %.0f ms after its end was seen; %s to run alone, and %s in the "
            "quarantine.", counted(taken.taken, "task"), loss.slot, (monotonic() - began) * 1000,
            counted(taken.suspects, "suspect waits", "suspects wait"), counted(taken.quarantined, "is", "are"),
        )  # fmt: skip
        self._on_taken(loss, taken)

    async def flushed(self, seconds: float) -> bool:
        """Waits until all are worked off, but not for ever; whether they are."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Closes the connection."""
        await self._link.close()
