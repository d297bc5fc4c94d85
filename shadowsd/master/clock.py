"""The master's clock for every deadline: monotonic, and standing still while the master itself did."""

from time import monotonic

# A pass that comes so much later than it was due means that the master, or the whole machine, was held up.
LATE_SECONDS = 1.0


class Clock:
    """Seconds in which this process could have acted. A master that was stopped for 20 s, or a paused machine, must
    not find every deadline passed when it comes back."""

    def __init__(self) -> None:
        self._lost = 0.0
        self._due = monotonic()
        # Children's stamps from before the master was late say nothing against them.
        self.late_until = 0.0

    def now(self) -> float:
        """Seconds, for deadlines of our own."""
        return monotonic() - self._lost

    def expect(self, seconds: float) -> None:
        """The next pass is due in so many seconds, if not sooner."""
        self._due = monotonic() + seconds

    def arrive(self) -> float:
        """A pass begins: how late it is; 0 when it is in time."""
        late = monotonic() - self._due
        if late < LATE_SECONDS:
            return 0.0
        self._lost += late
        self.late_until = monotonic()
        return late

    def silent_for(self, stamp: float) -> float:
        """How long ago a child's stamp is, as far as the master could see."""
        return max(0.0, monotonic() - max(stamp, self.late_until))
