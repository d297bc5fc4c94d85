"""Threads for plain `def` tasks. Daemon threads, unlike the standard library's pool: a task that never ends
must not keep the process from ending."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any

from shadows.registry import Task

type Job = tuple[asyncio.Future[Any], asyncio.AbstractEventLoop, Context, Callable[[], Any]]


class Threads:
    """At most `most` threads, started when they are first needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._count = 0
        self._busy = 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """Runs `function` in a thread, in a copy of the caller's context."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._busy += 1
        if self._busy > self._count and self._count < self._most:
            self._count += 1
            threading.Thread(target=self._work, name=f"shadows task thread {self._count}", daemon=True).start()
        self._jobs.put((future, loop, copy_context(), function))
        try:
            return await future
        finally:
            self._busy -= 1

    async def call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the task returns: an `async def` runs on the loop, and takes no thread."""
        if task.is_async:
            return await task.function(*args, **kwargs)
        result = await self.run(partial(task.function, *args, **kwargs))
        # A plain function may return something to await, as a partial of an `async def` does.
        return await result if inspect.isawaitable(result) else result

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, loop, context, function = job
            try:
                result, error = context.run(function), None
            except BaseException as raised:  # SystemExit in a task must not end the thread
                result, error = None, raised
            try:
                loop.call_soon_threadsafe(deliver, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits for this task any more

    def close(self) -> None:
        """Lets idle threads end; one that is in a task ends after it, or with the process."""
        for _ in range(self._count):
            self._jobs.put(None)


def deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Gives a thread's result to whoever still waits for it."""
    if future.done():
        return
    if isinstance(error, StopIteration):
        error = RuntimeError(f"the task raised StopIteration({error.value!r})")
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
