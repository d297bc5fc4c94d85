"""What the log says of runs: one line at each end of each, whatever becomes of it, and nothing for nobody."""

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shadows import CurrentExecution, Execution, Retry, Shadow, TaskLogger
from shadows.registry import Task
from shadowsd.engine import lines
from shadowsd.engine.entries import Entry
from shadowsd.engine.slots import Stop
from tests.features.workers import finish, working
from tests.waiting import wait_until

from .parts import CONSUMER, STREAM, entry_of


async def completes() -> None: ...


def completes_in_a_thread() -> None: ...


async def fails() -> None:
    raise ValueError("no")


async def cancels_itself() -> None:
    raise asyncio.CancelledError


async def returns_what_can_not_be_stored() -> Any:
    return object()


ENDS = {
    completes: "completes completed after some ms.",
    completes_in_a_thread: "completes_in_a_thread completed after some ms.",
    fails: "fails failed at attempt 1.",
    cancels_itself: "cancels_itself was cancelled after some ms: the task cancelled itself.",
    returns_what_can_not_be_stored: "returns_what_can_not_be_stored failed at attempt 1.",
}


@pytest.mark.parametrize("task", ENDS, ids=lambda task: task.__name__)
async def test_a_run_has_one_line_at_its_start_and_one_at_its_end(
    task: Callable[..., Any], shadows: Shadow, log: Callable[[], list[str]]
) -> None:
    """A failure is told with its traceback, and not again as an end."""
    await shadows.add(task, key="the key")()
    await finish(shadows)
    assert log() == [f"{task.__name__} started.", ENDS[task]]


async def test_each_attempt_has_its_two_lines(shadows: Shadow, log: Callable[[], list[str]]) -> None:
    async def flaky(retry: Retry = Retry(attempts=2)) -> None:
        if retry.attempt == 1:
            raise ValueError("no")

    await shadows.add(flaky, key="the key")()
    await finish(shadows)
    assert log() == [
        "flaky started.",
        "flaky failed at attempt 1 and is retried: ValueError('no')",
        "flaky started at attempt 2.",
        "flaky completed at attempt 2 after some ms.",
    ]


async def test_what_does_not_run_does_not_start(shadows: Shadow, log: Callable[[], list[str]]) -> None:
    """Struck while it waited: the log tells that it is, and nothing else of it."""
    await shadows.add(completes, key="the key")()
    await shadows.strike(completes)
    await finish(shadows)
    assert log() == ["completes is struck (completes) and does not run."]


async def test_a_run_that_is_cancelled_from_outside_does_not_count(
    shadows: Shadow, log: Callable[[], list[str]]
) -> None:
    """The cancel wrote the outcome; the line is about the run."""

    async def loops() -> None:
        await asyncio.Event().wait()

    await shadows.add(loops, key="the key")()
    async with working(shadows) as worker:
        await wait_until(log, "it runs")
        await shadows.cancel("the key")
        await wait_until(lambda: worker.slots.idle, "the slot is free")
    assert log() == ["loops started.", "loops ended after some ms and does not count: cancelled."]


@pytest.mark.parametrize("error", [None, ValueError("no")], ids=["returns", "raises"])
async def test_a_plain_function_that_ends_after_it_was_cancelled_has_one_end(
    error: Exception | None, shadows: Shadow, log: Callable[[], list[str]]
) -> None:
    """A traceback is worth a line though it does not count, and one line is enough."""
    may_end = threading.Event()

    def blocks() -> None:
        may_end.wait(10)
        if error is not None:
            raise error

    await shadows.add(blocks, key="the key")()
    async with working(shadows) as worker:
        await wait_until(log, "it runs")
        await shadows.cancel("the key")
        (running,) = worker.slots.running.values()
        await wait_until(lambda: running.stop, "the cancel came")
        may_end.set()
        await wait_until(lambda: worker.slots.idle, "the slot is free")
    end = "ended after some ms and does not count: cancelled" if error is None else "failed at attempt 1"
    assert log() == ["blocks started.", f"blocks {end}."]


async def test_what_is_handed_back_ends_here_and_starts_elsewhere(
    shadows: Shadow, log: Callable[[], list[str]]
) -> None:
    """The log of one worker tells where to look on."""

    async def loops(execution: Execution = CurrentExecution()) -> None:
        if not execution.redelivered:
            await asyncio.Event().wait()

    await shadows.add(loops, key="the key")()
    async with working(shadows):
        await wait_until(log, "it runs")
    await finish(shadows)
    assert log() == [
        "loops started.",
        "loops was handed back after some ms.",
        "loops started, redelivered.",
        "loops completed after some ms.",
    ]


async def test_the_end_of_a_thread_that_was_handed_back_is_no_news(
    shadows: Shadow, log: Callable[[], list[str]]
) -> None:
    """It runs on, and the log had told how this run ended."""
    may_end = threading.Event()

    def blocks() -> None:
        may_end.wait(10)

    await shadows.add(blocks, key="the key")()
    async with working(shadows) as worker:
        await wait_until(log, "it runs")
        (running,) = worker.slots.running.values()
    may_end.set()
    assert running.task is not None
    await running.task
    assert log() == ["blocks started.", "blocks was handed back after some ms."]


async def test_a_run_that_is_stopped_with_its_lease_says_so(shadows: Shadow, log: Callable[[], list[str]]) -> None:
    """Another worker has it: this one writes nothing."""

    async def loops(execution: Execution = CurrentExecution()) -> None:
        await asyncio.Event().wait()

    await shadows.add(loops, key="the key")()
    async with working(shadows) as worker:
        await wait_until(log, "it runs")
        worker.slots.stop_all(Stop.LEASE_LOST)
        await wait_until(lambda: worker.slots.idle, "the slot is free")
    assert log() == ["loops started.", "loops ended after some ms and does not count: the worker lost its lease."]


async def test_a_late_start_tells_how_late_it_is(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    """It was due before there was a worker."""
    caplog.set_level(logging.INFO, "shadows.worker")
    due = datetime.now(UTC) + timedelta(milliseconds=30)
    execution = await shadows.add(completes, when=due)()
    await wait_until(lambda: datetime.now(UTC) > due + timedelta(milliseconds=50), "it is late")
    await finish(shadows)
    found = re.search(rf"completes with key '{execution.key}' started, (\d+) ms late\.", caplog.text)
    assert found is not None
    assert 50 <= int(found[1]) < 20_000


@pytest.mark.parametrize("due", ["nan", "inf", "-inf", "1e300", "-1e300", "9e12"])
def test_a_due_time_that_is_none_or_not_yet_is_not_late(due: str, log: Callable[[], list[str]]) -> None:
    """Damaged in Redis, or told by a clock that runs ahead."""
    lines.started(entry_of("the key", w=due), Task(completes, "job"), (), {})
    assert log() == ["job started, some ms late."]


def test_a_start_tells_all_that_is_special_about_it(log: Callable[[], list[str]]) -> None:
    """In one line."""
    words = [b"k", b"the key", b"f", b"job", b"p", b"", b"a", b"3", b"w", b"0"]
    lines.started(Entry(STREAM, "1000", words, 2, CONSUMER), Task(completes, "job"), (), {})
    assert log() == ["job started at attempt 3, redelivered, some ms late."]


async def test_the_records_of_a_run_carry_what_those_of_its_task_do(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever collects logs finds them all by the key; a message is for people."""

    async def speaks(
        logger: logging.LoggerAdapter[logging.Logger] = TaskLogger(), retry: Retry = Retry(attempts=2)
    ) -> None:
        logger.info("half way")
        raise ValueError("no")

    with caplog.at_level(logging.INFO, "shadows"):
        await shadows.add(speaks, key="the key")()
        await finish(shadows)
    seen = [(said["key"], said["function"], said["attempt"]) for said in map(vars, caplog.records) if "key" in said]
    assert seen == [("the key", "speaks", attempt) for attempt in (1, 1, 1, 2, 2, 2)]


async def test_a_run_whose_start_nobody_saw_has_no_end_either(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """The level is looked at once a run; a line without the other would be a riddle."""
    caplog.set_level(logging.WARNING, "shadows.worker")

    async def turns_up() -> None:
        caplog.set_level(logging.INFO, "shadows.worker")

    await shadows.add(turns_up)()
    await finish(shadows)
    assert "turns_up" not in caplog.text
