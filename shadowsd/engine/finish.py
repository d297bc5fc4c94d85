"""`run_until_finished`: when is there nothing left to do?"""

import asyncio
from collections.abc import Awaitable, Callable
from logging import getLogger

from redis.exceptions import ResponseError

from shadows.amounts import counted
from shadows.connection import Argument, Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys
from shadows.scripts import FINISHED, UNFINISHED

from .intake import Intake
from .settle import Settler
from .slots import Slots

logger = getLogger("shadows.worker")


# A worker under load is idle for an instant between two batches; only what lasts longer is worth a question.
BETWEEN_BATCHES_SECONDS = 0.002


class Finish:
    """Looks when this worker becomes idle, and at each beat; other workers' tasks are waited for, too."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        slots: Slots,
        settler: Settler,
        release: Callable[[], Awaitable[None]],
        intake: Intake,
    ) -> None:
        """`release` brings back what was paused and may run; what `intake` does not serve is not waited for."""
        self._link = link
        beside = (keys.returned, keys.suspects, keys.waiting)
        self._keys = [keys.schedule, keys.unknown, keys.quarantine, keys.paused, *beside, *intake.streams]
        self._own = [keys.schedule, *beside, *intake.streams]
        self._prefix = keys.prefix
        self._intake = intake
        self._slots = slots
        self._settler = settler
        self._release = release
        self._looked = asyncio.Event()
        self._told = False

    def look(self) -> None:
        """Something changed."""
        self._looked.set()

    def _look_soon(self) -> None:
        asyncio.get_running_loop().call_later(BETWEEN_BATCHES_SECONDS, self.look)

    async def wait(self) -> None:
        """Returns when nothing is scheduled, waits or runs."""
        self._slots.on_idle = self._look_soon
        try:
            while True:
                self._looked.clear()
                if self._slots.idle and await self._finished() and self._slots.idle:
                    return
                await self._looked.wait()
        finally:
            self._slots.on_idle = None

    async def _finished(self) -> bool:
        try:
            ready, scheduled, parked, quarantined, paused = await self._link.run(FINISHED, self._keys, [])
            if paused:
                # What was just resumed is perhaps on its way back, by whomever: after this it is there.
                await self._release()
                ready, scheduled, parked, quarantined, paused = await self._link.run(FINISHED, self._keys, [])
            if (ready or scheduled) and self._intake.dedicated and not await self._own_left():
                ready = scheduled = 0
        except (ConnectionFailed, ServerRefused, ResponseError):
            return False
        if scheduled and not ready and not self._told:
            self._told = True
            logger.info(
                "%s scheduled for later and waited for; a Perpetual has no end.",
                counted(scheduled, "execution is", "executions are"),
            )
        if ready or scheduled:
            return False
        if parked or quarantined or paused:
            left = {
                f"{counted(parked, 'function')} whose entries wait for a worker that knows them": parked,
                counted(paused, "paused function"): paused,
                counted(quarantined, "quarantined entry", "quarantined entries"): quarantined,
            }
            told = " and ".join([words for words, count in left.items() if count])
            logger.warning("Finished, but for %s. See `shadows snapshot`.", told)
        return True

    async def _own_left(self) -> bool:
        """Whether anything is left of the priorities that this worker serves. What others must run would be waited for
        without end. What moves between two calls may be overseen, so then it takes a second look."""
        for _ in range(2):
            calls, place, after = 0, 1, "0"
            while place:
                arguments: list[Argument] = [self._prefix, self._intake.served, place, after]
                found, place, after = await self._link.run(UNFINISHED, self._own, arguments)
                if found:
                    return True
                calls += 1
            if calls == 1:
                break
        return False
