"""What becomes of a run: a verdict for the settler, with what its handlers want to follow.

1. A run that was stopped from outside has no outcome of its own: it is handed back, or it is somebody else's already.
2. Any other end is told to the handlers, and the first that wants a successor gets it.
3. The slot is freed, the settler gets the verdict, and observers are told.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from logging import getLogger
from time import monotonic
from typing import Any

from shadows.codec.codec import Codec
from shadows.dependencies.kinds import Outcome, Successor, describe
from shadows.dependencies.perpetual import Perpetual
from shadows.dependencies.retry import Retry
from shadows.execution import Execution
from shadows.registry import Task
from shadows.strikes import Strike

from . import lines
from .entries import Entry
from .error_hook import ErrorHook
from .events import Events, TaskEnded
from .inject import Resolved
from .interrupts import from_signal
from .limits import Limits
from .settle import Next, Settler, Verdict
from .slots import Running, Slots, Stop

logger = getLogger("shadows.worker")

OUTCOMES = {"c": "completed", "f": "failed", "x": "cancelled", "r": "retried", "b": "handed back"}


class Verdicts:
    """Ends the runs of one worker, each in one way."""

    def __init__(
        self, codec: Codec, worker: Any, slots: Slots, settler: Settler, limits: Limits, events: Events,
        error_hook: ErrorHook | None = None,
    ) -> None:  # fmt: skip
        self._codec = codec
        self._worker = worker
        self._slots = slots
        self._settler = settler
        self._limits = limits
        self._events = events
        self._error_hook = error_hook

    def struck(self, running: Running, task: Task, strike: Strike, perpetual: Perpetual | None) -> None:
        """The strike is why the run did not begin."""
        entry = running.entry
        logger.info("%s with key %r is struck (%s) and does not run.", entry.function, entry.key, strike)
        self.skipped(running, task, "struck", perpetual)

    def skipped(self, running: Running, task: Task, reason: str, perpetual: Perpetual | None) -> None:
        """The run did not begin; the next one of a perpetual task may."""
        successor = None
        if perpetual is not None:
            successor = perpetual.regular(timedelta(0), running.entry.when, self._worker.shadows)
        self.cancelled(running, task, reason, successor)

    async def decide(
        self, running: Running, task: Task, word: str, execution: Execution, resolved: Resolved, outcome: Outcome
    ) -> None:
        """The call is over: asks the handlers what follows, and ends the run."""
        successor = None
        try:
            word, successor = await self._ask(running, word, execution, resolved, outcome)
        except Exception as error:
            logger.exception(
                "A handler of %s with key %r failed; what should have followed the run does not.",
                task.name,
                running.entry.key,
            )
            outcome = Outcome(outcome.duration, exception=outcome.exception or error)
        if outcome.exception is None:
            self.completed(running, task, outcome.result, successor)
        elif word == "r":
            lines.retried(running.entry, outcome.exception)
            self._tell(running, outcome.exception, will_retry=True)
            self._end(running, task, word, b"", successor)
        else:
            had_retries = any(isinstance(each, Retry) and each.attempts != 1 for each in resolved.failure_handlers)
            self.failed(running, task, outcome.exception, successor, keep=had_retries)

    async def _ask(
        self, running: Running, word: str, execution: Execution, resolved: Resolved, outcome: Outcome
    ) -> tuple[str, Successor | None]:
        """What the run comes to, and what follows it."""
        if outcome.exception is not None and word == "f":
            retry = await first(resolved, resolved.failure_handlers, "on_failure", execution, outcome)
            if retry is not None:
                return "r", retry
        if self._limits.last(running.entry):
            return word, None
        return word, await first(resolved, resolved.completion_handlers, "on_complete", execution, outcome)

    def completed(self, running: Running, task: Task, result: Any, successor: Successor | None = None) -> None:
        """The function returned, which is a failure if its result can't be stored."""
        body: bytes = b""
        if result is not None:
            try:
                body = self._codec.encode_result(task.signature, task.name, running.entry.key, result)
            except Exception as error:
                self.failed(running, task, error, successor)
                return
        self._end(running, task, "c", body, successor)

    def failed(
        self,
        running: Running,
        task: Task,
        error: BaseException,
        successor: Successor | None = None,
        *,
        keep: bool = False,
    ) -> None:
        """The function raised, and nobody wants to try it again. `keep` it for a person to look at."""
        if self.stopped(running, error):
            return
        entry = running.entry
        if isinstance(error, asyncio.CancelledError):
            self.cancelled(running, task, "the task cancelled itself", successor)
            return
        lines.failed(entry, error)
        self._tell(running, error, will_retry=False)
        cause = lines.cause_of(entry, error) if keep else None
        self._end(running, task, "f", self._codec.encode_error(task.name, entry.key, error), successor, cause)

    def not_begun(self, running: Running) -> None:
        """It did not begin, and is given back to all workers."""
        self._slots.finish(running, settles=True)
        self._settler.put(Verdict(running.entry, "b", b"", 0))

    def cancelled(self, running: Running, task: Task, reason: str, successor: Successor | None = None) -> None:
        """It does not run, or not to its end, and that is its outcome."""
        self._end(running, task, "x", reason, successor)

    def broke(self, running: Running, task: Task, error: Exception) -> None:
        """Something failed around the run, as a successor that can't be encoded."""
        entry = running.entry
        logger.error("%s with key %r could not be ended as it should.", task.name, entry.key, exc_info=error)
        self._tell(running, error, will_retry=False)
        if entry.generation in self._slots.running:
            self._finish(running, Verdict(entry, "f", self._codec.encode_error(task.name, entry.key, error), 0))

    def _tell(self, running: Running, error: BaseException, will_retry: bool) -> None:
        # The failure of a run that was stopped, or given to somebody else, does not count.
        counts = running.stop is None and not running.handed_back
        if self._error_hook is not None and running.execution is not None and counts:
            self._error_hook.tell(running.execution, error, will_retry)

    def stopped(self, running: Running, error: BaseException) -> bool:
        """Whether the run was stopped from outside, and what that leaves to do is done."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if isinstance(error, KeyboardInterrupt) and from_signal(error):
            self._finish(running, Verdict(running.entry, "b", b"", 0))
            raise error
        if running.stop is None and cancelled and self._worker.closing.begun:
            # The loop itself is being closed, as at a second Ctrl-C: the task did not ask for it.
            running.stop = Stop.SHUTDOWN
        # What a task makes of being stopped is no outcome; a plain function was not stopped at all.
        if running.stop is None or not (cancelled or (running.stop is Stop.SHUTDOWN and running.is_async)):
            return False
        if running.stop is Stop.SHUTDOWN and not running.handed_back:
            self._finish(running, Verdict(running.entry, "b", b"", 0))
        else:
            # Its entry is gone, or somebody else's: there is nothing to write.
            self._drop(running, "x")
        return True

    def hand_back(self, running: Running) -> None:
        """Gives up a plain function that still runs in its thread."""
        running.handed_back = True
        self._finish(running, Verdict(running.entry, "b", b"", 0))

    def _end(
        self,
        running: Running,
        task: Task,
        word: str,
        body: bytes | str,
        successor: Successor | None = None,
        cause: str | None = None,
    ) -> None:
        if running.stop is Stop.CANCELLED or running.handed_back:
            # A plain function that ran on: the cancel wrote the outcome, or somebody else runs it now.
            self._drop(running, word)
            return
        following = None
        if successor is not None:
            following = self._following(task, running.entry, successor)
        milliseconds = round((monotonic() - running.started) * 1000)
        self._finish(running, Verdict(running.entry, word, body, milliseconds, following, cause))

    def _drop(self, running: Running, word: str) -> None:
        self._slots.finish(running, settles=False)
        if running.logged:
            lines.dropped(running, word)
        if self._events.observers and not running.handed_back:
            outcome = "cancelled" if running.stop is Stop.CANCELLED else "lost"
            self._events.emit(TaskEnded(running.entry, outcome, monotonic() - running.started))

    def _finish(self, running: Running, verdict: Verdict) -> None:
        self._slots.finish(running, settles=True)
        self._settler.put(verdict)
        if running.logged:
            lines.ended(running, verdict)
        if self._events.observers:
            self._events.emit(TaskEnded(running.entry, OUTCOMES[verdict.word], monotonic() - running.started))

    def _following(self, task: Task, entry: Entry, successor: Successor) -> Next:
        payload = entry.payload
        if successor.args is not None or successor.kwargs is not None:
            payload = self._codec.encode_call(
                task.signature, task.name, entry.key, successor.args or (), successor.kwargs or {}
            )
        if successor.when is not None:
            return Next(None, round(successor.when.timestamp() * 1000), payload)
        return Next(round((successor.delay or timedelta(0)).total_seconds() * 1000), None, payload)


async def first(
    resolved: Resolved, handlers: Sequence[Any], method: str, execution: Execution, outcome: Outcome
) -> Successor | None:
    """The first successor that one of the handlers wants; what one raises is noted with its name."""
    for handler in handlers:
        try:
            decide: Callable[..., Any] = getattr(handler, method)
            successor = decide(execution, outcome)
            if inspect.isawaitable(successor):
                successor = await successor
            if successor is not None and not isinstance(successor, Successor):
                raise TypeError(
                    f"{method}() returned {successor!r}; expected a Successor, or None when nothing follows."
                )
        except Exception as error:
            error.add_note(
                f"Raised by {method}() of the handler {describe(handler)}, {resolved.place_of(handler)} of "
                f"{execution.function_name}."
            )
            raise
        if successor is not None:
            return successor
    return None
