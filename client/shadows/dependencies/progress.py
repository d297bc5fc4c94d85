"""`Progress`: how far a task is, told to whoever watches its execution.

Changes are counted here and sent in the background, one write at a time: what changes while a write is in
flight goes out with the next. A loop over a million items so costs a few writes and not a million round
trips. What is sent is the whole state and not the step, so that a write sent twice counts once.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Generator
from types import TracebackType
from typing import Any, Protocol, Self, cast

from uncalled_for import Provider

from shadows.dependencies.context import running_context, running_execution
from shadows.dependencies.kinds import Dependency
from shadows.execution import Execution, ExecutionProgress

logger = logging.getLogger(__name__)


class ProgressSink(Protocol):
    """The shadow, as `Progress` sees it: it writes the state of a run that is still the key's current one."""

    async def report_progress(self, execution: Execution, progress: ExecutionProgress) -> None: ...


class Progress(Dependency[object], Provider[object]):
    """Counts a task's progress. The methods take effect when called: `await` them in `async def` tasks, to
    let the write go out, and just call them in plain `def` tasks. A write that fails is logged and never
    fails the task.
    """

    single = True

    def __init__(self) -> None:
        self._state = ExecutionProgress()
        self._sent = self._state
        self._lock = threading.Lock()
        self._writing = False
        self._failed = False
        self._writer: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        # Not the copy's inherited attributes: a direct call of the function may have counted on the
        # declaration.
        Progress.__init__(self)
        self._execution = running_execution("Progress")
        self._sink = cast(ProgressSink, running_context("Progress").shadow)
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            # A thread that outlives its task still counts, but writes nothing.
            self._loop = None
            writer = self._writer
        if isinstance(exc_value, asyncio.CancelledError):
            # Its outcome does not count any more, nor does how far it got.
            if writer is not None:
                writer.cancel()
            return
        if writer is not None:
            await writer
        await self._write()

    @property
    def current(self) -> int:
        return self._state.current

    @property
    def total(self) -> int | None:
        return self._state.total

    @property
    def message(self) -> str | None:
        return self._state.message

    def set_total(self, total: int) -> Awaitable[None]:
        """Say how much there is to do."""
        if total < 0:
            raise ValueError(f"set_total({total}) is less than nothing to do; pass 0 or more.")
        return self._change(total=total)

    def increment(self, amount: int = 1) -> Awaitable[None]:
        """Say that `amount` more of the total is done."""
        if amount < 0:
            raise ValueError(f"increment({amount}) would undo progress; pass 0 or more.")
        return self._change(amount)

    def set_message(self, message: str | None) -> Awaitable[None]:
        """Say what the task is doing."""
        return self._change(message=message)

    def _change(self, amount: int = 0, **changes: Any) -> Awaitable[None]:
        with self._lock:
            self._state = self._state._replace(current=self._state.current + amount, **changes)
            if self._loop is not None and not self._writing:
                self._writing = True
                # Also from the loop's own thread: it happens once per write, not once per change.
                self._loop.call_soon_threadsafe(self._begin_writing)
        return _Turn()

    def _begin_writing(self) -> None:
        with self._lock:
            if self._loop is not None:
                self._writer = self._loop.create_task(self._write())

    async def _write(self) -> None:
        while True:
            with self._lock:
                state = self._state
                if state == self._sent:
                    self._writing = False
                    return
            try:
                await self._sink.report_progress(self._execution, state)
            except Exception:
                if not self._failed:
                    logger.warning(
                        "The progress of %s (key %r) could not be written; the task goes on without it",
                        self._execution.function_name,
                        self._execution.key,
                        exc_info=True,
                    )
                self._failed = True
            # Also after a failure: the next change, not this one again, tries the next write.
            self._sent = state


class _Turn:
    """Awaited, it gives the loop one turn, in which the write goes out."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield
