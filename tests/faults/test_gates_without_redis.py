"""Limits over all workers hold while replies are lost, while Redis is away, and after it has lost everything."""

import asyncio
from time import monotonic

import pytest

from shadows import ConcurrencyLimit, RateLimit, Shadow, Worker
from shadows.scripts import ADMIT, OPEN, Script
from shadows.testing import RedisServer
from tests.faults.conftest import brief_shadow, runs
from tests.faults.gated import all_is_gone, most_at_once, some_wait, waits
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.recorded import Journal, hold, hold_limited, rest_limited
from tests.waiting import wait_until

LIMIT = ConcurrencyLimit(1, scope="doubly")


@pytest.mark.parametrize("script", [ADMIT, OPEN], ids=lambda script: script.name)
@pytest.mark.parametrize("skip", [0, 1, 4])
async def test_lost_replies_change_nothing(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal, script: Script, skip: int
) -> None:
    order = proxy.lose_replies(where=runs(script), count=2, skip=skip)
    await near.add_many([near.call(rest_limited)(str(journal), f"k{n}", 0.001) for n in range(40)])
    began = monotonic()
    await finish(far)
    assert order.lost == 2
    assert monotonic() - began < 5
    assert journal.count("end") == {f"k{n}": 1 for n in range(40)}
    assert most_at_once(journal) == 2
    await all_is_gone(near)


async def test_a_redis_that_is_away_while_some_wait_and_some_ask(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    async with working(far):
        await near.add_many([near.call(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(8)])
        await some_wait(near, 6)
        proxy.refuse()
        proxy.cut()
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 2, "the two that run end")
        proxy.accept()
        await wait_until(lambda: journal.count("end").total() == 8, "all run")
    assert most_at_once(journal) == 2
    await all_is_gone(near)


async def test_after_a_flush_limits_hold_for_what_comes_then(own_redis: RedisServer, journal: Journal) -> None:
    async with brief_shadow(own_redis.url) as shadow, working(shadow):
        for n in range(4):
            await shadow.add(hold_limited)(str(journal), f"k{n}", "gate")
        await some_wait(shadow, 2)
        own_redis.command("FLUSHALL")
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 2, "what ran has ended")
        await wait_until(lambda: group_is_back(shadow), "the worker has noticed")
        for n in range(4):
            await shadow.add(hold_limited)(str(journal), f"new{n}", "gate")
        await wait_until(lambda: journal.count("end").total() == 6, "what came then runs")
        await all_is_gone(shadow)
    assert most_at_once(journal) == 2


async def group_is_back(shadow: Shadow) -> bool:
    async with shadow.redis() as redis:
        return bool(await redis.exists(shadow.keys.stream) and await redis.xinfo_groups(shadow.keys.stream))


async def test_a_worker_that_is_stopped_while_its_entries_ask(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    order = proxy.lose_replies(where=runs(ADMIT))
    await near.add_many([near.call(rest_limited)(str(journal), f"k{n}", 0.0) for n in range(4)])
    async with Worker(far) as worker:
        running = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: order.lost == 1, "they have asked")
        stopping = asyncio.create_task(worker.stop_at_once())
        await stopping
        await running
    await finish(near)
    assert journal.count("end") == {f"k{n}": 1 for n in range(4)}
    await all_is_gone(near)


async def test_who_was_let_in_and_ended_while_it_asked_at_another_limit_keeps_no_place(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    """The place stayed taken for as long as the worker lived. The message of the cancel was lost, or slower than the
    answer."""

    async def doubly_limited(label: str, limit: ConcurrencyLimit = LIMIT, rate: RateLimit = RateLimit(1000)) -> str:
        return await hold(str(journal), label, label)

    far.register(doubly_limited)
    async with working(far):
        for label in ("a", "b"):
            await near.add(doubly_limited, key=label)(label)
        await some_wait(near, 1)
        proxy.delay(0.1)
        journal.open_gate("a")
        await wait_until(lambda: was_let_in(near, "b"), "the second one is let in")
        async with near.redis() as redis:
            ((id, _),) = await redis.xrange(near.keys.returned)
            await redis.xack(near.keys.returned, "workers", id)
            await redis.xdel(near.keys.returned, id)
            await redis.delete(near.keys.record("b"))
        proxy.delay(0)
        journal.open_gate("c")
        last = await near.add(doubly_limited, key="c")("c")
        assert await last.get_result(timeout=5) == "c"
        assert journal.count("start") == {"a": 1, "c": 1}
        await all_is_gone(near)


async def was_let_in(shadow: Shadow, key: str) -> bool:
    async with shadow.redis() as redis:
        held = await redis.hvals(f"{shadow.keys.prefix}gate:c:doubly")
    return any(key.encode() in each for each in held) and not await waits(shadow, 1)
