"""`Once`: steps of a task that are taken once over its redeliveries and retries.

What a step came to is written down when it has ended, and given back instead of taking it again. No order of the two
makes that exact: a crash between them takes the step again, which is the side that loses nothing. Whoever can't bear
that passes the step's own key on to a service which knows it, or guards the write with `execution.fence`.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol, Self, cast, overload

from uncalled_for import Provider

from shadows.connection import CALL_SECONDS
from shadows.dependencies.context import Step, TaskContext, running_context, running_execution
from shadows.dependencies.kinds import Dependency
from shadows.identifiers import checked

WEEK = timedelta(days=7)


class Steps(Protocol):
    """The ledger, as `Once` sees it."""

    async def begin(self, context: TaskContext, step: Step) -> bytes | None:
        """What the step came to, or None when this run is to take it. Raises Fenced or TooManySteps."""

    async def keep(self, context: TaskContext, step: Step, body: bytes) -> bytes:
        """Writes down what the step came to; what is kept then. Raises Fenced."""

    async def abandon(self, context: TaskContext, step: Step) -> None:
        """The step failed: another run may take it."""

    def pack(self, context: TaskContext, step: Step, function: Callable[..., Any], result: Any) -> bytes: ...

    def unpack(self, context: TaskContext, step: Step, function: Callable[..., Any], body: bytes) -> Any: ...


class Once(Dependency[object], Provider[object]):
    """Takes a step at most once for this submission, over its redeliveries and retries:
    `await once("charge", charge_card, order_id)`.

    With a `scope`, a step is taken once for all executions of the shadow, and what it came to is kept for `ttl`.
    Without, it is kept as long as the execution, and `execution_ttl` after it.
    """

    def __init__(self, scope: str | None = None, ttl: timedelta = WEEK) -> None:
        if scope is not None and (not checked(scope, "scope") or ":" in scope):
            raise ValueError(f"Once(scope={scope!r}) is no name; pass one without a colon, such as 'charges'.")
        if ttl < timedelta(milliseconds=1):
            raise ValueError(f"Once(ttl={ttl}) would keep nothing; pass how long a step must not be taken again.")
        self.scope = scope
        self.ttl = ttl
        self._context: TaskContext | None = None

    async def __aenter__(self) -> Self:
        running_execution("Once")
        self._context = running_context("Once")
        self._loop = asyncio.get_running_loop()
        return self

    @overload
    async def __call__[**P, R](
        self, step: str, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def __call__[**P, R](
        self, step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    async def __call__(self, step: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What the step came to: now, by calling `function`, or earlier.

        A failure is not kept, and is raised. A plain function is called where this is awaited, and blocks the loop.
        Raises Fenced when this run has lost its execution, TooManySteps, ResultError when the step was taken but what
        it returned can't be stored, or ConnectionFailed when the ledger could not be read: then the step was not
        taken. Outside of a worker, it calls `function`.
        """
        if self._context is None:
            return await called(function, *args, **kwargs)
        place = self._place(step)
        async with place.lock:
            body = await self._begin(place)
            if body is None:
                try:
                    result = await called(function, *args, **kwargs)
                except BaseException:
                    await self._abandon(place)
                    raise
                body = await self._keep(place, function, result)
        return self._ledger.unpack(self._context, place, function, body)

    def call[**P, R](self, step: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same for tasks that are a plain `def`: `function` is called in the task's own thread."""
        if self._context is None:
            return function(*args, **kwargs)
        place = self._place(step)
        self._await(place.lock.acquire())
        try:
            body = self._await(self._begin(place))
            if body is None:
                try:
                    result = function(*args, **kwargs)
                except BaseException:
                    self._await(self._abandon(place))
                    raise
                body = self._await(self._keep(place, function, result))
        finally:
            self._loop.call_soon_threadsafe(place.lock.release)
        return cast(R, self._ledger.unpack(self._context, place, function, body))

    def _await[T](self, work: Coroutine[Any, Any, T]) -> T:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            work.close()
            raise RuntimeError(
                "once.call() is for plain `def` tasks, and would wait for its own loop here: await once()."
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @property
    def _ledger(self) -> Steps:
        return cast(Steps, cast(Any, self._context).shadow.ledger)

    def _place(self, step: str) -> Step:
        steps = cast(TaskContext, self._context).steps
        name = (self.scope, checked(step, "step"))
        if name not in steps:
            steps[name] = Step(self.scope, step, round(self.ttl.total_seconds() * 1000), asyncio.Lock())
        return steps[name]

    async def _begin(self, place: Step) -> bytes | None:
        if place.body is None:
            place.body = await self._ledger.begin(cast(TaskContext, self._context), place)
        return place.body

    async def _abandon(self, place: Step) -> None:
        if self.scope is not None:
            await to_its_end(self._ledger.abandon(cast(TaskContext, self._context), place))

    async def _keep(self, place: Step, function: Callable[..., Any], result: Any) -> bytes:
        context = cast(TaskContext, self._context)
        body = self._ledger.pack(context, place, function, result)
        place.body = await to_its_end(self._ledger.keep(context, place, body))
        return place.body


async def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a plain or an async function returns."""
    result: Awaitable[Any] | Any = function(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


async def to_its_end[T](work: Coroutine[Any, Any, T]) -> T:
    """Awaits a write that must not be given up because its task is cancelled: the step has been taken."""
    writing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        # As long as any call waits for Redis, and no longer: a worker that stops must come to its end.
        await asyncio.wait([writing], timeout=CALL_SECONDS)
        if not writing.cancel():
            writing.exception()  # seen; that the task is cancelled says more
        raise
