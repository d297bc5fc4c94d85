"""One run of one entry, from its payload to a verdict: every way out frees the slot and writes what counts."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import pytest

from shadows import (
    CurrentExecution,
    Depends,
    Execution,
    ExecutionCancelled,
    ExecutionState,
    Perpetual,
    Retry,
    Shadow,
    Worker,
)
from shadows.dependencies import CompletionHandler, FailureHandler, Outcome, Runtime, Successor
from shadowsd.engine.events import Event, TaskEnded
from tests.features.workers import finish, working
from tests.waiting import wait_until

from .parts import entry_of


async def outcomes(shadows: Shadow, **options: Any) -> list[str]:
    """Runs all that waits; how each run ended, in order, as observers are told."""
    ended: list[str] = []

    def observe(event: Event) -> None:
        if isinstance(event, TaskEnded):
            assert event.duration >= timedelta(0)
            ended.append(f"{event.entry.function} {event.outcome}")

    async with Worker(shadows, **options) as worker, asyncio.timeout(20):
        worker.events.observers.append(observe)
        await worker.run_until_finished()
    return ended


async def test_observers_are_told_how_each_run_ended(shadows: Shadow) -> None:
    """For metrics and traces: one event a run."""

    async def completes() -> None: ...

    async def fails() -> None:
        raise ValueError("no")

    async def retries(retry: Retry = Retry(attempts=2)) -> None:
        if retry.attempt == 1:
            raise ValueError("no")

    async def struck() -> None: ...

    for function in (completes, fails, retries, struck):
        await shadows.add(function)()
    await shadows.strike(struck)
    assert sorted(await outcomes(shadows)) == [
        "completes completed",
        "fails failed",
        "retries completed",
        "retries retried",
        "struck cancelled",
    ]


async def test_what_is_handed_back_is_told_as_such(shadows: Shadow) -> None:
    """The run did not end; it goes on elsewhere."""
    started, ended = asyncio.Event(), list[Event]()

    async def slow(execution: Execution = CurrentExecution()) -> None:
        started.set()
        if not execution.redelivered:
            await asyncio.Event().wait()

    await shadows.add(slow)()
    async with working(shadows) as worker:
        worker.events.observers.append(ended.append)
        await started.wait()
    assert [event.outcome for event in ended if isinstance(event, TaskEnded)] == ["handed back"]
    await finish(shadows)


class Doubled(CompletionHandler):
    """Lets a task follow itself once, with other arguments."""

    async def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        n: int = execution.get_argument("n")
        return Successor(args=(2 * n,), kwargs={}) if n < 8 else None


async def test_a_handler_may_be_async_and_give_the_successor_other_arguments(shadows: Shadow) -> None:
    """Under the same key, one after the other."""
    seen: list[int] = []

    async def grow(n: int, doubled: Doubled = Doubled()) -> None:
        seen.append(n)

    await shadows.add(grow, key="grow")(1)
    await finish(shadows)
    assert seen == [1, 2, 4, 8]


class LaterToday(CompletionHandler):
    """Lets a task follow itself at a moment, with keyword arguments."""

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor:
        return Successor(when=datetime(2100, 1, 1, tzinfo=UTC), kwargs={"n": 5})


async def test_a_successor_may_have_a_moment_of_its_own(shadows: Shadow) -> None:
    """By Redis's clock."""

    async def once(n: int, later: LaterToday = LaterToday()) -> None: ...

    await shadows.add(once, key="once")(1)
    async with working(shadows):

        async def follows() -> bool:
            execution = await shadows.get_execution("once")
            return execution is not None and execution.state is ExecutionState.SCHEDULED

        await wait_until(follows, "the successor is scheduled")
    execution = await shadows.get_execution("once")
    assert execution is not None
    assert (execution.when, execution.kwargs) == (datetime(2100, 1, 1, tzinfo=UTC), {"n": 5})


class Broken(FailureHandler):
    """A handler with a bug."""

    def on_failure(self, execution: Execution, outcome: Outcome) -> Successor | None:
        raise LookupError("a bug in the handler")


class BrokenAfterwards(CompletionHandler):
    """Another one."""

    def on_complete(self, execution: Execution, outcome: Outcome) -> Successor | None:
        raise LookupError("a bug in the handler")


async def test_a_handler_that_fails_ends_the_task_with_the_first_error(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """The task's own failure matters more; what should have followed does not, and the log says so."""

    async def fails(broken: Broken = Broken()) -> None:
        raise ValueError("the task's own")

    async def works(broken: BrokenAfterwards = BrokenAfterwards()) -> str:
        return "fine"

    failing, working_ = await shadows.add(fails)(), await shadows.add(works)()
    await finish(shadows)
    with pytest.raises(ValueError, match="the task's own"):
        await failing.get_result()
    with pytest.raises(LookupError, match="a bug in the handler"):
        await working_.get_result()
    assert caplog.text.count("what should have followed the run does not") == 2


async def test_a_dependency_that_fails_to_close_fails_the_task(shadows: Shadow) -> None:
    """A commit that failed is no success, though the function returned."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[None]:
        yield
        raise ConnectionError("could not commit")

    async def task(inside: None = Depends(transaction)) -> str:
        return "done"

    execution = await shadows.add(task)()
    await finish(shadows)
    with pytest.raises(ConnectionError, match="could not commit"):
        await execution.get_result()


class Twice(Runtime):
    """Wraps the call, as `Timeout` does."""

    async def run(self, execution: Execution, call: Any) -> object:
        result = await call()
        return f"{execution.function_name} said {result}"


async def test_a_runtime_of_the_users_wraps_the_call(shadows: Shadow) -> None:
    """Its result is the task's; in a thread too."""

    async def coroutine(twice: Twice = Twice()) -> str:
        return "hello"

    def plain(twice: Twice = Twice()) -> str:
        return "hello"

    executions = [await shadows.add(coroutine)(), await shadows.add(plain)()]
    await finish(shadows)
    assert [await each.get_result() for each in executions] == ["coroutine said hello", "plain said hello"]


async def test_a_task_without_dependencies_may_cancel_itself(shadows: Shadow) -> None:
    """Nobody asked for it from outside, so that is its outcome."""

    async def gives_up() -> None:
        raise asyncio.CancelledError

    execution = await shadows.add(gives_up)()
    await finish(shadows)
    with pytest.raises(ExecutionCancelled, match="the task cancelled itself"):
        await execution.get_result()


async def test_a_run_that_was_cancelled_in_a_dependency_writes_nothing(shadows: Shadow) -> None:
    """The cancel wrote the outcome already, wherever it caught the run."""
    started = asyncio.Event()

    async def connect() -> None:
        started.set()
        await asyncio.Event().wait()

    async def task(database: None = Depends(connect)) -> None: ...

    execution = await shadows.add(task, key="task")()
    async with working(shadows) as worker:
        await started.wait()
        await shadows.cancel("task")
        with pytest.raises(ExecutionCancelled, match="cancelled"):
            await execution.get_result(timeout=5)
        await wait_until(lambda: worker.slots.idle, "the slot is free")
        assert worker.settler.fenced == 0


async def test_an_entry_that_was_cancelled_on_its_way_does_not_run(shadows: Shadow) -> None:
    """The signal was faster than the read."""
    ran: list[str] = []

    async def task() -> None:
        ran.append("ran")

    shadows.register(task)
    async with working(shadows) as worker:
        worker.slots.cancel("1000")
        worker._attempts.start(entry_of(function="task", generation="1000"))
        assert worker.slots.idle
    assert ran == []


async def test_a_payload_of_a_newer_release_is_parked(shadows: Shadow) -> None:
    """It waits for a worker that can read it, and the key stays busy."""

    async def task() -> None: ...

    execution = await shadows.add(task, key="new")()
    async with shadows.redis() as redis:
        ((id, fields),) = await redis.xrange(shadows.keys.stream)
        await redis.delete(shadows.keys.stream)
        await redis.xadd(shadows.keys.stream, {**fields, b"p": b"\xfe" + fields[b"p"][1:]}, id=id)
    await finish(shadows)
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    assert (await shadows.snapshot()).unknown_count == 1


async def test_a_successor_that_can_not_be_encoded_fails_its_run(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """It must not leave the slot taken, nor the entry pending for ever."""

    class Hostile(CompletionHandler):
        def on_complete(self, execution: Execution, outcome: Outcome) -> Successor:
            return Successor(args=(object(),))

    async def task(n: int, hostile: Hostile = Hostile()) -> None: ...

    execution = await shadows.add(task)(1)
    await finish(shadows)
    await execution.sync()
    assert execution.state is ExecutionState.FAILED
    assert "could not be ended as it should" in caplog.text


async def test_a_task_behind_a_decorator_runs_on_the_loop(shadows: Shadow) -> None:
    """`functools.wraps` shows what it wraps."""

    async def inner() -> str:
        return threading.current_thread().name

    @wraps(inner)
    def decorated() -> Any:
        return inner()

    execution = await shadows.add(decorated)()
    await finish(shadows)
    assert await execution.get_result() == threading.current_thread().name


async def test_a_struck_perpetual_run_is_followed_by_the_next_one(shadows: Shadow) -> None:
    """After its whole interval: it took no time."""

    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> None: ...

    await shadows.add(tick, key="tick")()
    await shadows.strike(tick)
    async with working(shadows):

        async def follows() -> bool:
            execution = await shadows.get_execution("tick")
            return execution is not None and execution.state is ExecutionState.SCHEDULED

        await wait_until(follows, "the next run is scheduled")
    execution = await shadows.get_execution("tick")
    assert execution is not None
    assert execution.when is not None
    assert execution.when - datetime.now(UTC) > timedelta(minutes=59)


async def test_the_log_tells_of_retries_and_failures_with_key_and_attempt(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """One line each, and the traceback of the last one."""

    async def fails(retry: Retry = Retry(attempts=2)) -> None:
        raise ValueError("no")

    with caplog.at_level(logging.INFO, "shadows.worker"):
        await shadows.add(fails, key="the key")()
        await finish(shadows)
    retried, failed = (record for record in caplog.records if "the key" in record.getMessage())
    assert retried.getMessage() == "fails with key 'the key' failed at attempt 1 and is retried: ValueError('no')"
    assert failed.getMessage() == "fails with key 'the key' failed at attempt 2."
    assert failed.exc_info is not None
