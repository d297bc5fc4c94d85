"""Counts what a worker's events tell, in portions small enough to be pushed to whoever adds them up.

A child of the daemon pushes its portions to the master; a plain worker hands them to the thread that serves
its metrics. What could not be sent is put back, so that no count is lost.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final

import msgspec

from shadowsd.engine.events import (
    BeatCame,
    EntryParked,
    EntryQuarantined,
    Event,
    OutageBegan,
    OutcomesFenced,
    Reclaimed,
    ScheduledQuarantined,
    TaskEnded,
    TaskStarted,
)

# Upper bounds in seconds. Tasks have no time limit, hence the hours; when all is well a start is late by under 5 ms.
DURATION_BOUNDS: Final = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
PUNCTUALITY_BOUNDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
# How long a stopped or struck run lasted says nothing of its function.
TIMED: Final = frozenset(("completed", "failed", "retried"))

# Each name has some forty series. An application with more functions than this has made their names by a program.
MOST_FUNCTIONS = 500
OTHER: Final = "(other)"
LONGEST_NAME = 200
# A message on a local socket may carry about 200 KB; this leaves room for whatever else is in it.
MOST_BYTES = 60_000


class Histogram(msgspec.Struct, array_like=True):
    """How many values were at most each bound, not cumulated, and above the last; and their sum."""

    counts: list[int]
    total: float = 0.0

    @classmethod
    def over(cls, bounds: tuple[float, ...]) -> "Histogram":
        """An empty one."""
        return cls([0] * (len(bounds) + 1))

    def add(self, other: "Histogram") -> None:
        """Adds what another one over the same bounds counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class FunctionCounts(msgspec.Struct, array_like=True):
    """What was counted of one function."""

    outcomes: dict[str, int]
    duration: Histogram
    punctuality: Histogram

    @classmethod
    def new(cls) -> "FunctionCounts":
        """An empty one."""
        return cls({}, Histogram.over(DURATION_BOUNDS), Histogram.over(PUNCTUALITY_BOUNDS))

    def add(self, other: "FunctionCounts") -> None:
        """Adds what was counted elsewhere."""
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        self.duration.add(other.duration)
        self.punctuality.add(other.punctuality)


class Delta(msgspec.Struct, array_like=True):
    """What was counted since the last one; `msgspec.msgpack` encodes it and decodes it by this type."""

    functions: dict[str, FunctionCounts] = {}
    reclaims: int = 0
    reclaimed_tasks: int = 0
    fenced_outcomes: int = 0
    quarantined: int = 0
    parked: int = 0
    redelivered: int = 0
    redis_outages: int = 0
    log_lines_dropped: int = 0

    def add(self, other: "Delta") -> None:
        """Adds another one to this."""
        for name, counts in other.functions.items():
            self.functions.setdefault(name, FunctionCounts.new()).add(counts)
        for field in PLAIN:
            setattr(self, field, getattr(self, field) + getattr(other, field))

    @property
    def empty(self) -> bool:
        """Whether nothing happened."""
        return not self.functions and not any(getattr(self, field) for field in PLAIN)


# The numbers that belong to no function.
PLAIN: Final = tuple(field for field in Delta.__struct_fields__ if field != "functions")


class Names:
    """Which functions have labels of their own: the first so many. Others are counted together."""

    def __init__(self) -> None:
        self._labels: set[str] = set()

    def label(self, function: str) -> str:
        """The label of a function."""
        label = function if len(function) <= LONGEST_NAME else function[:LONGEST_NAME] + "..."
        if label not in self._labels:
            if len(self._labels) >= MOST_FUNCTIONS:
                return OTHER
            self._labels.add(label)
        return label


class Tally:
    """Observes one worker: `worker.events.observers.append(tally.observe)`. Belongs to the worker's loop."""

    def __init__(self, log_lines_dropped: Callable[[], int] = lambda: 0) -> None:
        """log_lines_dropped: how many lines the log of this process has lost since its beginning."""
        self._log_lines_dropped = log_lines_dropped
        self._dropped_before = 0
        self._names = Names()
        self._delta = Delta()
        # What the delta has under their labels, by the functions' whole names.
        self._functions: dict[str, FunctionCounts] = {}
        self._to_redis_seconds: float | None = None
        self._loop_lag_seconds = 0.0
        self._hear: dict[type, Callable[[Any], None]] = {
            TaskStarted: self._started, TaskEnded: self._ended, OutcomesFenced: self._fenced,
            Reclaimed: self._reclaimed, EntryParked: self._parked, EntryQuarantined: self._quarantined,
            ScheduledQuarantined: self._scheduled_quarantined, BeatCame: self._beat, OutageBegan: self._outage,
        }  # fmt: skip

    def observe(self, event: Event) -> None:
        """Counts one event."""
        hear = self._hear.get(type(event))
        if hear is not None:
            hear(event)

    def take(self) -> list[Delta]:
        """What was counted since the last time: none, one, or several when one would be too large to send."""
        taken, self._delta, self._functions = self._delta, Delta(), {}
        dropped = self._log_lines_dropped()
        taken.log_lines_dropped += dropped - self._dropped_before
        self._dropped_before = dropped
        return [] if taken.empty else split(taken)

    def restore(self, delta: Delta) -> None:
        """Puts back what could not be sent: it goes with the next."""
        self._delta.add(delta)

    def take_loop_lag_seconds(self) -> float:
        """By how much the loop was late at its worst beat since the last time."""
        lag, self._loop_lag_seconds = self._loop_lag_seconds, 0.0
        return lag

    def _counts(self, function: str) -> FunctionCounts:
        counts = self._delta.functions.setdefault(self._names.label(function), FunctionCounts.new())
        self._functions[function] = counts
        return counts

    def _started(self, event: TaskStarted) -> None:
        entry, at = event
        if entry.deliveries > 1:
            # It was due before its first run, so this one's lateness would tell how long that took.
            self._delta.redelivered += 1
            return
        if self._to_redis_seconds is None:
            return
        due = int(entry.generation) / 1e6 if entry.due is None else entry.due / 1000
        late = at + self._to_redis_seconds - due
        if late < 0.0:
            late = 0.0  # Redis's time is known to about a millisecond
        histogram = (self._functions.get(entry.function) or self._counts(entry.function)).punctuality
        histogram.counts[bisect_left(PUNCTUALITY_BOUNDS, late)] += 1
        histogram.total += late

    def _ended(self, event: TaskEnded) -> None:
        entry, outcome, lasted = event
        counts = self._functions.get(entry.function) or self._counts(entry.function)
        outcomes = counts.outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if outcome in TIMED:
            histogram = counts.duration
            histogram.counts[bisect_left(DURATION_BOUNDS, lasted)] += 1
            histogram.total += lasted

    def _fenced(self, event: OutcomesFenced) -> None:
        self._delta.fenced_outcomes += event.count

    def _reclaimed(self, event: Reclaimed) -> None:
        self._delta.reclaims += 1
        self._delta.reclaimed_tasks += event.taken
        self._delta.quarantined += event.quarantined

    def _parked(self, event: EntryParked) -> None:
        self._delta.parked += 1

    def _quarantined(self, event: EntryQuarantined) -> None:
        self._delta.quarantined += 1

    def _scheduled_quarantined(self, event: ScheduledQuarantined) -> None:
        self._delta.quarantined += event.count

    def _beat(self, event: BeatCame) -> None:
        self._to_redis_seconds = event.to_redis_seconds
        self._loop_lag_seconds = max(self._loop_lag_seconds, event.loop_lag_seconds)

    def _outage(self, event: OutageBegan) -> None:
        self._delta.redis_outages += 1


def split(delta: Delta) -> list[Delta]:
    """The same counts in portions of MOST_BYTES at most; functions are not divided."""
    portions = [msgspec.structs.replace(delta, functions={})]
    size = len(msgspec.msgpack.encode(portions[0]))
    for name, counts in delta.functions.items():
        takes = len(msgspec.msgpack.encode((name, counts)))
        if size + takes > MOST_BYTES:
            portions.append(Delta())
            size = len(msgspec.msgpack.encode(portions[-1]))
        portions[-1].functions[name] = counts
        size += takes
    return portions
