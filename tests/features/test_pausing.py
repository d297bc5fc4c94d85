"""`pause` and `resume`: executions wait, every worker follows at once, and nothing is lost."""

import asyncio
from datetime import timedelta

import pytest

from shadows import ExecutionState, Shadow, Worker
from shadows.errors import ArgumentsError
from tests.engine.parts import delivered
from tests.features.workers import finish, working
from tests.waiting import wait_until

ran: list[object] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def bill(number: int) -> None:
    ran.append(number)


async def mail() -> None:
    ran.append("mail")


async def test_a_paused_function_waits_and_others_run(shadows: Shadow) -> None:
    await shadows.pause(bill)
    assert await shadows.paused() == ["bill"]
    execution = await shadows.add(bill)(1)
    await shadows.add(mail)()
    async with working(shadows):
        await wait_until(lambda: ran == ["mail"], "the other one ran")
        await wait_until(lambda: paused_count(shadows, 1), "the paused one is set aside")
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED
        await shadows.resume(bill)
        await execution.get_result(timeout=10)
    assert ran == ["mail", 1]
    assert await shadows.paused() == []


async def test_what_was_held_runs_in_its_order(shadows: Shadow) -> None:
    await shadows.pause("bill")
    for number in range(20):
        await shadows.add(bill)(number)
    async with working(shadows):
        await wait_until(lambda: paused_count(shadows, 20), "all are set aside")
        await shadows.resume("bill")
        await wait_until(lambda: len(ran) == 20, "all ran")
    assert ran == list(range(20))


async def test_a_paused_shadow_takes_nothing_and_finishes_what_runs(shadows: Shadow) -> None:
    hold, began = asyncio.Event(), asyncio.Event()

    async def lasts() -> str:
        began.set()
        await hold.wait()
        return "done"

    running = await shadows.add(lasts)()
    async with working(shadows):
        await asyncio.wait_for(began.wait(), 10)
        await shadows.pause()
        assert await shadows.paused() == ["*"]
        waiting = await shadows.add(mail)()
        hold.set()
        assert await running.get_result(timeout=10) == "done"
        with pytest.raises(TimeoutError):
            await waiting.get_result(timeout=0.3)
        await shadows.resume()
        await waiting.get_result(timeout=10)


async def test_what_was_on_its_way_when_all_was_paused_is_given_back(shadows: Shadow) -> None:
    """It begins nowhere, and is claimed when the pause is over."""
    await shadows.add(bill)(1)
    async with Worker(shadows) as worker:
        (entry,) = await delivered(shadows, consumer=worker.membership.consumer)
        await shadows.pause()
        worker._parts.attempts.start(entry)
        await wait_until(lambda: worker.slots.idle, "it is given back")
        assert ran == []
        assert (await shadows.snapshot()).queued
        await shadows.resume()
        await worker.run_until_finished()
    assert ran == [1]


async def test_a_worker_that_starts_later_knows_of_the_pause(shadows: Shadow) -> None:
    await shadows.pause()
    execution = await shadows.add(mail)()
    async with working(shadows), working(shadows):
        with pytest.raises(TimeoutError):
            await execution.get_result(timeout=0.3)
        assert ran == []


async def test_what_is_due_waits_too(shadows: Shadow) -> None:
    await shadows.pause(bill)
    await shadows.add(bill, when=timedelta(milliseconds=20))(1)
    async with working(shadows):
        await wait_until(lambda: paused_count(shadows, 1), "it is set aside")
        assert ran == []
        await shadows.resume(bill)
        await wait_until(lambda: ran == [1], "it ran")


async def test_what_is_held_can_be_cancelled_replaced_and_cleared(shadows: Shadow) -> None:
    await shadows.pause(bill)
    keys = ["cancelled", "replaced", "cleared"]
    executions = [await shadows.add(bill, key=key)(number) for number, key in enumerate(keys)]
    async with working(shadows):
        await wait_until(lambda: paused_count(shadows, 3), "they are set aside")
        assert await shadows.cancel("cancelled")
        await shadows.replace(bill, timedelta(hours=1), "replaced")(9)
        assert await shadows.clear() == 2
        assert await paused_count(shadows, 0)
        await shadows.resume(bill)
        await executions[0].sync()
    assert executions[0].state is ExecutionState.CANCELLED
    assert ran == []


async def test_a_held_key_is_busy(shadows: Shadow) -> None:
    await shadows.pause(bill)
    await shadows.add(bill, key="one")(1)
    async with working(shadows):
        await wait_until(lambda: paused_count(shadows, 1), "it is set aside")
        assert (await shadows.add(bill, key="one")(2)).disposition == "already_scheduled"


async def test_what_was_held_when_all_workers_left_comes_back(shadows: Shadow) -> None:
    """Whoever resumed need not stay, and no worker need be there."""
    await shadows.pause(bill)
    await shadows.add(bill)(1)
    async with working(shadows):
        await wait_until(lambda: paused_count(shadows, 1), "it is set aside")
    await shadows.resume(bill)
    await finish(shadows)
    assert ran == [1]


async def test_a_worker_finishes_though_something_is_paused(shadows: Shadow, caplog: pytest.LogCaptureFixture) -> None:
    await shadows.pause(bill)
    await shadows.add(bill)(1)
    await finish(shadows)
    assert "Finished, but for 1 paused function." in caplog.text


async def test_a_worker_that_runs_until_finished_waits_for_what_was_resumed(shadows: Shadow) -> None:
    """What comes back is on its way when `resume` returns; the worker must not end before it is there."""
    await shadows.pause(bill)
    await shadows.add(bill)(1)
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
        await shadows.resume(bill)
        await worker.run_until_finished()
    assert ran == [1]


async def test_a_pause_strikes_nothing(shadows: Shadow) -> None:
    await shadows.pause(bill)
    assert (await shadows.add(bill)(1)).disposition == "scheduled"
    assert shadows.strikelist.strikes == []


async def test_a_name_that_can_be_none_is_refused(shadows: Shadow) -> None:
    with pytest.raises(ArgumentsError, match="function name"):
        await shadows.pause("\udcff")


async def paused_count(shadows: Shadow, count: int) -> bool:
    return (await shadows.snapshot()).paused_count == count
