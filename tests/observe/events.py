"""Events as an engine emits them, without one."""

from typing import Any

from shadows.keys import STREAM
from shadowsd.engine.entries import Entry
from shadowsd.engine.events import TaskEnded, TaskStarted


def entry_of(
    function: str = "job", *, placed_at: float = 1000.0, due_at: float | None = None, deliveries: int = 1
) -> Entry:
    """An entry that was placed, and perhaps due, at these seconds of Redis's clock."""
    fields = [b"k", b"key", b"f", function.encode(), b"p", b""]
    if due_at is not None:
        fields += [b"w", str(due_at * 1000).encode()]
    return Entry(STREAM, str(round(placed_at * 1e6)), fields, deliveries, "w#1")


def started(at_seconds: float, function: str = "job", **entry: Any) -> TaskStarted:
    return TaskStarted(entry_of(function, **entry), at_seconds)


def ended(outcome: str = "completed", lasted_seconds: float = 0.02, function: str = "job") -> TaskEnded:
    return TaskEnded(entry_of(function), outcome, lasted_seconds)
