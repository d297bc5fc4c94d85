"""`--task-timeout`: a limit for tasks whose signature declares none."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from shadows.durations import format_duration


async def limited(limit: timedelta, function_name: str, call: Callable[[], Awaitable[Any]]) -> Any:
    """Awaits the call, and cancels it when it takes longer; raises TimeoutError then."""
    try:
        async with asyncio.timeout(limit.total_seconds()) as deadline:
            return await call()
    except TimeoutError as error:
        # The task's own TimeoutError, of a request for example, is not ours to rename.
        if not deadline.expired():
            raise
        raise TimeoutError(
            f"{function_name} was cancelled because it ran for longer than --task-timeout, {format_duration(limit)}. "
            "Give the task a Timeout of its own, or all tasks more time."
        ) from error
