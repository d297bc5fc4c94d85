"""`Worker`: runs one shadow's tasks inside this process.

Its parts are put together in `assembly.py`. Here is when they begin, and how they end.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from logging import getLogger
from types import TracebackType
from typing import Any, Self

from shadows import Shadow
from shadows.dependencies.context import TaskContext
from shadows.dependencies.retry import Retry
from shadows.dependencies.timeout import Timeout
from shadows.errors import ShadowsError
from shadows.priorities import PRIORITIES, Priority
from shadows.registry import Task

from .around import Around
from .assembly import Assembly
from .automatic import seed
from .closing import Closing
from .defaults import defaults
from .error_hook import OnError, check_hook
from .events import Events
from .fallback import Fallback
from .group import make_group
from .hosting import Hosting
from .options import check
from .rehearsal import rehearse
from .shared import SharedScope
from .slots import Stop

logger = getLogger("shadows.worker")

LEAVE_SECONDS = 5.0


class Worker:
    """Runs tasks, `concurrency` at a time. An async context manager; then `run_forever` or one of its kin."""

    def __init__(
        self,
        shadows: Shadow,
        name: str | None = None,
        concurrency: int = 10,
        redelivery_timeout: timedelta = timedelta(minutes=5),
        reconnection_delay: timedelta = timedelta(seconds=5),
        minimum_check_interval: timedelta = timedelta(milliseconds=250),
        scheduling_resolution: timedelta = timedelta(milliseconds=250),
        schedule_automatic_tasks: bool = True,
        fallback_task: Callable[..., Any] | None = None,
        dependencies: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        priorities: Sequence[Priority] = tuple(PRIORITIES),
        default_timeout: Timeout | None = None,
        default_retry: Retry | None = None,
        on_error: OnError | None = None,
        hosting: Hosting | None = None,
    ) -> None:
        """A setting that can't be right raises ConfigurationError.

        name: shown to people; default is host and process id.
        concurrency: how many tasks run at a time, `async def` and plain `def` together.
        redelivery_timeout: how long the loop may be blocked before its tasks go to another worker.
        reconnection_delay: the longest pause between two attempts to reach Redis.
        minimum_check_interval, scheduling_resolution: how often to look for work and due tasks while Redis
        can't push; they never delay anything otherwise.
        schedule_automatic_tasks: whether this worker starts `Perpetual(automatic=True)` tasks.
        fallback_task: runs what this worker does not know, called with `*args` and `**kwargs`; else that is parked.
        dependencies: entered around every task, as a mapping of names to dependencies, or a list.
        priorities: those that this worker serves, of "high", "normal" and "low"; the higher always come first.
        default_timeout, default_retry: for tasks that declare no Timeout, or no Retry, of their own.
        on_error: called as on_error(execution, exception, will_retry) for each run that failed; may be async.
        hosting: set by the daemon, whose child this process is.
        """
        check(
            name, concurrency, redelivery_timeout, reconnection_delay, minimum_check_interval, scheduling_resolution,
            priorities,
        )  # fmt: skip
        self.shadows = shadows
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.concurrency = concurrency
        self.priorities = priorities
        self.redelivery_timeout = redelivery_timeout
        self.reconnection_delay = reconnection_delay
        self.minimum_check_interval = minimum_check_interval
        self.scheduling_resolution = scheduling_resolution
        self.schedule_automatic_tasks = schedule_automatic_tasks
        self.fallback = Fallback(fallback_task) if fallback_task is not None else None
        if on_error is not None:
            check_hook(on_error)
        self.on_error = on_error
        task_timeout = hosting.task_timeout if hosting is not None else None
        self.around = Around(dependencies, defaults(default_timeout, default_retry, task_timeout))
        self.hosting = hosting
        self.events = Events()
        self._process = os.getpid()
        self._stack: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Joins the other workers; nothing runs yet."""
        self._require_same_process()
        self._build()
        self.around.check(self.shadows.registry, self._parts.attempts.injection)
        async with AsyncExitStack() as stack:
            self.closing = stack.enter_context(Closing())
            stack.push_async_callback(self._close_links)
            await make_group(self._parts.control.ask, self.shadows.keys, self._parts.intake)
            await self.shadows.strikelist.load()
            self.shared = await stack.enter_async_context(SharedScope(self.shadows, self))
            stack.callback(self._parts.threads.close)
            listeners = self.shadows.strikelist.listeners
            listeners.add(self._parts.pauses.changed)
            stack.callback(listeners.discard, self._parts.pauses.changed)
            await self._parts.signal_link.add(self.shadows.keys.signal, self._parts.signals.hear)
            await self._parts.watched.load()
            await self._parts.pauses.release()
            self.pulse.start()
            stack.push_async_callback(self.pulse.stop)
            await self._parts.beats.joined()
            await self._parts.beats.publish_functions()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leaves: what still runs is stopped and handed back."""
        assert self._stack is not None
        try:
            await self.stop_at_once()
        finally:
            await self._stack.__aexit__(kind, error, traceback)

    def _build(self) -> None:
        parts = Assembly(self)
        self._gave_up = False
        self.membership, self.slots, self.outage, self.limits = (
            parts.membership, parts.slots, parts.outage, parts.limits,
        )  # fmt: skip
        self.settler, self.reader, self.pulse = parts.settler, parts.reader, parts.pulse
        self._parts = parts

    async def run_forever(self) -> None:
        """Runs tasks until it is cancelled, or told to `stop`; then finishes what runs, and returns."""
        await self._run(None)

    async def run_until_finished(self) -> None:
        """Runs tasks until nothing is scheduled, waiting or running any more, here or at other workers."""
        await self._run(self._parts.finish.wait)

    async def run_at_most(self, limits: Mapping[str, int]) -> None:
        """As `run_until_finished`, but runs each key or function name in `limits` only so many times, and then
        drops what is left of it. For perpetual tasks in tests."""
        self.limits.set(limits)
        try:
            await self._run(self._parts.finish.wait)
        finally:
            self.limits.set({})

    async def _run(self, until: Any) -> None:
        self._require_same_process()
        if self._stack is None:
            raise ShadowsError("The worker is not open. Write `async with Worker(shadows) as worker:` around it.")
        await self.seed()
        self.reader.look_beside()
        reading = asyncio.create_task(self.reader.run(), name="shadows reader")
        repeating = [asyncio.create_task(work()) for work in self._parts.repeating]
        ending = asyncio.create_task(until()) if until is not None else None
        waiting = [task for task in (reading, ending, *repeating) if task is not None]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            try:
                # A second Ctrl-C is not always a second cancel: it may hit this line, or come before the first is seen.
                interrupted = self.closing.begun or isinstance(sys.exception(), KeyboardInterrupt)
                await (self.stop_at_once() if interrupted else self._drain(reading))
            finally:
                for task in waiting:
                    task.cancel()
                # Not `gather`: one task whose end it was not told of, as after a Ctrl-C, it would wait for for ever.
                await asyncio.wait(waiting)
                # Only now, so that a `stop` that came before this run began was heard, too.
                self.reader.stopping = False

    async def rehearse(
        self,
        context: TaskContext,
        task: Task,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        known: Mapping[Any, Any],
    ) -> Any:
        """Calls a task once as a run of it would, without Redis, also when this worker is not open: nothing is taken,
        written or tried again. For `shadows.testing.run`; `known` has values for factories that are not called."""
        return await rehearse(self, context, task, args, kwargs, known)

    async def _drain(self, reading: asyncio.Task[None]) -> None:
        """Reads no more, finishes what runs, and writes every outcome. A second cancel stops it at once."""
        self.reader.stop()
        try:
            if not reading.done():
                await asyncio.wait([reading])
            while self.slots.running and not self._gave_up:
                await self.slots.change()
            await self.settler.flushed()
        except asyncio.CancelledError:
            await self.stop_at_once()
            raise

    def stop(self) -> None:
        """Asks the worker to drain: what runs is finished, nothing new is taken, `run_*` returns."""
        self.reader.stop()

    async def stop_at_once(self) -> None:
        """Stops what runs and hands it back, for another worker to run at once."""
        if self._gave_up:
            return
        self.reader.stop()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                while unfinished := self.slots.unfinished:
                    self.slots.stop_all(Stop.SHUTDOWN)
                    await asyncio.wait(unfinished)
                self.hand_back_threads()
                await self.membership.finish_side_work()
                await self.settler.flushed()
        except TimeoutError:
            logger.warning("Not every task could be handed back; the rest runs again when this worker has left.")
            self._gave_up = True
            self.slots.wake()
            self.closing.let_go(self.slots.unfinished)
            self.settler.abandon()
            self.membership.abandon_side_work()

    def hand_back_threads(self) -> None:
        """Gives back what plain functions still run: they can't be stopped, but their outcomes won't count."""
        for running in tuple(self.slots.running.values()):
            self._parts.verdicts.hand_back(running)

    async def seed(self) -> None:
        """Starts the automatic tasks, as each `run_*` does."""
        if self.schedule_automatic_tasks:
            await seed(self.shadows)

    def seed_again(self) -> None:
        """After a flush the automatic tasks are gone with everything else."""
        if self.schedule_automatic_tasks:
            self.membership.spawn(seed(self.shadows))

    def rejoin(self) -> None:
        """Takes a new name after the lease was lost; the connection that read under the old one is dropped."""
        self.membership.renew()
        self._parts.reading.role = f"reader:{self.membership.incarnation}"
        self.membership.spawn(self._parts.reading.close())
        self.reader.verify()

    def reconnect(self) -> None:
        """Opens every connection anew, as after a network that swallows what is sent."""
        self.membership.spawn(self._parts.signal_link.reconnect())  # closed, it would be deaf to cancels from then on
        self.membership.spawn(self._close_callers())
        self.pulse.reconnect()

    async def _close_links(self) -> None:
        await self._parts.signal_link.close()
        await self._close_callers()

    async def _close_callers(self) -> None:
        for link in self._parts.links:
            await link.close()

    def _require_same_process(self) -> None:
        if os.getpid() != self._process:
            raise ShadowsError(
                f"The worker {self.name!r} was made in process {self._process} and can't run in its forked copy "
                f"{os.getpid()}, which shares its connections. Make the Worker after the fork."
            )
