"""Runs of a function with its dependencies, without a worker or Redis around them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from shadows.dependencies.context import SharedValues, TaskContext
from shadows.execution import Execution
from shadowsd.engine.inject import Injection, Resolved


class RecordingShadow:
    """Stands where dependencies look for the shadow; what `Progress` reports ends up in `reports`."""

    def __init__(self) -> None:
        self.reports: list[Any] = []

    async def report_progress(self, execution: Execution, progress: Any) -> None:
        self.reports.append(progress)

    async def refresh(self, execution: Execution) -> None:
        raise NotImplementedError

    async def result_of(self, execution: Execution, seconds: float | None) -> Any:
        raise NotImplementedError


class Log(list[str]):
    """What was opened, closed and called, in order."""

    def opens(self, name: str) -> Callable[[], Any]:
        """A factory of that name, which is an async context manager."""

        @asynccontextmanager
        async def factory() -> AsyncIterator[str]:
            self.append(f"open {name}")
            try:
                yield name
            except BaseException as error:
                self.append(f"{name} sees {type(error).__name__}")
                raise
            finally:
                self.append(f"close {name}")

        return factory


def execution_of(function: Callable[..., Any], *args: Any, attempt: int = 1, **kwargs: Any) -> Execution:
    """An execution of `function`, with the key "a-key"."""
    execution = Execution(RecordingShadow(), function, function.__name__, args, kwargs, "a-key")
    execution.attempt = attempt
    return execution


def context_of(
    execution: Execution, shadow: object = None, worker: object = None, shared: SharedValues | None = None
) -> TaskContext:
    """What a worker would tell the dependencies of `execution`."""
    return TaskContext(shadow or execution.shadow, worker, execution, shared)


def entering(execution: Execution, context: TaskContext | None = None) -> Resolved:
    """The dependencies of `execution`, to be entered."""
    assert execution.function is not None
    injection = Injection(execution.function)
    return injection.enter(context or context_of(execution), execution.args, execution.kwargs)


async def run(execution: Execution, context: TaskContext | None = None) -> Any:
    """Calls the function with its dependencies, as a worker's attempt does for an `async def` task."""
    function = execution.function
    assert function is not None
    async with entering(execution, context) as resolved:

        async def call() -> Any:
            return await function(*execution.args, **execution.kwargs, **resolved.kwargs)

        whole = call
        for runtime in resolved.runtimes:
            whole = partial(runtime.run, execution, whole)
        return await whole()
