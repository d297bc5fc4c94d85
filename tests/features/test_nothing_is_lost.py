"""An accepted execution is in one place at every instant, whoever dies and whatever is deleted meanwhile."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from shadows import CurrentExecution, Execution, ExecutionState, Shadow, Worker
from shadows.errors import ResultNotKept
from tests.processes import Process, write_script
from tests.waiting import wait_until

from .workers import finish, working

WORKER = """
import asyncio
import sys
from datetime import timedelta

from shadows import Shadow, Worker


async def slow():
    print("started", flush=True)
    await asyncio.sleep(3600)


async def main(name, url):
    options = {"heartbeat_interval": timedelta(milliseconds=50), "missed_heartbeats": 8}
    async with Shadow(name, url, **options) as shadows:
        shadows.register(slow)
        async with Worker(shadows, name="doomed") as worker:
            await worker.run_forever()


asyncio.run(main(*sys.argv[1:]))
"""

runs: list[str] = []


async def slow(execution: Execution = CurrentExecution()) -> str:
    """Stands for the `slow` of the other process: the same name, but it ends."""
    runs.append(f"{execution.key} {execution.attempt} {execution.redelivered}")
    return "done"


async def job(name: str = "job") -> str:
    runs.append(name)
    return name


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    runs.clear()


async def test_the_task_of_a_killed_worker_runs_elsewhere(brief: Shadow, shadows_url: str, tmp_path: Path) -> None:
    """At once more, with the same attempt: the task did not fail, its worker did."""
    with Process(write_script(tmp_path, "worker", WORKER), brief.name, shadows_url) as process:
        execution = await brief.add("slow", key="slow")()
        await asyncio.to_thread(process.wait_for, "started")
        process.kill()
    brief.register(slow)
    async with working(brief):
        assert await execution.get_result(timeout=10) == "done"
    assert runs == ["slow 1 True"]


async def test_what_a_killed_worker_held_does_not_keep_its_key_after_a_clear(
    brief: Shadow, shadows_url: str, tmp_path: Path
) -> None:
    """The entry is still pending for the dead; but once its lease is over it does not run, so `clear` takes it."""
    with Process(write_script(tmp_path, "worker", WORKER), brief.name, shadows_url) as process:
        await brief.add("slow", key="slow")()
        await asyncio.to_thread(process.wait_for, "started")
        process.kill()

    async def lease_is_over() -> bool:
        return not await brief.workers()

    await wait_until(lease_is_over, "the lease of the dead worker is over")
    assert await brief.clear() == 1
    again = await brief.add("slow", key="slow")()
    assert again.disposition == "scheduled"
    brief.register(slow)
    await finish(brief)
    assert await again.get_result() == "done"
    assert runs == ["slow 1 False"]


async def test_a_task_whose_record_was_deleted_while_it_was_queued_runs(shadows: Shadow) -> None:
    """The payload rides in the entry; the outcome is written anew, and the caller gets it."""
    execution = await shadows.add(job, key="job")()
    async with shadows.redis() as redis:
        assert await redis.delete(shadows.keys.record("job"))
    await finish(shadows)
    assert runs == ["job"]
    assert await execution.get_result() == "job"


async def test_a_key_whose_record_was_deleted_is_free(shadows: Shadow) -> None:
    """Both run then: an add that was ignored because of a record which is gone would be a loss."""
    await shadows.add(job, key="job")("first")
    async with shadows.redis() as redis:
        await redis.delete(shadows.keys.record("job"))
    second = await shadows.add(job, key="job")("second")
    assert second.disposition == "scheduled"
    await finish(shadows)
    assert sorted(runs) == ["first", "second"]
    assert await second.get_result() == "second"


async def test_a_key_whose_entry_was_deleted_is_free(shadows: Shadow) -> None:
    """Whatever deleted it: busy is where the execution is, not what a record says."""
    await shadows.add(job, key="job")("first")
    async with shadows.redis() as redis:
        await redis.xtrim(shadows.keys.stream, maxlen=0)
    second = await shadows.add(job, key="job")("second")
    assert second.disposition == "scheduled"
    await finish(shadows)
    assert runs == ["second"]


@pytest.mark.parametrize("damage", ["the payload is deleted", "the record is deleted", "the record is something else"])
async def test_a_scheduled_task_that_lost_its_payload_is_quarantined(shadows: Shadow, damage: str) -> None:
    """It can't run, but it is not dropped in silence, and its key is free. Its neighbours run."""
    execution = await shadows.add(job, when=timedelta(milliseconds=100), key="job")("lost")
    await shadows.add(job, when=timedelta(milliseconds=100))("neighbour")
    record = shadows.keys.record("job")
    async with shadows.redis() as redis:
        if damage == "the payload is deleted":
            await redis.hdel(record, "p")
        else:
            await redis.delete(record)
        if damage == "the record is something else":
            await redis.set(record, "something else")
    await finish(shadows)
    assert runs == ["neighbour"]
    (entry,) = await shadows.quarantine()
    assert entry.key == "job"
    assert "lost or damaged" in entry.cause
    again = await shadows.add(job, key="job")("again")
    assert again.disposition == "scheduled"
    await finish(shadows)
    assert runs == ["neighbour", "again"]
    with pytest.raises(Exception, match="replaced"):
        await execution.get_result()


async def test_the_stream_is_empty_and_nothing_stays_without_a_time_to_live_when_all_is_done(
    shadows: Shadow,
) -> None:
    """A bounded server: only the stream with its group, and the counter of generations, stay for ever."""
    for n in range(20):
        await shadows.add(job, key=f"now {n}")()
        await shadows.add(job, when=timedelta(milliseconds=50), key=f"later {n}")()
    await shadows.cancel("later 3")
    await shadows.strike("another", "x", "==", 1)
    await finish(shadows)
    names = shadows.keys
    async with shadows.redis() as redis:
        assert await redis.xlen(names.stream) == 0
        forever = {key.decode() async for key in redis.scan_iter(f"{names.prefix}*") if await redis.pttl(key) == -1}
    assert forever == {names.stream, names.generation, names.strikes}


async def test_an_execution_that_was_deleted_altogether_is_not_waited_for_for_ever(shadows: Shadow) -> None:
    """`get_result` looks, and says that there is nothing."""
    execution = await shadows.add(job)()
    async with shadows.redis() as redis:
        await redis.xtrim(shadows.keys.stream, maxlen=0)
        await redis.delete(shadows.keys.record(execution.key))
    with pytest.raises(ResultNotKept, match="its record was deleted"):
        await execution.get_result(timeout=5)


async def test_stopping_a_worker_at_once_gives_its_tasks_to_another(shadows: Shadow) -> None:
    """No lease has to end for it: what ran is handed back."""
    started = asyncio.Event()

    async def long(execution: Execution = CurrentExecution()) -> str:
        if not execution.redelivered:
            started.set()
            await asyncio.Event().wait()
        return f"attempt {execution.attempt} on {execution.worker}"

    async with working(shadows, name="first") as first:
        execution = await shadows.add(long)()
        await started.wait()
        async with working(shadows, name="second"):
            await first.stop_at_once()
            assert await execution.get_result(timeout=5) == "attempt 1 on second"


async def test_cancelling_run_forever_drains(shadows: Shadow) -> None:
    """As under an application server that stops: what runs is finished, and nothing is taken any more."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def long() -> str:
        started.set()
        await may_end.wait()
        return "finished"

    execution = await shadows.add(long)()
    async with Worker(shadows) as worker:
        running = asyncio.create_task(worker.run_forever())
        await started.wait()
        running.cancel()
        await asyncio.sleep(0)
        after = await shadows.add(job)()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await execution.get_result() == "finished"
    await after.sync()
    assert after.state is ExecutionState.QUEUED
