"""What a worker is told by the daemon that hosts its process; a plain `Worker` has none of it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol


class Suspects(StrEnum):
    """What a worker does about entries that were in flight at two deaths."""

    ALONE = "alone"
    """It runs them with nothing else in flight, as a plain worker does."""
    NEVER = "never"
    """It leaves them to processes that were made for them."""
    ONLY = "only"
    """It runs one of them, and nothing else ever."""


class Ledger(Protocol):
    """Where a worker writes down, for somebody outside of its process, what it has in flight."""

    def named(self, consumer: str) -> None:
        """The worker goes by this name in Redis from now on."""

    def begin(self, generation: str, function: str, key: str) -> None:
        """A task is about to run."""

    def end(self, generation: str) -> None:
        """It does not run any more."""


@dataclass(frozen=True, slots=True)
class Hosting:
    """One child's part in its node."""

    ledger: Ledger
    node: str
    slot: int
    generation: int
    suspects: Suspects = Suspects.NEVER
    task_timeout: timedelta | None = None
