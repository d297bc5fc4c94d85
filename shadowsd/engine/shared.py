"""The values of `Shared` dependencies: made at first use, once per worker, closed when the worker stops.

Each value has an asyncio task of its own, which makes it, waits, and closes it. So a value does not see the
context of the task that asked first, is not cancelled with it, and is closed in the task that opened it,
which libraries with cancel scopes insist on. A factory that depends on another `Shared` waits for that one's
task, hence was opened later and is closed earlier.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self

from uncalled_for.functional import _Depends as DependsDependency  # see inject.py

from shadows.dependencies.context import TaskContext, current
from shadowsd.engine.opened import Opened

type Factory = Callable[..., Any]


class SharedScope:
    """One worker's shared values; `TaskContext.shared` of each of its runs."""

    def __init__(self, shadow: object, worker: object, known: Mapping[Any, Any] | None = None) -> None:
        """`known` has values by factory, for factories that are not called: a test has its own."""
        self._known = known or {}
        self._task_context = TaskContext(shadow, worker, execution=None, shared=self)
        self._context = copy_context()
        self._values: dict[Factory, Any] = {}
        self._keepers: dict[Factory, _Keeper] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def value(self, factory: Factory) -> Any:
        """The value of `factory`, made now unless it is there; raises what the factory raises."""
        if factory in self._values:
            return self._values[factory]
        if factory in self._known:
            return self._known[factory]
        if self._closed:
            raise RuntimeError(f"The worker is stopping, and opens no Shared({_name(factory)}) any more.")
        keeper = self._keepers.get(factory)
        if keeper is None:
            keeper = self._open(factory)
        # Shielded, because others wait for it too.
        return await asyncio.shield(keeper.ready)

    def _open(self, factory: Factory) -> "_Keeper":
        keeper = self._keepers[factory] = _Keeper(factory, self._values, self._known)
        keeper.task = asyncio.get_running_loop().create_task(
            keeper.keep(self._task_context), name=f"Shared({_name(factory)})", context=self._context.copy()
        )
        keeper.task.add_done_callback(lambda _: self._forget(keeper))
        return keeper

    def _forget(self, keeper: "_Keeper") -> None:
        self._values.pop(keeper.factory, None)
        self._keepers.pop(keeper.factory, None)
        keeper.give_up()

    async def close(self) -> None:
        """Closes all, last first. A cancellation meanwhile cuts one short, and is raised at the end."""
        self._closed = True
        cancelled: asyncio.CancelledError | None = None
        opening = [keeper for keeper in self._keepers.values() if not keeper.ready.done()]
        opened = [self._keepers[factory] for factory in self._values]
        # All of them before the first wait, in which another one would come to open.
        for keeper in opening:
            keeper.task.cancel()
        for keeper in (*opening, *reversed(opened)):
            try:
                await keeper.close()
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


class _Keeper:
    """Holds one shared value open, in an asyncio task of its own."""

    task: asyncio.Task[None]

    def __init__(self, factory: Factory, values: dict[Factory, Any], known: Mapping[Any, Any]) -> None:
        self.ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.factory = factory
        self._values = values
        self._known = known
        self._stop = asyncio.Event()

    async def keep(self, context: TaskContext) -> None:
        opened = Opened(f"Shared({_name(self.factory)})")
        current.set(context)
        DependsDependency.cache.set(dict(self._known))
        DependsDependency.stack.set(opened)
        try:
            value = await DependsDependency(self.factory).__aenter__()
        except BaseException as error:
            await opened.close(error)
            # Handed on, a cancellation would look like one of the tasks that wait for the value.
            if not isinstance(error, asyncio.CancelledError):
                self._fail(error)
            return
        self._values[self.factory] = value
        self.ready.set_result(value)
        try:
            await self._stop.wait()
        finally:
            await opened.close(None)

    def give_up(self) -> None:
        """Fails whoever still waits, when the asyncio task ended without a value, or before it began."""
        if not self.ready.done():
            self._fail(RuntimeError(f"The factory {_name(self.factory)} was cancelled before it had a value."))

    def _fail(self, error: BaseException) -> None:
        self.ready.set_exception(error)
        # Whoever waited may have been cancelled meanwhile: that nobody sees the exception then is no fault.
        self.ready.exception()

    async def close(self) -> None:
        self._stop.set()
        try:
            await asyncio.wait([self.task])
        except asyncio.CancelledError:
            self.task.cancel()
            await asyncio.wait([self.task])
            raise


def _name(factory: Factory) -> str:
    return getattr(factory, "__qualname__", None) or repr(factory)
