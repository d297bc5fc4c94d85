"""What a dependency may know about the task run that it is resolved for.

The worker makes one `TaskContext` per run and sets `current`; declarations read it when they are entered. The
shadow and the worker are plain objects here: their classes live on higher floors, and this one must not
import them.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from shadows.errors import ShadowsError
from shadows.execution import Execution

TASK_LOGGER = logging.getLogger("shadows.task")


class DependencyFailed(ShadowsError):
    """A dependency of the task failed, so the task was not called. Correct the cause, chained to this."""


class SharedValues(Protocol):
    """The worker's store of `Shared` values."""

    async def value(self, factory: Callable[..., Any]) -> Any: ...


class TaskContext(msgspec.Struct, frozen=True):
    """One run of a task. `execution` is None while a `Shared` factory runs: its value outlives every task."""

    shadow: object
    worker: object
    execution: Execution | None
    shared: SharedValues | None = None
    logger: logging.Logger = TASK_LOGGER


current: ContextVar[TaskContext] = ContextVar("shadows_current_task")


def running_context(dependency: str) -> TaskContext:
    """The context of this run; `dependency` is who asks, for the error outside of a worker."""
    try:
        return current.get()
    except LookupError:
        raise RuntimeError(
            f"{dependency} was asked for its value outside of a worker, and has one only while a worker runs "
            f"the task. When you call the function yourself, pass that parameter."
        ) from None


def running_execution(dependency: str) -> Execution:
    """The execution of this run; `dependency` is who asks, for the error outside of a task."""
    execution = running_context(dependency).execution
    if execution is None:
        raise RuntimeError(
            f"{dependency} was asked for its value by a Shared factory, whose value outlives every task. Use "
            f"Depends for what belongs to one task."
        )
    return execution
