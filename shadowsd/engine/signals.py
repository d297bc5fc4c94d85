"""What other processes tell the workers at once: cancels, strikes, earlier due times, work to claim."""

from collections.abc import Callable
from logging import getLogger

from redis.exceptions import ResponseError

from shadows.connection import Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import GROUP, Keys
from shadows.strikes import Strikes

from .fetch import Reader
from .membership import Membership
from .pauses import Pauses
from .schedule import Scheduler
from .slots import Slots
from .watched import Watched

logger = getLogger("shadows.worker")


class Signals:
    """Hears one shadow's signals for one worker. A signal can be lost; each has a slower way to be noticed."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        slots: Slots,
        reader: Reader,
        scheduler: Scheduler,
        strikelist: Strikes,
        membership: Membership,
        changed: Callable[[], None],
        look_at_gates: Callable[[], None],
        watched: Watched,
        pauses: Pauses,
    ) -> None:
        self._link = link
        self._keys = keys
        self._slots = slots
        self._reader = reader
        self._scheduler = scheduler
        self._strikelist = strikelist
        self._membership = membership
        self._changed = changed
        self._look_at_gates = look_at_gates
        self._watched = watched
        self._pauses = pauses

    def hear(self, message: bytes | None) -> None:
        """Handles one message; None is a gap in which any may have been lost."""
        word, _, rest = (message or b"gap").partition(b" ")
        if word == b"cancel":
            self._slots.cancel(rest.partition(b"-")[0].decode())
        elif word == b"schedule":
            self._scheduler.wake()
        elif word == b"work":
            self._reader.look_beside()
        elif word == b"priorities":
            self._reader.use_priorities()
        elif word == b"watch":
            self._watched.watch(rest)
        elif word == b"gate":
            self._look_at_gates()
        elif word == b"strikes":
            self.reload_strikes(rest)
        elif word == b"gap":
            self._scheduler.wake()
            self._reader.look_beside()
            self._look_at_gates()
            self._membership.spawn(self._watched.catch_up())
            self._membership.spawn(self._catch_up())
        self._changed()

    def reload_strikes(self, version: bytes) -> None:
        """Reads the strikes when they are not those of `version`."""
        if self._strikelist.version is None or version.decode() != self._strikelist.version:
            self._membership.spawn(self._load_strikes())

    async def _load_strikes(self) -> None:
        try:
            await self._strikelist.load()
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("Reading the strikes failed; the next beat notices: %s", error)

    async def _catch_up(self) -> None:
        """After a gap: what runs here and is not pending for us any more was cancelled meanwhile."""
        await self._load_strikes()
        await self._pauses.release()
        try:
            for generation, running in tuple(self._slots.running.items()):
                entry = running.entry
                stream = self._keys.streams[entry.place - 1]
                held = await self._link.call("XPENDING", stream, GROUP, entry.id, entry.id, 1, entry.consumer)
                if not held:
                    self._slots.cancel(generation)
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("Looking for lost cancels failed; their outcomes won't count anyway: %s", error)
