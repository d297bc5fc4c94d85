"""A task tells how far it is, and whoever has its execution can see it."""

import asyncio

from shadows import CurrentExecution, Execution, Progress, Shadow
from shadows.execution import ExecutionProgress
from tests.waiting import wait_until

from .workers import finish, working


async def test_progress_is_seen_while_the_task_runs(shadows: Shadow) -> None:
    """Total, current and a message."""
    may_end = asyncio.Event()

    async def convert(pages: int, progress: Progress = Progress()) -> None:
        await progress.set_total(pages)
        await progress.increment(3)
        await progress.set_message("page 3")
        await may_end.wait()

    execution = await shadows.add(convert)(10)

    async def is_seen() -> bool:
        await execution.sync()
        return execution.progress == ExecutionProgress(3, 10, "page 3")

    async with working(shadows):
        await wait_until(is_seen, "the progress is seen")
        may_end.set()
        await execution.get_result()


async def test_the_last_progress_stays_with_the_result(shadows: Shadow) -> None:
    """Also what was told just before the end; plain functions call the methods without awaiting."""

    def count(progress: Progress = Progress()) -> None:
        progress.set_total(1000)
        for _ in range(1000):
            progress.increment()

    execution = await shadows.add(count)()
    await finish(shadows)
    await execution.sync()
    assert execution.progress is not None
    assert (execution.progress.current, execution.progress.total, execution.progress.message) == (1000, 1000, None)


async def test_a_key_used_again_starts_from_nothing(shadows: Shadow) -> None:
    """The progress belongs to the execution, not to the key."""

    async def count(progress: Progress = Progress()) -> None:
        progress.increment(5)

    async def silent() -> None: ...

    await shadows.add(count, key="count")()
    await finish(shadows)
    again = await shadows.add(silent, key="count")()
    await finish(shadows)
    await again.sync()
    assert again.progress is None


async def test_a_run_that_was_redelivered_tells_its_progress_too(shadows: Shadow) -> None:
    """It is written for the generation, and the fence of a further delivery is above that."""
    started = asyncio.Event()

    async def convert(progress: Progress = Progress(), execution: Execution = CurrentExecution()) -> None:
        started.set()
        if not execution.redelivered:
            await asyncio.Event().wait()
        assert execution.fence > execution.generation
        await progress.increment(7)

    added = await shadows.add(convert)()
    async with working(shadows):
        await started.wait()
    await finish(shadows)
    await added.get_result()
    await added.sync()
    assert added.progress is not None
    assert added.progress.current == 7
