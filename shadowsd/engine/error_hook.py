"""`on_error`: tells somebody outside, such as an error tracker, of each run that failed.

It only watches: what it raises is logged, and neither it nor the time that it takes changes an outcome.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from logging import getLogger
from typing import Any

from shadows.errors import ConfigurationError
from shadows.execution import Execution

logger = getLogger("shadows.worker")

type OnError = Callable[[Execution, BaseException, bool], Awaitable[object] | object]

# An error tracker that does not answer must not gather a coroutine for each failure for ever.
LONGEST_SECONDS = 30.0
EXPECTED = "expected a function, async or not, that takes the execution, the exception, and whether it will be retried"


class ErrorHook:
    """Calls one worker's `on_error`."""

    def __init__(self, hook: OnError, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`spawn` runs what an async hook does on the side."""
        self._hook = hook
        self._spawn = spawn

    def tell(self, execution: Execution, error: BaseException, will_retry: bool) -> None:
        """A run failed; for the last time unless it is retried."""
        try:
            told = self._hook(execution, error, will_retry)
        except Exception as failure:
            self._report(execution, failure)
        else:
            if inspect.isawaitable(told):
                self._spawn(self._wait(execution, told))

    async def _wait(self, execution: Execution, told: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await told
        except Exception as failure:
            self._report(execution, failure)

    def _report(self, execution: Execution, failure: Exception) -> None:
        logger.error(
            "on_error failed when it was told of %s with key %r, whose outcome stays as it was.",
            execution.function_name, execution.key, exc_info=failure,
        )  # fmt: skip


def check_hook(hook: object) -> None:
    """Raises ConfigurationError when a hook can't be called as it will be."""
    if not callable(hook):
        raise ConfigurationError(f"on_error is {hook!r}, which can't be called; {EXPECTED}.")
    try:
        inspect.signature(hook).bind(None, None, False)
    except TypeError as error:
        raise ConfigurationError(
            f"on_error is {hook!r}, which can't be called with them ({error}); {EXPECTED}."
        ) from None
    except ValueError:
        return  # some functions written in C don't tell
