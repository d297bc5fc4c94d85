"""Retries: how often a failed task is called again, and after which delay."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self

from uncalled_for import Provider

from shadows.dependencies.context import DependencyFailed, running_execution
from shadows.dependencies.kinds import FailureHandler, Outcome, Successor
from shadows.durations import format_duration
from shadows.execution import Execution

NOTHING = timedelta(0)

type Types = type[Exception] | tuple[type[Exception], ...]

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

    on: only failures of these types are retried, as `on=(ConnectionError, TimeoutError)`; None is all.
    unless: failures of these types are not.

    In the task, `attempt` counts its calls from 1. What the task asks for by `after`, `at` or `in_` is a retry of any
    type. The failure of a dependency has the type of what the dependency raised, and a group those of its members.
    """

    single = True

    def __init__(
        self, attempts: int | None = 1, delay: timedelta = NOTHING, *, on: Types | None = None, unless: Types = ()
    ) -> None:
        if attempts is not None and attempts < 1:
            raise ValueError(
                f"{type(self).__name__}(attempts={attempts}) would never call the task. `attempts` counts "
                f"all calls: pass 1 or more, or None to retry for ever."
            )
        if delay < NOTHING:
            raise ValueError(f"The delay of {type(self).__name__} is {delay}; pass a delay of 0 or more.")
        self.attempts = attempts
        self.delay = delay
        self.on = self._types("on", on) if on is not None else None
        self.unless = self._types("unless", unless)
        self.attempt = 1

    def _types(self, name: str, given: Types) -> tuple[type[Exception], ...]:
        types = given if isinstance(given, tuple) else (given,)
        for each in types:
            if not (isinstance(each, type) and issubclass(each, Exception)):
                raise ValueError(
                    f"{type(self).__name__}({name}=...) has {each!r}, which is no type of exception. Pass one, or a "
                    f"tuple of them, such as {name}=(ConnectionError, TimeoutError)."
                )
        return types

    @classmethod
    def forever(cls, delay: timedelta = NOTHING, **options: Any) -> Self:
        """The same with `attempts=None`."""
        return cls(None, delay, **options)

    async def __aenter__(self) -> Self:
        self.attempt = running_execution(type(self).__name__).attempt
        return self

    def covers(self, error: BaseException | None) -> bool:
        """Whether a failure is one of those that are retried."""
        if isinstance(error, DependencyFailed) and error.__cause__ is not None:
            error = error.__cause__
        return (self.on is None or is_any_of(error, self.on)) and not is_any_of(error, self.unless)

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
        if not self.covers(outcome.exception):
            return None
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
        *,
        on: Types | None = None,
        unless: Types = (),
    ) -> None:
        super().__init__(attempts, minimum_delay, on=on, unless=unless)
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

    @classmethod
    def forever(cls, delay: timedelta = timedelta(seconds=1), **options: Any) -> Self:
        """The same with `attempts=None` and `minimum_delay=delay`."""
        return cls(None, delay, **options)

    def delay_after(self, attempt: int) -> timedelta:
        doubled = self.minimum_delay.total_seconds() * 2.0 ** min(attempt - 1, LAST_DOUBLING)
        seconds = min(doubled, self.maximum_delay.total_seconds())
        # Not for secrets: any spread will do.
        return timedelta(seconds=seconds * (1 - self.jitter * random.random()))


def is_any_of(error: BaseException | None, types: tuple[type[Exception], ...]) -> bool:
    """Whether `error`, or a member of the group that it is, is of one of the types."""
    if isinstance(error, BaseExceptionGroup):
        return isinstance(error, types) or any(is_any_of(member, types) for member in error.exceptions)
    return isinstance(error, types)
