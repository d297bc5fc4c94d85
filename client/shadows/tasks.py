"""Tasks that every `shadows worker` knows: to try things out, and to see that a deployment works."""

import asyncio
from datetime import UTC, datetime, timedelta
from logging import Logger, LoggerAdapter
from typing import Annotated, Any

from .annotations import Logged
from .dependencies import CurrentExecution, CurrentShadow, TaskLogger
from .durations import format_duration
from .execution import Execution

__all__ = ["fail", "sleep", "trace"]


async def trace(
    message: Annotated[str, Logged],
    logger: LoggerAdapter[Logger] = TaskLogger(),
    shadows: Any = CurrentShadow(),
    execution: Execution = CurrentExecution(),
) -> None:
    """Writes the message to the worker's log, with the way it took."""
    logger.info(said(message, shadows.name, execution))


async def fail(
    message: Annotated[str, Logged],
    shadows: Any = CurrentShadow(),
    execution: Execution = CurrentExecution(),
) -> None:
    """Fails with the message: to see where failures show up."""
    raise RuntimeError(said(message, shadows.name, execution))


async def sleep(seconds: Annotated[float, Logged], logger: LoggerAdapter[Logger] = TaskLogger()) -> None:
    """Keeps one slot of a worker for so long."""
    logger.info("Sleeping for %g s.", seconds)
    await asyncio.sleep(seconds)


def said(message: str, name: str, execution: Execution) -> str:
    """The message with its key, its shadow, when it was due, and who runs it."""
    due = execution.when or datetime.now(UTC)
    late = format_duration(timedelta(milliseconds=max(0, (datetime.now(UTC) - due) // timedelta(milliseconds=1))))
    return f"{message} (key {execution.key!r} of shadow {name!r}, due {late} ago, on worker {execution.worker})"
