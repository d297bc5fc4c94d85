"""A loop that is closed under its worker is noticed, and what a Ctrl-C left asleep in it does not hold it up."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from shadowsd.engine.closing import Closing


async def clean_up(said: list[Any], word: object) -> None:
    """Takes some turns of the loop."""
    for _ in range(3):
        await asyncio.sleep(0)
    said.append(word)


def forget_steps() -> None:
    """As a KeyboardInterrupt makes asyncio forget the one that it was about to run."""
    asyncio.get_running_loop()._ready.clear()  # type: ignore[attr-defined]


def test_closing_a_loop_is_noticed_by_those_who_are_cancelled_with_it() -> None:
    """Else a task that asyncio cancelled would count as one that cancelled itself."""
    seen = []

    async def sleep(closing: Closing) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(closing.begun)

    async def main() -> asyncio.Task[None]:
        closing = Closing()
        by_its_own = asyncio.create_task(sleep(closing))
        await asyncio.sleep(0)
        by_its_own.cancel()
        task = asyncio.create_task(sleep(closing))
        await asyncio.sleep(0)
        return task

    with asyncio.Runner() as runner:
        task = runner.run(main())
    assert task.cancelled()
    assert seen == [False, True]


def test_a_task_whose_step_was_lost_runs_to_its_end_before_the_loop_is_closed() -> None:
    """A KeyboardInterrupt right after asyncio had taken the step from its queue made the process wait for ever."""
    said: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    async def begin() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await clean_up(said, "closed")

    async def wait_for(task: asyncio.Task[None]) -> None:
        try:
            await task
        except asyncio.CancelledError:
            said.append("told")
            raise

    async def main() -> None:
        with Closing():
            tasks.append(asyncio.create_task(begin()))
            tasks.append(asyncio.create_task(wait_for(tasks[0])))
            await asyncio.sleep(0)
            tasks.append(asyncio.create_task(begin()))  # this one loses its first step
            forget_steps()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), asyncio.Runner() as runner:
        runner.run(main())
    assert said == ["closed", "told"]
    assert all(task.cancelled() for task in tasks)


def test_tasks_that_are_told_in_time_go_on_by_themselves() -> None:
    """Two that ran one coroutine would be worse than one that sleeps."""
    said: list[Any] = []
    tasks: list[asyncio.Task[None]] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await clean_up(said, asyncio.current_task())

    async def turn() -> None:
        try:
            while True:  # noqa: ASYNC110 # it waits for nothing
                await asyncio.sleep(0)
        finally:
            await clean_up(said, asyncio.current_task())

    async def main() -> None:
        Closing()
        tasks.extend(asyncio.create_task(work()) for work in (wait, turn, wait, turn))
        await asyncio.sleep(0)

    with asyncio.Runner() as runner:
        runner.run(main())
    assert sorted(map(id, said)) == sorted(map(id, tasks))


def test_a_task_that_will_not_end_is_ended_when_its_loop_is_closed_and_not_before() -> None:
    """asyncio waits for it without a limit, so that the process never came to its end."""
    stubborn: list[asyncio.Task[None]] = []

    async def refuse() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def give_up(closing: Closing) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closing.let_go(stubborn)

    async def main() -> asyncio.Task[None]:
        closing = Closing()
        stubborn.append(asyncio.create_task(refuse()))
        task = asyncio.create_task(give_up(closing))
        await asyncio.sleep(0)
        closing.let_go(stubborn)
        assert not stubborn[0].done()
        return task

    with asyncio.Runner() as runner:
        runner.run(main())
    assert stubborn[0].cancelled()


async def test_after_a_good_end_nothing_waits_any_more() -> None:
    """Workers come and go in a process that lives for years."""
    before = asyncio.all_tasks()
    with Closing() as closing:
        assert len(asyncio.all_tasks() - before) == 1
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert not closing.begun
