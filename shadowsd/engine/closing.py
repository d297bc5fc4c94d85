"""Notices that the loop is being closed under the worker, and wakes what a Ctrl-C left asleep in it.

The second Ctrl-C raises KeyboardInterrupt wherever asyncio is at that moment, also between taking a step of a
task from its queue and running it. That task is woken by nobody any more, and asyncio, which cancels all
tasks and waits for them before it closes the loop, waits for ever. A task that was cancelled and has still not
been told of it after a whole turn of the loop is such a one.
"""

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

# A loop holds its tasks weakly, and nobody else need hold these when the program has lost its worker.
_held = set[asyncio.Task[Any]]()


class Closing:
    """A task that only waits. Whoever closes a loop cancels every task in it, and so this one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._watch = self._loop.create_task(self._wait(), name="shadows watch")
        hold(self._watch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        # At a Ctrl-C the program has some way to go after the worker, and may be hit there by the second.
        if kind is None or issubclass(kind, Exception):
            self._over.set_result(None)

    @property
    def begun(self) -> bool:
        """Whether everything in the loop was cancelled, hence nothing by its own wish."""
        return self._watch.cancelling() > 0

    def let_go(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Ends tasks that won't, if the loop is being closed: it would wait for them."""
        if self.begun:
            for task in tasks:
                end(task)

    async def _wait(self) -> None:
        try:
            await self._over
        except asyncio.CancelledError:
            self._loop.call_soon(self._look)
            raise

    def _look(self) -> None:
        untold = [task for task in asyncio.all_tasks(self._loop) if is_untold(task)]
        # Those that are about to be told are, one turn later.
        self._loop.call_soon(self._wake, untold)

    def _wake(self, untold: list[asyncio.Task[Any]]) -> None:
        for task in untold:
            if is_untold(task):
                go_on(task)


def is_untold(task: asyncio.Task[Any]) -> bool:
    """Whether it was cancelled, and its code has not run since."""
    # Nothing public tells. Tasks of a factory of the user's own may not have it.
    return not task.done() and getattr(task, "_must_cancel", False)


def go_on(task: asyncio.Task[Any]) -> None:
    """Runs the rest of a task that nobody wakes as another task, which is cancelled; then the first is over, too."""
    coroutine = task.get_coro()
    assert coroutine is not None  # only of a task that is done
    rest = asyncio.Task(coroutine, loop=task.get_loop(), context=task.get_context())
    hold(rest)
    rest.cancel()
    rest.add_done_callback(lambda _: end(task))


def end(task: asyncio.Task[Any]) -> None:
    """Ends a task without running its code. As a task it could only be asked to; as the future that it also is, it
    obeys."""
    asyncio.Future.cancel(task)


def hold(task: asyncio.Task[Any]) -> None:
    """Keeps a task from being forgotten while it waits."""
    _held.add(task)
    task.add_done_callback(_held.discard)
