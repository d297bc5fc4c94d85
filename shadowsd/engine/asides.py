"""What a worker can't run: parked for one that can, or quarantined with the cause."""

from collections.abc import Callable
from logging import getLogger

from shadows.amounts import counted
from shadows.codec.envelope import FORMAT
from shadows.connection import Argument, Link
from shadows.errors import ConnectionFailed, NewerFormat, ServerRefused
from shadows.keys import PLACES, RETURNED, Keys
from shadows.records import moment
from shadows.registry import Registry
from shadows.scripts import PARK, QUARANTINE, UNPARK, Script

from .entries import Entry, number_of
from .events import EntryParked, EntryQuarantined, Events
from .outage import Outage

logger = getLogger("shadows.worker")

# Entries of a newer format wait under a name that no function can have.
NEWER = "\0format "
# What an older release parked so and this one reads.
READABLE = frozenset(f"{NEWER}{version}" for version in range(1, FORMAT + 1))
# What the script answers when an entry need not wait.
NOT_PAUSED = 2
# How many parked entries are looked at for their age at a time.
PAGE = 100


class Asides:
    """Moves entries out of the way of one worker, and back."""

    def __init__(
        self, link: Link, keys: Keys, outage: Outage, events: Events, ttl_ms: int, timeout_ms: int,
        runs_any: bool = False,
    ) -> None:  # fmt: skip
        """`runs_any`: the worker has a fallback for names that it does not know."""
        self._link = link
        self._keys = keys
        self._outage = outage
        self._events = events
        self._ttl_ms = ttl_ms
        self._timeout_ms = timeout_ms
        self._runs_any = runs_any
        self._told: set[str] = set()

    async def park(self, entry: Entry, registry: Registry) -> None:
        """Parks an entry whose function nobody here knows; says so once for each name."""
        if entry.function not in self._told:
            self._told.add(entry.function)
            logger.warning(
                "The function %r (key %r) is not known to this worker; its entries wait for a worker that knows it. %s",
                entry.function,
                entry.key,
                registry.explain_unknown(entry.function),
            )
        await self._park(entry, entry.function)

    async def park_newer(self, entry: Entry, error: NewerFormat) -> None:
        """Parks an entry that a newer release wrote."""
        name = f"{NEWER}{error.version}"
        if name not in self._told:
            self._told.add(name)
            logger.warning("The entry with key %r waits for a newer worker. %s", entry.key, error)
        await self._park(entry, name)

    def can_run(self, name: str, registry: Registry) -> bool:
        """Whether this worker can run what is parked under `name`."""
        return name in registry or name in READABLE or (self._runs_any and not name.startswith(NEWER))

    async def _park(self, entry: Entry, name: str) -> None:
        keys = self._keys
        if await self._move(entry, keys.parked(name), keys.unknown, name, b""):
            self._events.emit(EntryParked(entry.key, entry.function))

    async def _move(self, entry: Entry, parked: str, index: str, name: str, pause: bytes) -> int:
        keys = self._keys
        (answer,) = await self._insist(
            PARK,
            [
                keys.prefix + PLACES[entry.place - 1],
                parked,
                index,
                keys.generation,
                keys.record(entry.key),
                keys.stream,
                keys.strikes,
            ],
            [parked.removeprefix(keys.prefix), entry.generation, entry.consumer, name, pause],
        )
        return answer

    async def hold(self, entry: Entry, pause: bytes) -> bool:
        """Sets an entry of a paused function aside; False when it is not paused any more, and may run."""
        keys, name = self._keys, entry.function
        return await self._move(entry, keys.held(name), keys.paused, name, pause) != NOT_PAUSED

    async def unpark(self, name: str) -> None:
        """Brings back what waits for a function that this worker knows."""
        if await self._bring_back(self._keys.parked(name), self._keys.unknown, name):
            logger.info("Entries of the function %r, which had waited for it, came back.", name)

    async def release(self, holds: Callable[[str], bool]) -> None:
        """Brings back what waits though its function is not paused any more. It may be done by many at once."""
        for raw in await self._link.call("ZRANGE", self._keys.paused, 0, -1):
            name = raw.decode(errors="surrogateescape")
            if not holds(name) and await self._bring_back(self._keys.held(name), self._keys.paused, name):
                logger.info("The function %r was resumed; its entries came back.", name)

    async def _bring_back(self, parked: str, index: str, name: str) -> bool:
        keys = self._keys
        names = [parked, index, keys.streams[RETURNED - 1], keys.generation, keys.stream]
        came = False
        while await self._link.run(UNPARK, names, [keys.prefix, name]):
            came = True
        return came

    async def expire(self, name: str, now: float) -> None:
        """Quarantines what has waited too long for its function."""
        parked = self._keys.parked(name)
        entries = await self._link.call("XRANGE", parked, "-", "+", "COUNT", PAGE)
        if not entries:
            await self.unpark(name)  # all of them were cancelled: this removes what held them
        for id, fields in entries:
            generation = number_of(id)
            values = dict(zip(fields[::2], fields[1::2], strict=False))
            # Its number is from when it was parked; its submission may be much older.
            parked_at = int(generation.partition("-")[0]) / 1000
            if now - parked_at >= self._timeout_ms:
                cause = f"no worker knew its function {name!r} since {moment(parked_at):%Y-%m-%d %H:%M:%S} UTC"
                await self._quarantine(
                    parked, generation, "", values.get(b"k", b"").decode(errors="replace"), name, cause
                )

    async def quarantine(self, entry: Entry, cause: str) -> None:
        """Sets an entry of this worker aside for good."""
        stream = self._keys.streams[entry.place - 1]
        await self._quarantine(stream, entry.generation, entry.consumer, entry.key, entry.function, cause)

    async def quarantine_damaged(self, place: int, generation: str, consumer: str, cause: str) -> None:
        """Sets aside an entry of which not even the key can be read."""
        await self._quarantine(self._keys.streams[place - 1], generation, consumer, "", "?", cause)

    async def _quarantine(
        self, stream: str, generation: str, consumer: str, key: str, function: str, cause: str
    ) -> None:
        keys = self._keys
        done, pushed_out = await self._insist(
            QUARANTINE,
            [stream, keys.quarantine, keys.record(key)],
            [keys.prefix, generation, consumer, cause, self._ttl_ms, key],
        )
        if done:
            logger.error(
                "%s with key %r can't run and is in the quarantine (see `shadows quarantine ls`): %s",
                function,
                key,
                cause,
            )
            self._events.emit(EntryQuarantined(key, function, cause))
        tell_pushed_out(pushed_out)

    async def _insist(self, script: Script, keys: list[str], arguments: list[Argument]) -> list[int]:
        """Runs a script until it comes through; sent twice, it finds the entry gone and does nothing."""
        while True:
            try:
                reply = await self._link.run(script, keys, arguments)
            except (ConnectionFailed, ServerRefused) as error:
                await self._outage.failed("setting aside", error)
            else:
                self._outage.worked("setting aside")
                return reply if isinstance(reply, list) else [reply]


def tell_pushed_out(count: int) -> None:
    """Says that the quarantine's limits deleted its oldest entries, whichever script applied them."""
    if count:
        logger.error(
            "The quarantine holds 10 000 entries, for 30 days; its %s deleted.",
            counted(count, "oldest was", "oldest were"),
        )
