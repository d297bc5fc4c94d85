"""What one worker does when functions are paused and resumed.

A paused shadow is not read from; a paused function's entries are set aside when they come. Any worker brings them back
once they may run: whoever resumed may be gone by then.
"""

from collections.abc import Callable
from logging import getLogger

from redis.exceptions import ResponseError

from shadows.errors import ConnectionFailed, ServerRefused
from shadows.strikes import PAUSE, Strike, Strikes

from .asides import Asides
from .membership import Membership
from .slots import Running, Slots
from .verdicts import Verdicts

logger = getLogger("shadows.worker")


class Pauses:
    """Holds entries back, and lets them go, for one worker."""

    def __init__(
        self, strikes: Strikes, slots: Slots, verdicts: Verdicts, asides: Asides, membership: Membership
    ) -> None:
        self._strikes = strikes
        self._slots = slots
        self._verdicts = verdicts
        self._asides = asides
        self._membership = membership

    def serve(self, look_beside: Callable[[], None]) -> None:
        """What to call when there may be something to read again."""
        self._look_beside = look_beside

    async def hold(self, running: Running) -> bool:
        """Whether the entry of a run that is about to begin has to wait; it has left its slot then."""
        entry = running.entry
        if not self._strikes.holds(entry.function):
            return False
        if None in self._strikes.paused:
            # It was on its way when everything was paused; nobody claims it before the end of that.
            self._verdicts.not_begun(running)
            return True
        held = True
        try:
            held = await self._asides.hold(entry, self._strikes.field_of(Strike(entry.function, None, PAUSE, None)))
        finally:
            # Cancelled meanwhile, it has left, or is pending still and handed over when the worker signs off.
            if held:
                self._slots.finish(running, settles=False)
        return held

    def changed(self) -> None:
        """Others are paused than before."""
        self._look_beside()
        self._membership.spawn(self.release())

    async def release(self) -> None:
        """Brings back what waits and may run."""
        try:
            await self._asides.release(self._strikes.holds)
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("Bringing back what was paused failed; the next connection tries again: %s", error)
