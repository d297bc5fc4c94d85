"""`run`: one call of a task for its test, with its dependencies, without Redis and without a worker."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import shadows

from .collecting import CollectingShadow
from .dependencies.context import TaskContext
from .dependencies.current import CurrentExecution, CurrentShadow, CurrentWorker, TaskKey
from .dependencies.overriding import Overrides, overrides_of
from .errors import ArgumentsError
from .execution import Execution
from .identifiers import fresh_key
from .registry import Task
from .states import ExecutionState


async def run(
    task: Callable[..., Any], /, *args: Any, overrides: Mapping[Any, Any] | None = None, **kwargs: Any
) -> Any:
    """Calls a task as a worker would, and returns what it returns; raises what it raises.

    `Depends` and `Shared` factories are called, entered and closed. `Timeout` limits the call, and a plain `def`
    runs in a thread. There is no Redis: `CurrentShadow` is a `CollectingShadow`, `CurrentWorker` a `Worker` that
    is not open, limits let everything start, and nothing is tried again: what a `Retry` or a `Perpetual` is told stays
    with it.

    overrides: what takes the place of a dependency, by the name of the task's parameter, by what stands in `Depends()`
    or `Shared()`, anywhere below the task too, or by its kind, such as CurrentShadow, TaskKey or Retry.

    Raises RegistrationError and ArgumentsError for what could not be a task or a call of it, and DependencyFailed,
    naming task, parameter and dependency, when a dependency fails.
    """
    given = (overrides or {}).get(CurrentShadow)
    collecting = given if isinstance(given, CollectingShadow) else CollectingShadow()
    known = collecting.registry.register(task)
    placed = overrides_of(task, overrides or {})
    if twice := sorted(placed.arguments.keys() & kwargs.keys()):
        raise ArgumentsError(f"{known.name} got {twice[0]!r} both as an argument and in overrides. Pass it once.")
    execution = _execution(placed, collecting, known, args, {**kwargs, **placed.arguments})
    shadow = placed.of_the_run.get(CurrentShadow, collecting)
    worker = shadows.Worker(collecting, name="testing")
    context = TaskContext(shadow, placed.of_the_run.get(CurrentWorker, worker), execution)
    # In a task of its own: what the dependencies leave in the context ends with it.
    return await asyncio.create_task(
        worker.rehearse(
            context,
            known,
            args,
            {**kwargs, **placed.arguments},
            placed.known,
        )
    )


def _execution(
    placed: Overrides, shadow: CollectingShadow, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Execution:
    """What `CurrentExecution` gives."""
    given: Execution | None = placed.of_the_run.get(CurrentExecution)
    if given is not None:
        return given
    key = placed.of_the_run.get(TaskKey) or fresh_key()
    execution = Execution(shadow, task.function, task.name, args, kwargs, key)
    execution.when = execution.started_at = datetime.now(UTC)
    execution.state = ExecutionState.RUNNING
    execution.worker = "testing"
    execution.submission = execution.fence = 1
    return execution
