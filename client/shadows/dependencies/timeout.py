"""A time limit for one run of a task."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Self

from uncalled_for import Provider

from shadows.dependencies.kinds import Runtime
from shadows.durations import format_duration
from shadows.execution import Execution

NOTHING = timedelta(0)


class Timeout(Runtime, Provider[object]):
    """Cancels the task when it has run for `base`: it fails with TimeoutError. For `async def` tasks only."""

    single = True

    def __init__(self, base: timedelta) -> None:
        if base <= NOTHING:
            raise ValueError(f"Timeout({base}) leaves the task no time; pass more than 0.")
        self.base = base
        self._allowed = base
        self._limit: asyncio.Timeout | None = None

    async def __aenter__(self) -> Self:
        return self

    async def run(self, execution: Execution, call: Callable[[], Awaitable[object]]) -> object:
        try:
            async with asyncio.timeout(self.base.total_seconds()) as self._limit:
                return await call()
        except TimeoutError as error:
            # The task's own TimeoutError, of a request for example, is not ours to rename.
            if self._limit is None or not self._limit.expired():
                raise
            raise TimeoutError(self.reason(execution.function_name)) from error

    def reason(self, function_name: str) -> str:
        """What the TimeoutError of a task says."""
        return (
            f"{function_name} was cancelled because it ran for longer than its Timeout of "
            f"{format_duration(self._allowed)}. Give it more time, or call extend() in the task."
        )

    def extend(self, by: timedelta | None = None) -> None:
        """Move the deadline `by` so much further, or by the base once more."""
        by = self.base if by is None else by
        if by < NOTHING:
            raise ValueError(f"extend({by}) would bring the deadline closer; pass 0 or more.")
        deadline = self._limit and self._limit.when()
        if self._limit is None or deadline is None:
            # Nothing is timed: the function was called directly, and its Timeout is the one in the signature.
            return
        self._limit.reschedule(deadline + by.total_seconds())
        self._allowed += by

    def remaining(self) -> timedelta:
        """The time until the deadline, 0 when it is over."""
        deadline = self._limit and self._limit.when()
        if deadline is None:
            return self.base
        return max(NOTHING, timedelta(seconds=deadline - asyncio.get_running_loop().time()))
