"""A task can add others: it asks for the shadow that it came from."""

import asyncio
from typing import Any

from shadows import CurrentShadow, Shadow, Worker


async def test_a_task_adds_its_follow_ups(shadows: Shadow) -> None:
    """The example of the package page; one worker runs the chain to its end."""
    done: list[tuple[Any, ...]] = []

    async def send_notification(user_id: int, text: str) -> None:
        done.append(("send_notification", user_id, text))

    async def update_analytics(user_id: int) -> None:
        done.append(("update_analytics", user_id))

    async def process_user_data(user_id: int, shadows: Shadow = CurrentShadow()) -> None:
        # simulate some work
        await asyncio.sleep(0.1)

        # schedule follow-up tasks
        await shadows.add(send_notification)(user_id, "processing completed")
        await shadows.add(update_analytics)(user_id)

    await shadows.add(process_user_data)(7)
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
    assert sorted(done) == [("send_notification", 7, "processing completed"), ("update_analytics", 7)]


async def test_a_task_may_wait_for_another_one(shadows: Shadow) -> None:
    """With a free slot for it: the result comes back as from anywhere else."""

    async def square(x: int) -> int:
        return x * x

    async def sum_of_squares(numbers: list[int], shadows: Shadow = CurrentShadow()) -> int:
        executions = [await shadows.add(square)(x) for x in numbers]
        return sum([await execution.get_result() for execution in executions])

    execution = await shadows.add(sum_of_squares)([1, 2, 3])
    async with Worker(shadows) as worker:
        await worker.run_until_finished()
    assert await execution.get_result() == 14
