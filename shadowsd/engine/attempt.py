"""One run of one entry, from its payload to a verdict.

1. The function is looked up and the payload decoded; what can't be decoded is quarantined.
2. A struck run, and one beyond `run_at_most`, is cancelled instead.
3. The function runs: on the loop, or in a thread when it is a plain `def`.
4. The outcome, and what its handlers want to follow, becomes a verdict for the settler.
"""

import asyncio
import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from logging import getLogger
from time import monotonic
from typing import Any

from shadows.codec.codec import Codec
from shadows.dependencies.context import TaskContext
from shadows.dependencies.kinds import Outcome, Successor
from shadows.errors import NewerFormat
from shadows.execution import Execution
from shadows.records import moment, worker_of
from shadows.registry import Registry, Task
from shadows.states import ExecutionState
from shadows.strikelist import StrikeList

from .asides import Asides
from .entries import Entry
from .events import Events, TaskEnded
from .inject import Injection, Resolved
from .interrupts import from_signal
from .limits import Limits
from .settle import Next, Settler, Verdict
from .slots import Running, Slots, Stop
from .threads import Threads

logger = getLogger("shadows.worker")

OUTCOMES = {"c": "completed", "f": "failed", "x": "cancelled", "r": "retried", "b": "handed back"}


class Attempts:
    """Runs entries for one worker."""

    def __init__(
        self,
        shadow: Any,
        worker: Any,
        slots: Slots,
        settler: Settler,
        asides: Asides,
        limits: Limits,
        threads: Threads,
        events: Events,
    ) -> None:
        self._shadow = shadow
        self._worker = worker
        self._codec: Codec = shadow.codec
        self._registry: Registry = shadow.registry
        self._strikelist: StrikeList = shadow.strikelist
        self._slots = slots
        self._settler = settler
        self._asides = asides
        self._limits = limits
        self._threads = threads
        self._events = events
        self._injections: dict[Task, Injection] = {}

    def start(self, entry: Entry) -> None:
        """Takes a slot and begins; a task without awaits is over when this returns."""
        task = self._registry.get(entry.function)
        running = Running(entry, monotonic(), task is None or task.is_async)
        if not self._slots.take(running):
            return
        run = self._run(running, task) if task is not None else self._set_aside_unknown(running)
        # Eager: a no-op costs no extra turn of the loop, and a batch of them settles together.
        running.task = asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)

    async def _run(self, running: Running, task: Task) -> None:
        """Every way out of here frees the slot: one that stayed taken would leave its entry pending for ever."""
        entry = running.entry
        try:
            try:
                args, kwargs = self._codec.decode_call(task.signature, entry.function, entry.key, entry.payload)
            except Exception as error:
                # Whatever it is, it is this entry's fault, and ends this entry only.
                await self._set_aside_payload(running, error)
                return
            if self._held_back(running, task, args, kwargs):
                return
            injection = self._injection(task)
            if injection.needed or not task.is_async:
                await self._run_whole(running, task, injection, args, kwargs)
                return
            try:
                result = await task.function(*args, **kwargs)
            except BaseException as error:
                self._failed(running, task, error, None)
            else:
                self._completed(running, task, result, None)
        except Exception as error:
            logger.exception("%s with key %r could not be ended as it should.", task.name, entry.key)
            if entry.generation in self._slots.running:
                self._finish(running, Verdict(entry, "f", self._codec.encode_error(task.name, entry.key, error), 0))

    def _held_back(self, running: Running, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the entry must not run, and was ended instead."""
        entry = running.entry
        if self._strikelist.strikes and (struck := self._strikelist.struck(task.function, task.name, args, kwargs)):
            logger.info("%s with key %r is struck (%s) and does not run.", entry.function, entry.key, struck)
            perpetual = self._injection(task).perpetual
            successor = perpetual.successor(timedelta(0)) if perpetual is not None else None
            self._end(running, task, "x", "struck", successor)
            return True
        if self._limits.active and not self._limits.admit(entry):
            self._end(running, task, "x", "run_at_most reached its number")
            return True
        return False

    async def _run_whole(
        self, running: Running, task: Task, injection: Injection, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """A run with dependencies, or in a thread."""
        execution = self._execution(running.entry, task, args, kwargs)
        context = TaskContext(self._shadow, self._worker, execution, self._worker.shared)
        resolved = injection.enter(context, args, kwargs)
        outcome: Outcome
        word = "c"
        try:
            async with resolved:
                call = partial(self._call, task, args, {**kwargs, **resolved.kwargs})
                result = await (resolved.runtime.run(execution, call) if resolved.runtime else call())
        except BaseException as error:
            if self._stopped(running, error):
                return
            word = "x" if isinstance(error, asyncio.CancelledError) else "f"
            outcome = Outcome(self._elapsed(running), exception=error)
        else:
            # A commit that fails when its dependency is closed is a failed task, though the function returned.
            word = "f" if resolved.closing_error is not None else word
            outcome = Outcome(self._elapsed(running), result=result, exception=resolved.closing_error)
        await self._decide(running, task, word, execution, resolved, outcome)

    async def _call(self, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if task.is_async:
            return await task.function(*args, **kwargs)
        result = await self._threads.run(partial(task.function, *args, **kwargs))
        # A plain function may return something to await, as a partial of an `async def` does.
        return await result if inspect.isawaitable(result) else result

    async def _decide(
        self, running: Running, task: Task, word: str, execution: Execution, resolved: Resolved, outcome: Outcome
    ) -> None:
        successor = None
        try:
            if outcome.exception is not None and word == "f":
                successor = await first(resolved.failure_handlers, "on_failure", execution, outcome)
                word = "r" if successor is not None else word
            if successor is None and not self._limits.last(running.entry):
                successor = await first(resolved.completion_handlers, "on_complete", execution, outcome)
        except Exception as error:
            logger.exception(
                "A handler of %s with key %r failed; what should have followed the run does not.",
                task.name,
                running.entry.key,
            )
            outcome = Outcome(outcome.duration, exception=outcome.exception or error)
        if outcome.exception is None:
            self._completed(running, task, outcome.result, successor)
        elif word == "r":
            logger.info(
                "%s with key %r failed at attempt %d and is retried: %r",
                task.name, running.entry.key, running.entry.attempt, outcome.exception,
            )  # fmt: skip
            self._end(running, task, word, b"", successor)
        else:
            self._failed(running, task, outcome.exception, successor)

    def _completed(self, running: Running, task: Task, result: Any, successor: Successor | None) -> None:
        body: bytes = b""
        if result is not None:
            try:
                body = self._codec.encode_result(task.signature, task.name, running.entry.key, result)
            except Exception as error:
                self._failed(running, task, error, successor)
                return
        self._end(running, task, "c", body, successor)

    def _failed(self, running: Running, task: Task, error: BaseException, successor: Successor | None) -> None:
        if self._stopped(running, error):
            return
        entry = running.entry
        if isinstance(error, asyncio.CancelledError):
            self._end(running, task, "x", "the task cancelled itself", successor)
            return
        logger.error(
            "%s with key %r failed at attempt %d.", task.name, entry.key, entry.attempt,
            exc_info=(type(error), error, error.__traceback__),
        )  # fmt: skip
        self._end(running, task, "f", self._codec.encode_error(task.name, entry.key, error), successor)

    def _stopped(self, running: Running, error: BaseException) -> bool:
        """Whether the run was stopped from outside, and what that leaves to do is done."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if isinstance(error, KeyboardInterrupt) and from_signal(error):
            self._finish(running, Verdict(running.entry, "b", b"", 0))
            raise error
        if running.stop is None and cancelled and self._worker.reader.stopping and running.cancelled_from_outside:
            # The loop itself is being closed, as at a second Ctrl-C: the task did not ask for it.
            running.stop = Stop.SHUTDOWN
        # What a task makes of being stopped is no outcome; a plain function was not stopped at all.
        if running.stop is None or not (cancelled or (running.stop is Stop.SHUTDOWN and running.is_async)):
            return False
        if running.stop is Stop.SHUTDOWN and not running.handed_back:
            self._finish(running, Verdict(running.entry, "b", b"", 0))
        else:
            # Its entry is gone, or somebody else's: there is nothing to write.
            self._slots.finish(running, settles=False)
        return True

    def _end(
        self, running: Running, task: Task, word: str, body: bytes | str, successor: Successor | None = None
    ) -> None:
        if running.stop is Stop.CANCELLED or running.handed_back:
            # A plain function that ran on: the cancel wrote the outcome, or somebody else runs it now.
            self._slots.finish(running, settles=False)
            return
        following = None
        if successor is not None:
            following = self._following(task, running.entry, successor)
        milliseconds = round((monotonic() - running.started) * 1000)
        self._finish(running, Verdict(running.entry, word, body, milliseconds, following))

    def hand_back(self, running: Running) -> None:
        """Gives up a plain function that still runs in its thread."""
        running.handed_back = True
        self._finish(running, Verdict(running.entry, "b", b"", 0))

    def _finish(self, running: Running, verdict: Verdict) -> None:
        self._slots.finish(running, settles=True)
        self._settler.put(verdict)
        if self._events.observers:
            self._events.emit(TaskEnded(running.entry, OUTCOMES[verdict.word], self._elapsed(running)))

    def _following(self, task: Task, entry: Entry, successor: Successor) -> Next:
        payload = entry.payload
        if successor.args is not None or successor.kwargs is not None:
            payload = self._codec.encode_call(
                task.signature, task.name, entry.key, successor.args or (), successor.kwargs or {}
            )
        if successor.when is not None:
            return Next(None, round(successor.when.timestamp() * 1000), payload)
        return Next(round((successor.delay or timedelta(0)).total_seconds() * 1000), None, payload)

    def _elapsed(self, running: Running) -> timedelta:
        return timedelta(seconds=monotonic() - running.started)

    def _injection(self, task: Task) -> Injection:
        injection = self._injections.get(task)
        if injection is None:
            injection = self._injections[task] = Injection(task.function)
        return injection

    def _execution(self, entry: Entry, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution:
        execution = Execution(self._shadow, task.function, task.name, args, kwargs, entry.key)
        execution.when = moment(entry.due if entry.due is not None else int(entry.generation) / 1000)
        execution.state = ExecutionState.RUNNING
        execution.attempt = entry.attempt
        execution.redelivered = entry.redelivered
        execution.worker = worker_of(entry.consumer)
        execution.started_at = datetime.now(UTC)
        execution.submission = int(entry.submission)
        execution.fence = int(entry.generation)
        return execution

    async def _set_aside_unknown(self, running: Running) -> None:
        await self._asides.park(running.entry, self._registry)
        self._slots.finish(running, settles=False)

    async def _set_aside_payload(self, running: Running, error: Exception) -> None:
        if isinstance(error, NewerFormat):
            await self._asides.park_newer(running.entry, error)
        else:
            await self._asides.quarantine(running.entry, str(error) or type(error).__name__)
        self._slots.finish(running, settles=False)


async def first(handlers: list[Any], method: str, execution: Execution, outcome: Outcome) -> Successor | None:
    """The first successor that one of the handlers wants."""
    for handler in handlers:
        decide: Callable[..., Any] = getattr(handler, method)
        successor = decide(execution, outcome)
        if inspect.isawaitable(successor):
            successor = await successor
        if successor is not None:
            return successor  # type: ignore[no-any-return] # both kinds of handlers return a Successor
    return None
