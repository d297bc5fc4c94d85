"""What a dependency may know about the task run that it is resolved for.

The worker makes one `TaskContext` per run and sets `current`; declarations read it when they are entered. The
shadow and the worker are plain objects here: their classes live on higher floors, and this one must not
import them.
"""

import asyncio
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


class Held(Protocol):
    """The entry of a run, as the worker holds it."""

    place: int
    generation: str
    consumer: str


class Step:
    """A step of a run that `Once` was asked for; `body` is what it came to, once that is known."""

    __slots__ = ("body", "lock", "name", "scope", "ttl_ms")

    def __init__(self, scope: str | None, name: str, ttl_ms: int, lock: asyncio.Lock) -> None:
        self.scope = scope
        self.name = name
        self.ttl_ms = ttl_ms
        self.lock = lock
        self.body: bytes | None = None


class TaskContext(msgspec.Struct, frozen=True):
    """One run of a task. `execution` is None while a `Shared` factory runs: its value outlives every task."""

    shadow: object
    worker: object
    execution: Execution | None
    shared: SharedValues | None = None
    logger: logging.Logger = TASK_LOGGER
    entry: Held | None = None
    # Those that it was asked for, by scope and name.
    steps: dict[tuple[str | None, str], Step] = {}

    @property
    def task_name(self) -> str:
        """The name of the task, for messages."""
        return self.execution.function_name if self.execution is not None else ""

    @property
    def task_key(self) -> str:
        """The key of the execution, for messages."""
        return self.execution.key if self.execution is not None else ""

    @property
    def is_first_run(self) -> bool:
        """Whether no run of this submission can have been before: what was placed once and handed out once."""
        run = self.execution
        return run is not None and run.attempt == 1 and not run.redelivered and run.submission == run.generation


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
