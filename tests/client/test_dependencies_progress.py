"""How a task's progress is counted and sent."""

import asyncio
import logging
from typing import Any

import pytest

from shadows.dependencies import Progress
from shadows.execution import Execution, ExecutionProgress
from tests.runs import RecordingShadow, context_of, execution_of, run
from tests.waiting import wait_until


class SlowShadow(RecordingShadow):
    """Its writes wait for `answer`."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def report_progress(self, execution: Execution, progress: Any) -> None:
        self.reports.append(progress)
        await self.answer.wait()


class BrokenShadow(RecordingShadow):
    """Its writes fail."""

    async def report_progress(self, execution: Execution, progress: Any) -> None:
        self.reports.append(progress)
        raise ConnectionError("no Redis")


async def test_what_a_task_says_is_reported() -> None:
    async def work(progress: Progress = Progress()) -> tuple[int, int | None, str | None]:
        await progress.set_total(10)
        await progress.increment(3)
        await progress.increment()
        await progress.set_message("on it")
        return progress.current, progress.total, progress.message

    execution, shadow = execution_of(work), RecordingShadow()
    assert await run(execution, context_of(execution, shadow)) == (4, 10, "on it")
    assert shadow.reports[-1] == ExecutionProgress(4, 10, "on it")


async def test_a_write_goes_out_while_the_task_still_runs() -> None:
    shadow = RecordingShadow()

    async def work(progress: Progress = Progress()) -> None:
        await progress.increment()
        await wait_until(lambda: shadow.reports, "the first increment is written")

    execution = execution_of(work)
    await run(execution, context_of(execution, shadow))
    assert shadow.reports == [ExecutionProgress(1)]


async def test_awaiting_progress_alone_lets_its_write_go_out() -> None:
    """A task that computes between its awaits has no other one."""
    shadow = RecordingShadow()

    async def work(progress: Progress = Progress()) -> list[Any]:
        for _ in range(5):
            await progress.increment()
        return [*shadow.reports]

    execution = execution_of(work)
    assert await run(execution, context_of(execution, shadow))


async def test_a_thousand_changes_during_one_write_are_one_write() -> None:
    shadow = SlowShadow()

    async def work(progress: Progress = Progress()) -> None:
        await progress.set_total(1000)
        await wait_until(lambda: shadow.reports, "the first write is in flight")
        for _ in range(1000):
            await progress.increment()
        shadow.answer.set()

    execution = execution_of(work)
    await run(execution, context_of(execution, shadow))
    assert shadow.reports == [ExecutionProgress(0, 1000), ExecutionProgress(1000, 1000)]


async def test_a_task_that_never_yields_has_its_end_reported() -> None:
    async def work(progress: Progress = Progress()) -> None:
        progress.increment(5)

    execution, shadow = execution_of(work), RecordingShadow()
    await run(execution, context_of(execution, shadow))
    assert shadow.reports == [ExecutionProgress(5)]


async def test_a_failing_task_still_reports_how_far_it_got() -> None:
    async def work(progress: Progress = Progress()) -> None:
        await progress.increment(5)
        raise ValueError("no")

    execution, shadow = execution_of(work), RecordingShadow()
    with pytest.raises(ValueError, match="no"):
        await run(execution, context_of(execution, shadow))
    assert shadow.reports[-1] == ExecutionProgress(5)


async def test_a_thread_counts_without_awaiting() -> None:
    """A plain `def` task runs in a thread, which can't await."""

    def count(progress: Progress) -> None:
        progress.set_total(100)
        for _ in range(100):
            progress.increment()

    async def work(progress: Progress = Progress()) -> None:
        await asyncio.gather(*(asyncio.to_thread(count, progress) for _ in range(4)))

    execution, shadow = execution_of(work), RecordingShadow()
    await run(execution, context_of(execution, shadow))
    assert shadow.reports[-1] == ExecutionProgress(400, 100)


async def test_a_thread_that_outlives_its_task_reports_nothing() -> None:
    kept: list[Progress] = []

    async def work(progress: Progress = Progress()) -> None:
        kept.append(progress)

    execution, shadow = execution_of(work), RecordingShadow()
    await run(execution, context_of(execution, shadow))
    # More turns than a write needs to begin.
    for _ in range(5):
        await kept[0].increment()
    assert kept[0].current == 5
    assert shadow.reports == []


async def test_a_write_that_fails_is_logged_once_and_fails_no_task(caplog: pytest.LogCaptureFixture) -> None:
    shadow = BrokenShadow()

    async def work(progress: Progress = Progress()) -> str:
        await progress.increment()
        await wait_until(lambda: len(shadow.reports) == 1, "the first write failed")
        await progress.increment()
        await wait_until(lambda: len(shadow.reports) == 2, "the second write failed")
        return "done"

    execution = execution_of(work)
    with caplog.at_level(logging.WARNING):
        assert await run(execution, context_of(execution, shadow)) == "done"
    [record] = caplog.records
    assert "work" in record.getMessage()
    assert "a-key" in record.getMessage()


async def test_a_cancelled_task_does_not_wait_for_its_progress() -> None:
    shadow = SlowShadow()

    async def work(progress: Progress = Progress()) -> None:
        await progress.increment()
        await asyncio.Event().wait()

    execution = execution_of(work)
    attempt = asyncio.ensure_future(run(execution, context_of(execution, shadow)))
    await wait_until(lambda: shadow.reports, "a write is in flight")
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert shadow.reports == [ExecutionProgress(1)]


async def test_a_task_cancelled_before_it_counted_has_nothing_to_stop() -> None:
    started = asyncio.Event()

    async def work(progress: Progress = Progress()) -> None:
        started.set()
        await asyncio.Event().wait()

    attempt = asyncio.ensure_future(run(execution_of(work)))
    await started.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_a_run_does_not_start_where_a_direct_call_stopped() -> None:
    async def work(progress: Progress = Progress()) -> int:
        await progress.increment()
        return progress.current

    assert [await work(), await work()] == [1, 2]
    assert await run(execution_of(work)) == 1


@pytest.mark.parametrize(("method", "argument"), [("set_total", -1), ("increment", -1)])
def test_progress_never_goes_back(method: str, argument: int) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        getattr(Progress(), method)(argument)


def test_an_empty_list_is_a_total_too() -> None:
    progress = Progress()
    progress.set_total(0)
    assert progress.total == 0
