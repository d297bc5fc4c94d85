"""Retries: how often a failed task is called again, and after which delay."""

import random
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Self

from uncalled_for import Provider

from shadows.dependencies.context import running_execution
from shadows.dependencies.kinds import FailureHandler, Outcome, Successor
from shadows.durations import format_duration
from shadows.execution import Execution

NOTHING = timedelta(0)

# Beyond 2 ** 62 seconds no `timedelta` goes, and a float would overflow at 2 ** 1024: a task that is retried
# for ever gets there.
LAST_DOUBLING = 62


class RetryRequested(Exception):
    """Raised by `retry.after`, `at` and `in_` to leave the task. Let it pass: caught, it is no retry any
    more.

    It is an Exception, so that a session or a transaction that the task uses rolls back on its way out.
    """

    def __init__(self, delay: timedelta | None = None, when: datetime | None = None) -> None:
        super().__init__(delay, when)
        self.delay = delay
        self.when = when

    def __str__(self) -> str:
        time = f"at {self.when.isoformat()}" if self.when else f"in {format_duration(self.delay or NOTHING)}"
        return f"The task asked to be called again {time}; where it was not, its Retry had no attempts left."


class Retry(FailureHandler, Provider[object]):
    """Calls a failed task again after `delay`, until it was called `attempts` times; None is for ever.

    In the task, `attempt` counts its calls from 1.
    """

    single = True

    def __init__(self, attempts: int | None = 1, delay: timedelta = NOTHING) -> None:
        if attempts is not None and attempts < 1:
            raise ValueError(
                f"{type(self).__name__}(attempts={attempts}) would never call the task. `attempts` counts "
                f"all calls: pass 1 or more, or None to retry for ever."
            )
        if delay < NOTHING:
            raise ValueError(f"The delay of {type(self).__name__} is {delay}; pass a delay of 0 or more.")
        self.attempts = attempts
        self.delay = delay
        self.attempt = 1

    async def __aenter__(self) -> Self:
        self.attempt = running_execution(type(self).__name__).attempt
        return self

    def delay_after(self, attempt: int) -> timedelta:
        """How long the task waits between call number `attempt` and the next one."""
        return self.delay

    def after(self, delay: timedelta) -> NoReturn:
        """Leave the task now, to be called again after `delay`; it counts as one of the attempts."""
        raise RetryRequested(delay=max(delay, NOTHING))

    def in_(self, delay: timedelta) -> NoReturn:
        """The same as `after`."""
        self.after(delay)

    def at(self, when: datetime) -> NoReturn:
        """Leave the task now, to be called again at `when`; it counts as one of the attempts."""
        if when.tzinfo is None:
            raise ValueError(
                f"retry.at({when!r}) has no timezone, so the instant is unknown. Pass an aware datetime, "
                f"such as datetime.now(timezone.utc) + timedelta(minutes=5)."
            )
        raise RetryRequested(when=when.astimezone(UTC))

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        if self.attempts is not None and execution.attempt >= self.attempts:
            return None
        if isinstance(outcome.exception, RetryRequested):
            return Successor(delay=outcome.exception.delay, when=outcome.exception.when)
        return Successor(delay=self.delay_after(execution.attempt))


class ExponentialRetry(Retry):
    """A `Retry` whose delay starts at `minimum_delay` and doubles with each attempt, up to `maximum_delay`.

    With `jitter`, a share from 0 to 1, that share of each delay is left to chance, so that tasks which failed
    together don't all come back together; a delay only gets shorter by it.
    """

    def __init__(
        self,
        attempts: int | None = 1,
        minimum_delay: timedelta = timedelta(seconds=1),
        maximum_delay: timedelta = timedelta(seconds=64),
        jitter: float = 0.0,
    ) -> None:
        super().__init__(attempts, minimum_delay)
        if maximum_delay < minimum_delay:
            raise ValueError(
                f"maximum_delay={maximum_delay} is less than minimum_delay={minimum_delay}. Pass a "
                f"maximum_delay that is at least the minimum_delay."
            )
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter={jitter} is not a share. Pass 0 (none) to 1 (from no delay to the whole delay).")
        self.minimum_delay = minimum_delay
        self.maximum_delay = maximum_delay
        self.jitter = jitter

    def delay_after(self, attempt: int) -> timedelta:
        doubled = self.minimum_delay.total_seconds() * 2.0 ** min(attempt - 1, LAST_DOUBLING)
        seconds = min(doubled, self.maximum_delay.total_seconds())
        # Not for secrets: any spread will do.
        return timedelta(seconds=seconds * (1 - self.jitter * random.random()))
