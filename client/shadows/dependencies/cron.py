"""`Cron`: a perpetual task that runs at the moments of a cron expression."""

from datetime import UTC, datetime, timedelta, tzinfo

from shadows.dependencies.kinds import Successor
from shadows.dependencies.moments import Moments
from shadows.dependencies.perpetual import Perpetual


class Cron(Perpetual):
    """Runs the task at the moments of `expression`, by the clock of the time zone `tz`.

    Moments that pass while a run lasts, or while no worker is there, are skipped: what was missed is one run. The
    workers start the task by themselves, at its next moment, so that it must not require arguments; with
    `automatic=False` it starts when it is added. What else a `Perpetual` can do, it can.
    """

    def __init__(self, expression: str, automatic: bool = True, tz: tzinfo = UTC) -> None:
        """ValueError for an expression that can't be read, or is never true."""
        super().__init__(automatic=automatic)
        self.expression = expression
        self.tz = tz
        self._moments = Moments(expression, tz)

    def next(self, after: datetime | None = None) -> datetime:
        """The first moment after `after`, or after now."""
        return self._moments.after(after or datetime.now(UTC))

    def first(self) -> datetime:
        return self.next()

    def successor(self, duration: timedelta, due: datetime | None = None) -> Successor:
        # A host whose clock is behind begins a run before it is due by that clock: from now it would find the same
        # moment again.
        now = datetime.now(UTC)
        return Successor(when=self.next(max(now, due) if due is not None else now))
