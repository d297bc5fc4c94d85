"""What happens in a worker, told to whoever observes it: metrics, logs, traces, tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from .entries import Entry


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A run ended; `outcome` is completed, failed, cancelled, retried, struck or handed back."""

    entry: Entry
    outcome: str
    duration: timedelta


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
class EntryQuarantined:
    """An entry can't run and was set aside."""

    key: str
    function: str
    cause: str


@dataclass(frozen=True, slots=True)
class OutageBegan:
    """Redis does not answer, or takes no writes."""

    error: str


@dataclass(frozen=True, slots=True)
class OutageEnded:
    """Redis is back."""

    lasted: timedelta


type Event = TaskEnded | OutcomesFenced | Reclaimed | EntryQuarantined | OutageBegan | OutageEnded
type Observer = Callable[[Event], None]


class Events:
    """The observers of one worker. Without any, nothing is made and nothing is called."""

    __slots__ = ("observers",)

    def __init__(self) -> None:
        self.observers: list[Observer] = []

    def emit(self, event: Event) -> None:
        """Tells every observer."""
        for observer in self.observers:
            observer(event)
