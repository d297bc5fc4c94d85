"""A key names an execution: while one with it exists, adding it again does nothing."""

import asyncio
from datetime import timedelta

from shadows import Disposition, ExecutionState, Shadow

from .workers import finish, working

processed: list[int] = []


async def process_order(order_id: int) -> None:
    processed.append(order_id)


async def test_only_one_task_per_order_can_be_scheduled() -> None:
    """The example of the package page."""
    processed.clear()
    order_id = 5
    async with Shadow() as shadows:
        # only one task per order_id can be scheduled
        key = f"process-order-{order_id}"
        await shadows.add(process_order, key=key)(order_id)

        # duplicate scheduling is ignored
        await shadows.add(process_order, key=key)(order_id)  # ignored

        await finish(shadows)
    assert processed == [5]


async def test_an_add_says_whether_it_was_ignored(shadows: Shadow) -> None:
    """The second caller may want to know that the order was there already, and can wait for the same end."""
    processed.clear()
    first = await shadows.add(process_order, key="order")(1)
    second = await shadows.add(process_order, key="order")(2)
    assert first.disposition is Disposition.SCHEDULED
    assert second.disposition is Disposition.ALREADY_SCHEDULED
    await finish(shadows)
    await second.get_result()
    assert processed == [1]


async def test_a_scheduled_key_is_busy_too(shadows: Shadow) -> None:
    """What waits for its time exists as much as what waits for a worker."""
    await shadows.add(process_order, when=timedelta(hours=1), key="order")(1)
    again = await shadows.add(process_order, key="order")(1)
    assert again.disposition is Disposition.ALREADY_SCHEDULED


async def test_a_running_key_is_busy_too(shadows: Shadow) -> None:
    """Until the run ends; then the key can be used again."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await may_end.wait()

    execution = await shadows.add(slow, key="slow")()
    async with working(shadows):
        await started.wait()
        during = await shadows.add(slow, key="slow")()
        may_end.set()
        await execution.get_result()
        after = await shadows.add(slow, key="slow")()
        await after.get_result()
    assert during.disposition is Disposition.ALREADY_SCHEDULED
    assert after.disposition is Disposition.SCHEDULED
    assert after.submission > execution.submission


async def test_without_a_key_every_add_is_a_task_of_its_own(shadows: Shadow) -> None:
    """Fresh keys sort by the time they were made."""
    processed.clear()
    executions = [await shadows.add(process_order)(1) for _ in range(3)]
    assert len({execution.key for execution in executions}) == 3
    await finish(shadows)
    assert processed == [1, 1, 1]


async def test_a_key_used_again_after_it_finished_runs_again(shadows: Shadow) -> None:
    """Not even the kept result of the first run keeps the key."""
    processed.clear()
    await shadows.add(process_order, key="order")(1)
    await finish(shadows)
    again = await shadows.add(process_order, key="order")(2)
    assert again.disposition is Disposition.SCHEDULED
    await finish(shadows)
    assert processed == [1, 2]


async def test_a_key_used_again_for_later_does_not_keep_the_old_time_to_live(shadows: Shadow) -> None:
    """The record of a finished run has one: with it, the next execution would vanish before it is due."""
    await shadows.add(process_order, key="order")(1)
    await finish(shadows)
    async with shadows.redis() as redis:
        assert await redis.pttl(shadows.keys.record("order")) > 0
        for when in (None, timedelta(hours=1)):
            await shadows.cancel("order")
            await shadows.add(process_order, when=when, key="order")(1)
            assert await redis.pttl(shadows.keys.record("order")) == -1


async def test_many_adds_with_one_key_at_the_same_time_are_one(shadows: Shadow) -> None:
    """Two processes that race are the reason for keys."""
    processed.clear()
    async with Shadow(name=shadows.name) as other:
        racing = [each.add(process_order, key="order")(1) for each in (shadows, other) * 25]
        executions = await asyncio.gather(*racing)
    dispositions = [execution.disposition for execution in executions]
    assert dispositions.count(Disposition.SCHEDULED) == 1
    await finish(shadows)
    assert processed == [1]
    await executions[0].sync()
    assert executions[0].state is ExecutionState.COMPLETED
