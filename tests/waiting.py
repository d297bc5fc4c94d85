"""Wait for something by its name, with a limit: the only way that tests wait."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

# Longer than anything takes on a busy machine: who waits this long has found a bug, and wants its name.
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.002


async def wait_until[T](condition: Callable[[], T | Awaitable[T]], name: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Look again until the condition, a plain or an async function, holds; what it returned then."""
    deadline = time.monotonic() + seconds
    while True:
        seen: Any = condition()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            result: T = seen
            return result
        if time.monotonic() > deadline:
            raise _missed(name, seconds, seen)
        await asyncio.sleep(PAUSE_SECONDS)


def wait_for[T](condition: Callable[[], T], name: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The same for a test without a loop."""
    deadline = time.monotonic() + seconds
    while not (seen := condition()):
        if time.monotonic() > deadline:
            raise _missed(name, seconds, seen)
        time.sleep(PAUSE_SECONDS)
    return seen


def _missed(name: str, seconds: float, seen: object) -> AssertionError:
    return AssertionError(f"waited {seconds:g} s in vain until {name}; the condition last gave {seen!r}")
