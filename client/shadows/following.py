"""Following one execution: waiting for its outcome, and telling of each change until it has one.

Both listen first and look then, so that nothing falls between, and look again by the clock: a message can get lost.
Workers do not announce that a run begins, which would cost each task a command. So whoever subscribes asks them to, for
this key and a while; where that came too late, or got lost, the run is told of with what came after it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from time import monotonic
from typing import Any

from .connection import Link
from .errors import ExecutionCancelled, ResultNotKept, ServerRefused
from .execution import Event, Execution, ProgressEvent, StateEvent
from .keys import Keys
from .records import Record, Records
from .scripts import WATCH
from .states import FINISHED, ExecutionState
from .subscriptions import Subscriptions

# A worker announces the runs of a key for a minute after it was asked to; so it is asked again before.
ASK_AGAIN_SECONDS = 20.0


class Following:
    """Follows executions for one shadow."""

    def __init__(self, link: Link, keys: Keys, records: Records, subscriptions: Subscriptions) -> None:
        self._link = link
        self._keys = keys
        self._records = records
        self._subscriptions = subscriptions

    async def result_of(self, execution: Execution, seconds: float | None, poll_seconds: float) -> Any:
        """Waits for the outcome of the execution's submission; looks again each `poll_seconds` though
        nothing was said, since a message can be lost."""
        deadline = None if seconds is None else monotonic() + seconds
        changed = asyncio.Event()

        def listener(message: bytes | None) -> None:
            changed.set()

        channel = self._keys.events(execution.key)
        with suppress(ServerRefused):  # then it looks by the clock
            await self._subscriptions.add(channel, listener)
        try:
            while True:
                changed.clear()
                record = await self._records.read(execution.key)
                outcome = record.outcome_of(execution.submission)
                if outcome is not None:
                    return self._records.unwrap(execution, record, outcome)
                if not (record.live and record.submission == execution.submission):
                    raise missing(execution, record)
                await until(changed, deadline, poll_seconds, execution)
        finally:
            await self._subscriptions.remove(channel, listener)

    async def events_of(self, execution: Execution, poll_seconds: float) -> AsyncGenerator[Event]:
        """The present state and progress, then each change, until this submission has its outcome."""
        heard: deque[bytes | None] = deque()
        changed = asyncio.Event()

        def listener(message: bytes | None) -> None:
            heard.append(message)
            changed.set()

        channel = self._keys.events(execution.key)
        with suppress(ServerRefused):  # then it looks by the clock
            await self._subscriptions.add(channel, listener)
        telling = Telling(execution)
        asked = -ASK_AGAIN_SECONDS
        try:
            while True:
                if monotonic() - asked >= ASK_AGAIN_SECONDS:
                    asked = monotonic()
                    await self._link.repeat(WATCH, [self._keys.watched], [self._keys.signal, execution.key])
                changed.clear()
                words = said_of(execution.submission, heard)
                record = await self._records.read(execution.key)
                self._records.bring_up_to_date(execution, record)
                for event in telling.tell(record, words):
                    yield event
                if telling.state in FINISHED:
                    return
                if not record.live or record.submission != execution.submission:
                    raise missing(execution, record)
                with suppress(TimeoutError):
                    async with asyncio.timeout(poll_seconds):
                        await changed.wait()
        finally:
            await self._subscriptions.remove(channel, listener)


class Telling:
    """Which events follow from what was heard and read; each state is told of once, until another one comes."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._progress: ProgressEvent | None = None
        self.state: ExecutionState | None = None

    def tell(self, record: Record, words: list[str]) -> list[Event]:
        """The events after one look; `words` is what was heard before it, in order."""
        execution = self._execution
        states = [ExecutionState(word) for word in words if word in ExecutionState]
        if record.submission > execution.submission and record.outcome_of(execution.submission) is None:
            # Another one has taken its place, and the record tells of that one only.
            states, execution.error = [ExecutionState.CANCELLED], "replaced"
        elif "g" in record.fields or not states:
            states.append(execution.state)
        ran = execution.started_at is not None and self.state is not None
        events: list[Event] = []
        for state in states:
            if state in FINISHED and ran and self.state is not ExecutionState.RUNNING and self.state not in FINISHED:
                self.state = execution.state = ExecutionState.RUNNING
                events.append(state_event(execution))
            if state is not self.state and self.state not in FINISHED:
                self.state = execution.state = state
                events.append(state_event(execution))
        progress = progress_event(execution)
        if progress != self._progress:
            self._progress = progress
            # Before the end, which is the last event.
            events.insert(len(events) - (self.state in FINISHED), progress)
        return events


def said_of(submission: int, heard: deque[bytes | None]) -> list[str]:
    """What the messages say of this submission, taken out of the queue; a gap says nothing."""
    words = []
    while heard:
        number, _, word = (heard.popleft() or b"").decode(errors="replace").partition(" ")
        if number == str(submission):
            words.append(word)
    return words


def state_event(execution: Execution) -> StateEvent:
    """The event of the state that the execution has now."""
    running = execution.state is ExecutionState.RUNNING
    ended = execution.state in FINISHED
    when, began, end = execution.when, execution.started_at, execution.completed_at
    return StateEvent(
        type="state",
        key=execution.key,
        state=execution.state,
        when=when.isoformat() if when else None,
        worker=execution.worker if running or ended else None,
        started_at=began.isoformat() if began and (running or ended) else None,
        completed_at=end.isoformat() if end and ended else None,
        error=execution.error if ended else None,
    )


def progress_event(execution: Execution) -> ProgressEvent:
    """The event of the progress that the execution has now."""
    progress = execution.progress
    return ProgressEvent(
        type="progress",
        key=execution.key,
        current=progress.current if progress else 0,
        total=progress.total if progress else None,
        message=progress.message if progress else None,
    )


def missing(execution: Execution, record: Record) -> Exception:
    """Why an execution that is not live has no outcome to give."""
    if record.submission > execution.submission:
        return ExecutionCancelled("replaced")
    return ResultNotKept(
        f"Nothing is kept of {execution.function_name} with key {execution.key!r}: it ended longer ago than the "
        "execution_ttl of its worker, or its record was deleted. Raise execution_ttl, or ask sooner."
    )


async def until(changed: asyncio.Event, deadline: float | None, poll_seconds: float, execution: Execution) -> None:
    """Waits for a change, at most until it is time to look again; TimeoutError at the deadline."""
    wait = poll_seconds
    if deadline is not None:
        wait = min(wait, deadline - monotonic())
        if wait <= 0:
            raise TimeoutError(
                f"{execution.function_name} with key {execution.key!r} is {execution.state} and has no result yet; "
                "wait longer, or see `shadows workers ls` for whether a worker runs."
            )
    try:
        async with asyncio.timeout(wait):
            await changed.wait()
    except TimeoutError:
        pass
