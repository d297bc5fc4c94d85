"""Perpetual tasks: each run is followed by the next one under the same key."""

from datetime import timedelta
from typing import Self

from uncalled_for import Provider

from shadows.dependencies.kinds import CompletionHandler, Outcome, Successor
from shadows.execution import Execution

NOTHING = timedelta(0)


class Perpetual(CompletionHandler, Provider[object]):
    """Runs the task again `every` so often, measured from start to start, whether it succeeds or fails.

    A run that takes longer than `every` is followed by the next one at once; they never overlap. With
    `automatic`, the workers start the task by themselves, so it must not require arguments.
    """

    single = True

    def __init__(self, every: timedelta = NOTHING, automatic: bool = False) -> None:
        if every < NOTHING:
            raise ValueError(f"Perpetual(every={every}) goes back in time; pass an interval of 0 or more.")
        self.every = every
        self.automatic = automatic
        self.cancelled = False

    async def __aenter__(self) -> Self:
        # A direct call of the function, in a test for example, may have cancelled the instance in the
        # signature.
        self.cancelled = False
        return self

    def cancel(self) -> None:
        """Make this run the last one."""
        self.cancelled = True

    def successor(self, duration: timedelta) -> Successor:
        """What follows a run that took `duration`; a struck run is skipped and took none."""
        return Successor(delay=max(NOTHING, self.every - duration))

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        return None if self.cancelled else self.successor(outcome.duration)
