"""`Agenda`: a batch of calls that is spread over a stretch of time, instead of coming all at once."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, overload

from .amounts import counted
from .execution import Execution, TaskCall
from .shadow import Shadow
from .states import Disposition

P = ParamSpec("P")

NOTHING = timedelta(0)


class Agenda:
    """Calls in the order in which they were added; `scatter` schedules them, as often as one likes."""

    def __init__(self) -> None:
        self._calls: list[TaskCall] = []

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[TaskCall]:
        return iter(tuple(self._calls))

    @overload
    def add(self, function: Callable[P, Any]) -> Callable[P, None]: ...
    @overload
    def add(self, function: str) -> Callable[..., None]: ...
    def add(self, function: Callable[..., Any] | str) -> Callable[..., None]:
        """Takes a call onto the agenda: `agenda.add(refresh)(customer_id)`. Nothing is sent."""

        def take(*args: Any, **kwargs: Any) -> None:
            self._calls.append(TaskCall(function, args, kwargs))

        return take

    async def scatter(
        self, shadow: Shadow, over: timedelta, start: datetime | None = None, jitter: timedelta | None = None
    ) -> list[Execution]:
        """Schedules all calls, evenly from `start` to `start + over`: the first at the start, the last at the end, and
        a single one in the middle. Returns their executions, in order.

        over: how long the whole takes; more than 0.
        start: an aware datetime; None is now.
        jitter: each is moved by up to so much, to either side, and never before the start.

        Raises ValueError for a time that can't be right. A call that can't be added (ArgumentsError and its kin) is
        raised when all others were; a note on it tells how many were scheduled.
        """
        if over <= NOTHING:
            raise ValueError(f"scatter(over={over}) leaves no time to spread over; pass more than 0.")
        if jitter is not None and jitter < NOTHING:
            raise ValueError(f"scatter(jitter={jitter}) is no distance; pass 0 or more.")
        if start is None:
            start = datetime.now(UTC)
        elif start.tzinfo is not None:
            # In its zone Python would count by what the clock on the wall shows, an hour off over a change of it.
            start = start.astimezone(UTC)
        moments = [scattered(at, start, jitter or NOTHING) for at in spread(len(self._calls), start, over)]
        executions = await shadow.add_many(
            call._replace(when=moment) for call, moment in zip(self._calls, moments, strict=True)
        )
        raise_failures(executions)
        return executions


def spread(count: int, start: datetime, over: timedelta) -> list[datetime]:
    """Evenly spaced moments from the start to the end."""
    if count == 1:
        return [start + over / 2]
    return [start + over * number / (count - 1) for number in range(count)]


def scattered(moment: datetime, start: datetime, jitter: timedelta) -> datetime:
    """The moment, moved by a random part of the jitter."""
    # Not for secrets: any spread will do.
    return max(start, moment + jitter * random.uniform(-1, 1))


def raise_failures(executions: list[Execution]) -> None:
    """Raises the first error of those that were not scheduled."""
    errors = [each.schedule_exception for each in executions if each.disposition is Disposition.FAILED]
    for error in errors:
        if error is not None:
            scheduled = len(executions) - len(errors)
            error.add_note(f"Scheduled: {scheduled} of the agenda's {counted(len(executions), 'call')}.")
            raise error
