"""Where a worker takes new work from: one stream, and those of the other priorities once they are in use.

A blocking read can't tell how many it wants of all its streams together. So with priorities a script takes what is
ready, in their order, and the read only waits for the first that comes.
"""

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from shadows.connection import Argument
from shadows.keys import GROUP, HIGH, LOW, RETURNED, STREAM, SUSPECTS, Keys
from shadows.priorities import PRIORITIES, Priority, in_order

from .entries import Rows, number_of

# Where a look begins.
FIRST = "-"
# A look at so many that it takes several calls is followed by the next after so long for each of them: whoever serves
# none of ten thousand that wait costs Redis half a hundredth of its time then, and not three.
PAUSE_SECONDS = 0.25
PLACE_OF: dict[Priority, int] = {"high": HIGH, "normal": STREAM, "low": LOW}


class Intake:
    """The streams of one worker, in the order in which it reads them."""

    def __init__(self, keys: Keys, priorities: Iterable[Priority], clock: Callable[[], float] = monotonic) -> None:
        served = in_order(priorities)
        # Whether the worker leaves some priorities to others.
        self.dedicated = len(served) < len(PRIORITIES)
        # Whether more than the one stream is read, or another one.
        self.in_use = self.dedicated
        self.streams = {keys.streams[PLACE_OF[priority] - 1]: PLACE_OF[priority] for priority in served}
        self.served = " ".join(served) if self.dedicated else ""
        self._stream = keys.stream
        # Where all priorities lie together, a dedicated worker looks at a part with each call: where it goes on.
        self._after = {RETURNED: FIRST, SUSPECTS: FIRST}
        self._anew: set[int] = set()
        self._clock = clock
        self._calls = dict.fromkeys(self._after, 0)
        self._not_before = dict.fromkeys(self._after, 0.0)

    def look_anew(self) -> None:
        """Something was left since the last look began: another follows it."""
        self._anew = {*self._after}

    def asked(self, prefix: str, consumer: str, count: int, *places: int) -> list[Argument]:
        """The arguments of a claim at these places, and by default at all but the suspects'."""
        if not places:
            places = (RETURNED, *self.streams.values()) if self.in_use else (-STREAM, RETURNED)
        together = mixed(places)
        finished = not self._after[together]
        if finished and together in self._anew and self._clock() >= self._not_before[together]:
            self._anew.discard(together)
            self._after[together], self._calls[together] = FIRST, 0
        return [prefix, consumer, count, self.served, self._after[together], *places]

    def given(self, reply: list[Any], *places: int) -> tuple[Rows, bool]:
        """What a claim at these places gave, and whether there may be more."""
        *given, after, more = reply
        together = mixed(places)
        self._after[together] = after.decode()
        if after:
            self._calls[together] += 1
            self._not_before[together] = self._clock() + PAUSE_SECONDS * self._calls[together]
        return [(number_of(id), fields, place, deliveries) for place, id, fields, deliveries in given], bool(more)

    def read(self, consumer: str, free: int, block_ms: int) -> list[Argument]:
        """The blocking read of new work."""
        streams = list(self.streams) if self.in_use else [self._stream]
        count = 1 if self.in_use else free
        return [
            "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "BLOCK", block_ms,
            "STREAMS", *streams, *[">" for _ in streams],
        ]  # fmt: skip

    def rows(self, reply: Any) -> Rows:
        """What a read brought; none when it ended without any."""
        rows: Rows = []
        for stream, entries in reply or ():
            place = self.streams[stream.decode()]
            rows += [(number_of(id), fields, place, 1) for id, fields in entries]
        return rows


def mixed(places: tuple[int, ...]) -> int:
    """The place among these where all priorities lie together."""
    return SUSPECTS if SUSPECTS in places else RETURNED
