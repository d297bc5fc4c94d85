"""Whatever becomes of a worker's loop, its thread signs it off, and what it holds goes to the others at once."""

from pathlib import Path

import pytest

from shadows import CurrentExecution, Execution, Shadow
from shadows.keys import GROUP
from shadows.scripts import LEAVE
from shadows.testing import RedisServer
from tests.features.workers import finish, working
from tests.processes import Process, write_script
from tests.waiting import wait_until

from .parts import CONSUMER, delivered, link_of

# A worker that nobody closes: its task waits when the loop stops.
LOST = """
import asyncio, os, sys, time
from datetime import timedelta
from shadows import Shadow, Worker

gate = sys.argv[3]
begun = asyncio.Event()

async def job(n: int) -> int:
    begun.set()
    await asyncio.Event().wait()
    return n

async def run() -> None:
    shadow = await Shadow(sys.argv[1], sys.argv[2], heartbeat_interval=timedelta(milliseconds=100)).__aenter__()
    shadow.register(job)
    worker = await Worker(shadow).__aenter__()
    loop.worker = asyncio.create_task(worker.run_forever())
    await begun.wait()

loop = asyncio.new_event_loop()
loop.run_until_complete(run())
"""
ENDS = {
    "the process ends": "",
    "the process exits": "sys.exit(3)",
    "the loop is closed": "loop.close(); print('closed', flush=True)\nwhile not os.path.exists(gate): time.sleep(0.01)",
}


async def job(n: int, execution: Execution = CurrentExecution()) -> tuple[int, int, bool]:
    return n, execution.attempt, execution.redelivered


@pytest.mark.parametrize("end", ENDS)
async def test_a_worker_that_nobody_closed_is_signed_off(end: str, own_redis: RedisServer, tmp_path: Path) -> None:
    """Its tasks waited for the end of the lease, and the worker was said to be there until then."""
    # To look up a name, asyncio needs a thread, which an interpreter that ends does not start any more.
    async with Shadow("lost", own_redis.url.replace("127.0.0.1", "localhost")) as shadows:
        execution = await shadows.add(job)(1)
        script = write_script(tmp_path, "lost", LOST + ENDS[end])
        gate = tmp_path / "gate"
        with Process("-W", "ignore", script, shadows.name, shadows.url, gate) as process:
            if end == "the loop is closed":
                process.wait_for("closed")
                await wait_until(lambda: is_empty(shadows), "it has left")
                assert process.process.poll() is None
            else:
                assert process.wait() == (3 if end == "the process exits" else 0)
                assert await is_empty(shadows)
                assert "Traceback" not in process.output
            # The read of a process that still lives is cut off, or this one would be handed to it.
            later = await shadows.add(job)(2)
            async with working(shadows):
                assert await execution.get_result(timeout=3) == (1, 1, True)
                assert await later.get_result(timeout=3) == (2, 1, False)
            gate.touch()
            process.wait()


async def is_empty(shadows: Shadow) -> bool:
    return not await shadows.workers()


async def test_who_leaves_hands_over_all_that_it_holds_without_a_death(shadows: Shadow) -> None:
    """At most 200 entries a call; a lease of 0 shows the others that there is more, and can't be renewed."""
    executions = [await shadows.add(job, key=str(n))(n) for n in range(201)]
    assert len(await delivered(shadows, 300)) == 201
    keys, heard = shadows.keys, []
    await shadows.subscriptions.add(keys.signal, heard.append)
    names = [*keys.streams, keys.leases, keys.workers, keys.functions]
    async with shadows.redis() as redis:
        await redis.zadd(keys.leases, {CONSUMER: 2**50})
        await redis.hset(keys.workers, CONSUMER, b"row")
        for gone, leases, held in ((0, {CONSUMER.encode(): 0.0}, 1), (1, {}, 0)):
            assert await link_of(shadows).run(LEAVE, names, [CONSUMER, keys.prefix]) == gone
            assert dict(await redis.zrange(keys.leases, 0, -1, withscores=True)) == leases
            assert len(await redis.xpending_range(keys.stream, GROUP, "-", "+", 300, CONSUMER)) == held
        assert not await redis.exists(keys.workers)
        assert {row["name"] for row in await redis.xinfo_consumers(keys.stream, GROUP)} == {b"reclaimed"}
        assert await redis.hmget(keys.record("7"), "d", "l") == [None, None]
    await wait_until(lambda: heard.count(b"work") == 2, "the others were told")
    await finish(shadows, concurrency=50)
    assert [await each.get_result(timeout=1) for each in executions] == [(n, 1, True) for n in range(201)]
