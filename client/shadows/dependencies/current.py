"""What a task can ask of its run: the shadow, the worker, the execution, its key, and a logger."""

import logging
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from uncalled_for import Provider

from shadows.dependencies.context import running_context, running_execution
from shadows.execution import Execution

# The functions below are named like the dependency that they declare, and return it as the type that the
# task's parameter gets. For the shadow and the worker that is Any: their classes live on higher floors, so
# that importing them would be upward, and the parameter's own annotation tells the type checker the rest.


class _CurrentShadow(Provider[object]):
    async def __aenter__(self) -> object:
        return running_context("CurrentShadow").shadow


class _CurrentWorker(Provider[object]):
    async def __aenter__(self) -> object:
        return running_context("CurrentWorker").worker


class _CurrentExecution(Provider[Execution]):
    async def __aenter__(self) -> Execution:
        return running_execution("CurrentExecution")


class _TaskKey(Provider[str]):
    async def __aenter__(self) -> str:
        return running_execution("TaskKey").key


class _TaskLogger(Provider["TaskLoggerAdapter"]):
    async def __aenter__(self) -> "TaskLoggerAdapter":
        execution = running_execution("TaskLogger")
        logger = running_context("TaskLogger").logger.getChild(execution.function_name)
        return TaskLoggerAdapter(
            logger,
            {"key": execution.key, "function": execution.function_name, "attempt": execution.attempt},
        )


class TaskLoggerAdapter(logging.LoggerAdapter[logging.Logger]):
    """Puts key, function and attempt on each record, keeping the `extra` of the call (the stdlib doesn't)."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def CurrentShadow() -> Any:  # noqa: N802 - named like what it declares
    """The `Shadow` that the task came from: `shadows: Shadow = CurrentShadow()`."""
    return _CurrentShadow()


def CurrentWorker() -> Any:  # noqa: N802 - named like what it declares
    """The `Worker` that runs the task: `worker: Worker = CurrentWorker()`."""
    return _CurrentWorker()


def CurrentExecution() -> Execution:  # noqa: N802 - named like what it declares
    """The `Execution` that this run is: `execution: Execution = CurrentExecution()`."""
    return cast(Execution, _CurrentExecution())


def TaskKey() -> str:  # noqa: N802 - named like what it declares
    """The key of this execution: `key: str = TaskKey()`."""
    return cast(str, _TaskKey())


def TaskLogger() -> logging.LoggerAdapter[logging.Logger]:  # noqa: N802 - named like what it declares
    """A logger named `shadows.task.<function>` whose records carry key, function and attempt."""
    return cast(logging.LoggerAdapter[logging.Logger], _TaskLogger())


class Current[T]:
    """Where a dependency of one's own, which has no parameters to declare, asks for what it is entered for."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read

    def get(self) -> T:
        """The value for this run; RuntimeError outside of one."""
        return self._read()


current_execution: Current[Execution] = Current(lambda: running_execution("current_execution"))
current_shadow: Current[Any] = Current(lambda: running_context("current_shadow").shadow)
current_worker: Current[Any] = Current(lambda: running_context("current_worker").worker)

# What has a value only within a task, and so none in a Shared factory.
TASK_SCOPED = (_CurrentExecution, _TaskKey, _TaskLogger)
