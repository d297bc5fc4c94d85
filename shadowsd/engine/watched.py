"""Keys whose runs somebody follows: of these a worker announces that a run begins. Nobody else pays for it."""

from logging import getLogger
from time import monotonic

from redis.exceptions import ResponseError

from shadows.connection import Link
from shadows.errors import ConnectionFailed, ServerRefused
from shadows.keys import Keys

from .entries import Entry
from .membership import Membership

logger = getLogger("shadows.worker")

# Who follows asks again well before.
WATCHED_SECONDS = 60.0
# Whoever asks for more pushes the oldest out: he hears of his run when it ends.
MOST_WATCHED = 1000


class Watched:
    """The keys that one worker announces."""

    def __init__(self, link: Link, keys: Keys, membership: Membership) -> None:
        self._link = link
        self._keys = keys
        self._membership = membership
        self._until: dict[bytes, float] = {}

    def watch(self, key: bytes) -> None:
        """Announces the runs of a key for a minute."""
        self._until.pop(key, None)
        self._until[key] = monotonic() + WATCHED_SECONDS
        while len(self._until) > MOST_WATCHED:
            del self._until[next(iter(self._until))]

    async def load(self) -> None:
        """Reads what others asked for before this worker listened."""
        for key in await self._link.ask("ZRANGE", self._keys.watched, -MOST_WATCHED, -1):
            self.watch(key)

    async def catch_up(self) -> None:
        """The same after a gap."""
        try:
            await self.load()
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("Reading which keys are followed failed; who follows asks again: %s", error)

    def begins(self, entry: Entry) -> None:
        """A run begins; says so when somebody follows it."""
        if not self._until:
            return
        until = self._until.get(entry.key.encode())
        if until is not None and until > monotonic():
            self._membership.spawn(self._announce(entry))

    async def _announce(self, entry: Entry) -> None:
        try:
            await self._link.call("PUBLISH", self._keys.events(entry.key), f"{entry.submission} running")
        except (ConnectionFailed, ServerRefused, ResponseError) as error:
            logger.debug("The start of %r was not announced, and shows at the next look: %s", entry.key, error)
