"""One run of one entry, from its payload to the end of its call.

1. The function is looked up and the payload decoded; what can't be decoded is quarantined.
2. A struck run, and one beyond `run_at_most`, is cancelled instead; limits over all workers let it wait.
3. The function runs: on the loop, or in a thread when it is a plain `def`.
4. What became of it is for `verdicts.py` to say.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from logging import INFO, getLogger
from time import monotonic
from typing import Any

from shadows.codec.codec import Codec
from shadows.dependencies.context import TaskContext
from shadows.dependencies.kinds import Outcome
from shadows.errors import NewerFormat, ShadowsError
from shadows.execution import Execution
from shadows.records import worker_of
from shadows.registry import Registry, Task
from shadows.states import ExecutionState
from shadows.strikes import Strikes

from . import lines
from .asides import Asides
from .entries import Entry
from .events import Events, TaskStarted
from .fallback import Fallback
from .gates import Gates
from .inject import Injection
from .limits import Limits
from .pauses import Pauses
from .slots import Running, Slots
from .threads import Threads
from .verdicts import Verdicts
from .watched import Watched

logger = getLogger("shadows.worker")


class Attempts:
    """Runs entries for one worker."""

    def __init__(
        self,
        shadow: Any,
        worker: Any,
        slots: Slots,
        verdicts: Verdicts,
        asides: Asides,
        gates: Gates,
        pauses: Pauses,
        watched: Watched,
        limits: Limits,
        threads: Threads,
        events: Events,
    ) -> None:
        self._shadow = shadow
        self._worker = worker
        self._codec: Codec = shadow.codec
        self._registry: Registry = shadow.registry
        self._strikelist: Strikes = shadow.strikelist
        self._slots = slots
        self._verdicts = verdicts
        self._asides = asides
        self._gates = gates
        self._pauses = pauses
        self._watched = watched
        self._limits = limits
        self._threads = threads
        self._events = events
        self._tells_errors = worker.on_error is not None
        self._fallback: Fallback | None = worker.fallback
        self._injections: dict[Any, Injection] = {}

    def start(self, entry: Entry) -> None:
        """Takes a slot and begins; a task without awaits is over when this returns."""
        task = self._registry.get(entry.function)
        if task is None and self._fallback is not None:
            task = self._fallback.task(entry.function)
        running = Running(entry, monotonic(), task is None or task.is_async)
        if not self._slots.take(running):
            return
        if task is None:
            run = self._set_aside_unknown(running)
        elif self._strikelist.paused:
            run = self._run_unless_paused(running, task)
        else:
            run = self._run(running, task)
        # Eager: a no-op costs no extra turn of the loop, and a batch of them settles together.
        running.task = asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)

    async def _run_unless_paused(self, running: Running, task: Task) -> None:
        if not await self._pauses.hold(running):
            await self._run(running, task)

    async def _run(self, running: Running, task: Task) -> None:
        """Every way out of here frees the slot: one that stayed taken would leave its entry pending for ever."""
        entry = running.entry
        try:
            try:
                args, kwargs = self._codec.decode_call(task.arguments, entry.function, entry.key, entry.payload)
            except Exception as error:
                # Whatever it is, it is this entry's fault, and ends this entry only.
                await self._set_aside_payload(running, error)
                return
            if self._strikelist.strikes and self._is_struck(running, task, args, kwargs):
                return
            injection = self.injection(task)
            if (injection.gates or entry.places) and not await self._pass_gates(running, task, injection, args, kwargs):
                return
            # Only now: who waits at a gate comes here again.
            if self._limits.active and self._is_over(running, task):
                return
            self._tell(running, task, args, kwargs)
            if injection.needed or not task.is_async:
                await self._run_whole(running, task, injection, args, kwargs)
                return
            try:
                result = await task.function(*args, **kwargs)
            except BaseException as error:
                self._verdicts.failed(running, task, error)
            else:
                self._verdicts.completed(running, task, result)
        except Exception as error:
            self._verdicts.broke(running, task, error)

    def _tell(self, running: Running, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The run begins: the log, who follows its key, and observers hear of it."""
        # Asked once a run, and one look-up when the answer is no.
        if logger.isEnabledFor(INFO):
            running.logged = True
            lines.started(running.entry, task, args, kwargs)
        self._watched.begins(running.entry)
        if self._events.observers:
            self._events.emit(TaskStarted(running.entry, running.started))
        if self._tells_errors:
            running.execution = self._execution(running.entry, task, args, kwargs)

    def _is_struck(self, running: Running, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the entry must not run, and was ended instead."""
        struck = self._strikelist.struck(task.function, task.name, args, kwargs)
        if struck:
            self._verdicts.struck(running, task, struck, self.injection(task).perpetual)
        return struck is not None

    def _is_over(self, running: Running, task: Task) -> bool:
        """Whether `run_at_most` has no run left for the entry, and it was ended instead."""
        over = not self._limits.admit(running.entry)
        if over:
            self._verdicts.cancelled(running, task, "run_at_most reached its number")
        return over

    async def _pass_gates(
        self, running: Running, task: Task, injection: Injection, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool:
        """Whether the run may begin; otherwise its entry has left this worker, or was ended."""
        try:
            answer = await self._gates.admit(running, injection.terms(task.name, args, kwargs))
        except asyncio.CancelledError:
            # What is pending for this worker still is handed over when it signs off, or found by the next look.
            self._slots.finish(running, settles=False)
            self._gates.left()
            return False
        if answer.word == "d":
            logger.info("%s with key %r does not run: %s.", task.name, running.entry.key, answer.reason)
            self._verdicts.skipped(running, task, answer.reason, injection.perpetual)
        elif answer.word != "a":
            self._slots.finish(running, settles=False)
        return answer.word == "a"

    def has_gates(self) -> bool:
        """Whether a task that this worker knows has gates; of one that can't work its runs say why."""
        for task in self._registry:
            with suppress(ShadowsError):
                if self.injection(task).gates:
                    return True
        return False

    async def _run_whole(
        self, running: Running, task: Task, injection: Injection, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """A run with dependencies, or in a thread."""
        execution = running.execution or self._execution(running.entry, task, args, kwargs)
        context = TaskContext(self._shadow, self._worker, execution, self._worker.shared, entry=running.entry)
        resolved = injection.enter(context, args, kwargs)
        outcome: Outcome
        word = "c"
        try:
            async with resolved:
                call = partial(self._threads.call, task, args, {**kwargs, **resolved.kwargs})
                for runtime in resolved.runtimes:
                    call = partial(runtime.run, execution, call)
                result = await call()
        except BaseException as error:
            if self._verdicts.stopped(running, error):
                return
            word = "x" if isinstance(error, asyncio.CancelledError) else "f"
            outcome = Outcome(running.elapsed, exception=error)
        else:
            # A commit that fails when its dependency is closed is a failed task, though the function returned.
            word = "f" if resolved.closing_error is not None else word
            outcome = Outcome(running.elapsed, result=result, exception=resolved.closing_error)
        await self._verdicts.decide(running, task, word, execution, resolved, outcome)

    def injection(self, task: Task) -> Injection:
        """What is declared for a task, made at its first run."""
        injection = self._injections.get(task.function)
        if injection is None:
            injection = self._injections[task.function] = Injection(task.function, self._worker.around)
        return injection

    def _execution(self, entry: Entry, task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution:
        execution = Execution(self._shadow, task.function, task.name, args, kwargs, entry.key)
        execution.when = entry.when
        execution.state = ExecutionState.RUNNING
        execution.attempt = entry.attempt
        execution.priority = entry.priority
        execution.redelivered = entry.redelivered
        execution.worker = worker_of(entry.consumer)
        execution.started_at = datetime.now(UTC)
        execution.submission = int(entry.submission)
        execution.generation = int(entry.generation)
        # Each further delivery has the next number; `claim` keeps the next placing above it.
        execution.fence = execution.generation + entry.deliveries - 1
        return execution

    async def _set_aside_unknown(self, running: Running) -> None:
        try:
            await self._asides.park(running.entry, self._registry)
        finally:
            self._slots.finish(running, settles=False)

    async def _set_aside_payload(self, running: Running, error: Exception) -> None:
        try:
            if isinstance(error, NewerFormat):
                await self._asides.park_newer(running.entry, error)
            else:
                await self._asides.quarantine(running.entry, str(error) or type(error).__name__)
        finally:
            self._slots.finish(running, settles=False)
