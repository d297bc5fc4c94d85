"""A worker that is told to reconnect opens every connection anew, and goes on as if nothing had been."""

import asyncio
from datetime import timedelta

from shadows import Shadow
from shadows.testing import RedisServer
from tests.features.workers import working
from tests.waiting import wait_until

ROLES = {"reader", "settler", "control", "pulse", "signals"}


async def job(n: int) -> int:
    return n


async def connections(shadows: Shadow) -> set[tuple[str, int]]:
    """The roles and numbers of the worker's connections; the client has others."""
    async with shadows.redis() as redis:
        rows = await redis.client_list()
    named = [(row["name"].split(":"), int(row["id"])) for row in rows]
    return {(name[1], number) for name, number in named if name[0] == "shadows" and name[1] in ROLES}


async def all_five(shadows: Shadow) -> set[tuple[str, int]]:
    """The same when each role has one, else nothing."""
    found = await connections(shadows)
    return found if len(found) == len(ROLES) == len(dict(found)) else set()


async def test_every_connection_is_another_one_and_a_cancel_is_heard(own_redis: RedisServer) -> None:
    """Found out by themselves, one after the other, they would take much longer. The one for signals was closed
    instead, and forgot who listened: from then on a cancel did not reach the task."""
    cancelled = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    often = timedelta(milliseconds=100)
    async with Shadow("orders", own_redis.url, heartbeat_interval=often) as shadows, working(shadows) as worker:
        await shadows.add(long, key="long")()
        assert await (await shadows.add(job)(1)).get_result(timeout=10) == 1
        before = await wait_until(lambda: all_five(shadows), "all five are open")
        worker.reconnect()

        async def are_others() -> bool:
            await (await shadows.add(job)(2)).get_result(timeout=10)
            now = await all_five(shadows)
            return bool(now) and before.isdisjoint(now)

        await wait_until(are_others, "all five are other ones")
        assert not cancelled.is_set()
        assert await shadows.cancel("long")
        await asyncio.wait_for(cancelled.wait(), 10)
