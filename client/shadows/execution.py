"""One execution of a task: what was asked for, where it is now, and how it ended."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, TypedDict

from .errors import ArgumentsError
from .priorities import Priority
from .states import Disposition, ExecutionState

__all__ = [
    "Disposition", "Event", "Execution", "ExecutionProgress", "ExecutionState", "ProgressEvent", "StateEvent",
    "TaskCall",
]  # fmt: skip


class ExecutionProgress(NamedTuple):
    """How far a running task says it is; `current` and `total` in units of its own."""

    current: int = 0
    total: int | None = None
    message: str | None = None


class StateEvent(TypedDict):
    """A change of state; times are ISO 8601. Plain data, so that it can be sent on as JSON."""

    type: Literal["state"]
    key: str
    state: ExecutionState
    when: str | None
    worker: str | None
    started_at: str | None
    completed_at: str | None
    error: str | None


class ProgressEvent(TypedDict):
    """How far a run is; as `ExecutionProgress`."""

    type: Literal["progress"]
    key: str
    current: int
    total: int | None
    message: str | None


type Event = StateEvent | ProgressEvent


class Source(Protocol):
    """What an execution needs of its shadow."""

    async def refresh(self, execution: "Execution") -> None:
        """Reads the execution's present state."""

    async def result_of(self, execution: "Execution", seconds: float | None) -> Any:
        """Waits for the execution's outcome."""

    def events_of(self, execution: "Execution") -> AsyncGenerator[Event]:
        """Tells of the execution's changes."""
        ...


class Execution:
    """One submission of a task.

    After `add` it holds what was submitted; `await execution.sync()` brings state, attempt, worker, times
    and progress up to date; `await execution.get_result()` waits for the end.
    """

    __slots__ = (
        "args", "attempt", "completed_at", "disposition", "error", "fence", "function", "function_name",
        "generation", "key", "kwargs", "priority", "progress", "redelivered", "schedule_exception", "shadow",
        "started_at", "state", "submission", "when", "worker",
    )  # fmt: skip

    def __init__(
        self,
        shadow: Source,
        function: Callable[..., Any] | None,
        function_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        key: str,
        when: datetime | None = None,
    ) -> None:
        self.shadow = shadow
        self.function = function
        self.function_name = function_name
        self.args = args
        self.kwargs = kwargs
        self.key = key
        self.when = when
        self.state = ExecutionState.QUEUED
        self.disposition = Disposition.SCHEDULED
        self.schedule_exception: BaseException | None = None
        self.priority: Priority = "normal"
        self.attempt = 1
        self.redelivered = False
        self.worker: str | None = None
        self.started_at: datetime | None = None
        self.completed_at: datetime | None = None
        self.error: str | None = None
        self.progress: ExecutionProgress | None = None
        # The number of the submission, which outlives its retries, of its present placing, and of this delivery of it.
        # All rise for ever, so that a write guarded by `fence` refuses a run that was overtaken.
        self.submission = 0
        self.generation = 0
        self.fence = 0

    def __repr__(self) -> str:
        return f"<Execution {self.function_name} key={self.key!r} {self.state} attempt={self.attempt}>"

    def get_argument(self, name: str) -> Any:
        """The argument that parameter `name` got, positional or by keyword, or its default.

        Raises ArgumentsError when the task has no such parameter, or its function is not known here.
        """
        if name in self.kwargs:
            return self.kwargs[name]
        if self.function is not None:
            from_call = arguments_by_name(self.function, self.args, self.kwargs)
            if name in from_call:
                return from_call[name]
        raise ArgumentsError(
            f"{self.function_name} got no argument {name!r}; it has {', '.join(self.kwargs) or 'no keyword arguments'}."
        )

    async def sync(self) -> None:
        """Reads the present state from Redis. Raises ConnectionFailed when it can't be reached within 5 s."""
        await self.shadow.refresh(self)

    async def get_result(
        self,
        *,
        timeout: timedelta | float | None = None,
        deadline: datetime | None = None,
    ) -> Any:
        """Waits for the end of this submission, through its retries, and returns what the task returned.

        `timeout` is a duration (a bare number is in seconds), `deadline` an aware moment; without either it waits
        without limit. Raises the task's own exception (RemoteError when its class is not known here),
        ExecutionCancelled, QuarantinedTask, ResultNotKept, or TimeoutError.
        """
        if timeout is not None and deadline is not None:
            raise ValueError("get_result() got both a timeout and a deadline; give one of them.")
        if isinstance(timeout, timedelta):
            timeout = timeout.total_seconds()
        if deadline is not None:
            timeout = max(0.0, (deadline - datetime.now(UTC)).total_seconds())
        return await self.shadow.result_of(self, timeout)

    def subscribe(self) -> AsyncGenerator[Event]:
        """The present state and progress, then each change of either; ends after the event of its end.

        `async for event in execution.subscribe()`; `event["type"]` is "state" or "progress". Changes of the progress
        that come faster than they can be read are told of together. Raises ConnectionFailed when Redis can't be reached
        within 5 s, and ResultNotKept when nothing of the execution is kept.
        """
        return self.shadow.events_of(self)


signature_of = lru_cache(inspect.signature)


def arguments_by_name(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, with_defaults: bool = True
) -> dict[str, Any]:
    """What each parameter of `function` gets, by default with the defaults; empty when they don't fit it."""
    try:
        bound = signature_of(function).bind_partial(*args, **kwargs)
    except TypeError:
        return {}
    if with_defaults:
        bound.apply_defaults()
    return bound.arguments


class TaskCall(NamedTuple):
    """A call that was prepared with `Shadow.call` and not submitted yet."""

    function: Callable[..., Awaitable[Any]] | Callable[..., Any] | str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    when: datetime | timedelta | None = None
    key: str | None = None
    priority: Priority = "normal"
