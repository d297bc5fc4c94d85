"""What a task may cost in calls to Redis. These tests count; `bench/` measures."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from shadows import Shadow
from shadows.priorities import PRIORITIES
from shadows.testing import RedisServer
from tests.proxy import Proxy
from tests.waiting import wait_until

from .workers import finish, working

# The commands that clients and workers send while tasks flow; all others run inside of the scripts, as
# `test_under_load_only_scripts_and_reads_are_sent` sees.
TOP_LEVEL = ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_xreadgroup", "cmdstat_client")
TASKS = 1000


async def no_op() -> None: ...


async def brief_work() -> None:
    await asyncio.sleep(random.random() * 0.005)


async def calls_per_task(server: RedisServer, concurrency: int, *functions: Callable[[], Awaitable[None]]) -> float:
    """Round trips per task from `add` to done, with 32 adds in flight; each top-level command is one."""
    async with (
        Shadow(url=server.url) as shadows,
        shadows.redis() as redis,
        working(shadows, concurrency=concurrency) as worker,
    ):
        # Connects, and makes the scripts known.
        await (await shadows.add(no_op)()).get_result()

        async def calls() -> int:
            stats = await redis.info("commandstats")
            return sum(stats[name]["calls"] for name in stats if name.partition("|")[0] in TOP_LEVEL)

        async def add_some(numbers: range) -> None:
            for n in numbers:
                await shadows.add(functions[n % len(functions)])()

        before = await calls()
        await asyncio.gather(*[add_some(range(n, TASKS, 32)) for n in range(32)])
        await wait_until(lambda: worker.settler.done == TASKS + 1, "all tasks are done and settled")
        return (await calls() - before) / TASKS


async def test_no_ops_cost_a_tenth_of_a_round_trip(quiet_redis: RedisServer) -> None:
    """32 added at a time, 32 run at a time: one call each adds, hands out and settles a whole round of them."""
    assert await calls_per_task(quiet_redis, 32, no_op) <= 0.1


async def test_at_the_default_concurrency_no_ops_cost_a_quarter(quiet_redis: RedisServer) -> None:
    """Ten at a time make smaller rounds."""
    assert await calls_per_task(quiet_redis, 10, no_op) <= 0.25


async def test_tasks_that_end_at_different_times_cost_less_than_half(quiet_redis: RedisServer) -> None:
    """0 to 5 ms, mixed with no-ops: rounds can't be whole, but what ends together settles together."""
    assert await calls_per_task(quiet_redis, 32, no_op, brief_work) <= 0.4


async def test_priorities_cost_no_further_round_trip(shadows: Shadow, proxy: Proxy) -> None:
    """One script hands out what is ready of all three, in their order. It reads inside of Redis, so what is counted is
    what goes over the network."""
    async with Shadow(name=shadows.name, url=proxy.url) as through, working(through, concurrency=32) as worker:
        for priority in PRIORITIES:
            await (await through.add(no_op, priority=priority)()).get_result()

        async def add_some(numbers: range) -> None:
            for n in numbers:
                await through.add(no_op, priority=tuple(PRIORITIES)[n % 3])()

        proxy.reset_counts()
        await asyncio.gather(*[add_some(range(n, TASKS, 32)) for n in range(32)])
        await wait_until(lambda: worker.settler.done == TASKS + 3, "all tasks are done and settled")
        assert sum(proxy.commands.values()) / TASKS <= 0.12
        assert proxy.commands["XGROUP"] == 0  # a stream that is empty stays


async def test_under_load_only_scripts_and_reads_are_sent(quiet_redis: RedisServer) -> None:
    """At most 4 top-level commands a task, and none but these three: nothing is done one by one."""
    sent: Counter[str] = Counter()
    async with Shadow(url=quiet_redis.url) as shadows, working(shadows):
        await (await shadows.add(no_op)()).get_result()
        quiet_redis.command("ECHO", "connects")
        async with shadows.redis() as redis, redis.monitor() as monitor:
            executions = await asyncio.gather(*[shadows.add(no_op)() for _ in range(100)])
            await asyncio.gather(*[execution.get_result() for execution in executions])
            quiet_redis.command("ECHO", "the end")
            async for command in monitor.listen():
                if command["command"].startswith("ECHO the end"):
                    break
                if command["client_type"] != "lua":
                    sent[command["command"].partition(" ")[0]] += 1
    waiting = sent.pop("SUBSCRIBE") + sent.pop("UNSUBSCRIBE")
    assert waiting <= 200, "whoever waits for a result listens for it once"
    # Reading each result is a script, too: 100 of these.
    assert set(sent) <= {"EVALSHA", "XREADGROUP", "CLIENT"}
    assert sent.total() <= 4 * 100


@pytest.mark.slow
async def test_an_idle_worker_sends_at_most_one_command_a_second(proxy: Proxy) -> None:
    """Its beats included: it waits for a push, and does not poll."""
    async with Shadow(url=proxy.url) as shadows, working(shadows):
        await (await shadows.add(no_op)()).get_result()
        proxy.reset_counts()
        await asyncio.sleep(10)
        sent = Counter(proxy.commands)
    assert 1 <= sent.total() <= 10, sent


async def test_adds_at_the_same_time_go_out_together(proxy: Proxy) -> None:
    """The first goes at once, and whatever is added while it is under way goes in the next."""
    async with Shadow(url=proxy.url) as shadows:
        await shadows.add(no_op)()
        proxy.reset_counts()
        await asyncio.gather(*[shadows.add(no_op)() for _ in range(200)])
        assert proxy.commands["EVALSHA"] <= 2
        assert proxy.commands.total() == proxy.commands["EVALSHA"]


async def test_a_bulk_takes_one_call_for_each_two_hundred(proxy: Proxy) -> None:
    """As many as one script may carry."""
    async with Shadow(url=proxy.url) as shadows:
        await shadows.add(no_op)()
        proxy.reset_counts()
        await shadows.add_many([shadows.call(no_op)() for _ in range(2000)])
        # One more where the first slice went out alone.
        assert proxy.commands["EVALSHA"] <= 2000 / 200 + 2


async def test_one_connection_a_role_and_none_a_task(proxy: Proxy) -> None:
    """Client: submissions, queries, results. Worker: reader, settler, control, signals, pulse."""
    async with Shadow(url=proxy.url) as shadows, working(shadows, concurrency=50):
        executions = await shadows.add_many([shadows.call(brief_work)() for _ in range(300)])
        await asyncio.gather(*[execution.get_result() for execution in executions])
        assert proxy.connections <= 8


async def test_without_a_ttl_no_records_are_written_after_the_end(quiet_redis: RedisServer) -> None:
    """`execution_ttl=0` keeps nothing, and pays nothing: no outcome, no expiry."""
    async with Shadow(url=quiet_redis.url, execution_ttl=timedelta(0)) as shadows:
        await shadows.add_many([shadows.call(no_op)() for _ in range(100)])
        quiet_redis.command("CONFIG", "RESETSTAT")
        await finish(shadows)
        async with shadows.redis() as redis:
            stats = await redis.info("commandstats")
            assert await redis.keys(f"{shadows.keys.task}*") == []
    assert stats.get("cmdstat_pexpire", {"calls": 0})["calls"] < 20  # leases only, never one a task
    assert stats.get("cmdstat_hset", {"calls": 0})["calls"] < 20


async def test_a_worker_never_reads_more_than_it_has_slots_for(shadows: Shadow) -> None:
    """What it can't run yet is left to other workers: no hidden prefetch."""
    may_end = asyncio.Event()

    async def slow() -> None:
        await may_end.wait()

    executions = [await shadows.add(slow)() for _ in range(10)]
    async with working(shadows, concurrency=3) as worker:
        await wait_until(lambda: len(worker.slots.running) == 3, "three tasks run")
        snapshot = await shadows.snapshot()
        assert (len(snapshot.running), len(snapshot.queued)) == (3, 7)
        may_end.set()
        await asyncio.gather(*[execution.get_result() for execution in executions])
