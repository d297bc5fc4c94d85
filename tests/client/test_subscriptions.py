"""One pub/sub connection serves all who wait in a process."""

import asyncio

from shadows import Shadow
from tests.features.workers import working
from tests.waiting import wait_until


async def double(number: int) -> int:
    return 2 * number


async def test_many_who_begin_to_wait_at_once_share_one_connection(shadows: Shadow) -> None:
    """The example of the README waited for eight results at once, and each opened a connection: the last one
    was read by eight readers, and seven of them fell over each other when the shadow closed."""
    executions = [await shadows.add(double)(number) for number in range(20)]
    waiting = [asyncio.create_task(execution.get_result(timeout=10)) for execution in executions]
    await wait_until(lambda: connections(shadows), "somebody waits")
    async with working(shadows):
        assert await asyncio.gather(*waiting) == [2 * number for number in range(20)]
        assert await connections(shadows) == ["shadows:results"]


async def test_one_channel_may_have_several_listeners(shadows: Shadow) -> None:
    """The first to leave must not take the others' messages with it."""
    execution = await shadows.add(double)(21)
    first = asyncio.create_task(execution.get_result(timeout=10))
    others = [asyncio.create_task(execution.get_result(timeout=10)) for _ in range(3)]
    await wait_until(lambda: connections(shadows), "somebody waits")
    first.cancel()
    async with working(shadows):
        assert await asyncio.gather(*others) == [42, 42, 42]
    assert first.cancelled()


async def connections(shadows: Shadow) -> list[str]:
    """The names of the server's connections that wait for results."""
    async with shadows.redis() as client:
        return [row["name"] for row in await client.client_list() if row["name"] == "shadows:results"]
