"""What happens in a worker, told to whoever observes it: metrics, logs, traces, tests.

Each task has the first two of them, so these are named tuples with bare seconds: as frozen dataclasses with a
`timedelta` they took a microsecond more a task.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from logging import getLogger
from typing import NamedTuple

from .entries import Entry

logger = getLogger("shadows.worker")


class TaskStarted(NamedTuple):
    """A run began, at `at_seconds` of the monotonic clock; `entry` tells when it was due, and if it is redelivered."""

    entry: Entry
    at_seconds: float


class TaskEnded(NamedTuple):
    """A run ended; `outcome` is completed, failed, cancelled, retried, handed back or lost, as with the lease. What is
    struck ends as cancelled without having started."""

    entry: Entry
    outcome: str
    lasted_seconds: float


@dataclass(frozen=True, slots=True)
class OutcomesFenced:
    """Outcomes of this worker were refused, because it had lost the entries."""

    count: int


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """A dead worker's entries were taken over."""

    consumer: str
    taken: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class EntryParked:
    """An entry waits for a worker that knows its function, or its format."""

    key: str
    function: str


@dataclass(frozen=True, slots=True)
class EntryQuarantined:
    """An entry can't run and was set aside."""

    key: str
    function: str
    cause: str


@dataclass(frozen=True, slots=True)
class ScheduledQuarantined:
    """Scheduled executions had lost their records, and were set aside when they were due."""

    count: int


@dataclass(frozen=True, slots=True)
class BeatCame:
    """A beat was answered: how late the loop heard of it, and what to add to the monotonic clock for Redis's time."""

    loop_lag_seconds: float
    to_redis_seconds: float


@dataclass(frozen=True, slots=True)
class OutageBegan:
    """Redis does not answer, or takes no writes."""

    error: str


@dataclass(frozen=True, slots=True)
class OutageEnded:
    """Redis is back."""

    lasted: timedelta


type Event = (
    TaskStarted
    | TaskEnded
    | OutcomesFenced
    | Reclaimed
    | EntryParked
    | EntryQuarantined
    | ScheduledQuarantined
    | BeatCame
    | OutageBegan
    | OutageEnded
)
type Observer = Callable[[Event], None]


class Events:
    """The observers of one worker. Without any, nothing is made and nothing is called."""

    __slots__ = ("observers",)

    def __init__(self) -> None:
        self.observers: list[Observer] = []

    def emit(self, event: Event) -> None:
        """Tells every observer. One that fails is told nothing more: it must neither fail the task that it was told
        of, nor fill the log at each one that follows."""
        for observer in self.observers:
            try:
                observer(event)
            except Exception:
                logger.exception("An observer failed at %s and is told nothing more.", type(event).__name__)
                self.observers = [other for other in self.observers if other is not observer]
