"""Looking without touching: one execution, the whole shadow, and who works."""

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta

from shadows import ExecutionState, Retry, Shadow, Worker
from tests.waiting import wait_until

from .workers import finish, working


async def job(name: str = "x") -> str:
    return name


async def other() -> None: ...


async def test_get_execution_finds_a_scheduled_a_queued_and_a_finished_one(shadows: Shadow) -> None:
    """With what was asked for and where it is now."""
    await shadows.add(job, when=timedelta(hours=1), key="scheduled")("a")
    await shadows.add(job, key="queued")(name="b")
    scheduled, queued = await shadows.get_execution("scheduled"), await shadows.get_execution("queued")
    assert scheduled is not None
    assert queued is not None
    assert (scheduled.state, scheduled.function, scheduled.args) == (ExecutionState.SCHEDULED, job, ("a",))
    assert (queued.state, queued.function_name, queued.kwargs) == (ExecutionState.QUEUED, "job", {"name": "b"})
    assert scheduled.when is not None
    assert scheduled.when > datetime.now(UTC) + timedelta(minutes=59)
    await shadows.cancel("scheduled")
    await finish(shadows, name="w")
    done = await shadows.get_execution("queued")
    assert done is not None
    assert (done.state, done.worker, done.attempt) == (ExecutionState.COMPLETED, "w", 1)
    assert await done.get_result() == "b"
    assert done.started_at is not None
    assert done.completed_at is not None
    assert done.started_at <= done.completed_at


async def test_get_execution_of_an_unknown_key_is_none(shadows: Shadow) -> None:
    """No error: whoever asks can't know."""
    assert await shadows.get_execution("never was") is None


async def test_a_running_execution_names_its_worker_and_when_it_began(shadows: Shadow) -> None:
    """For the person who wonders what it does all day."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await may_end.wait()

    before = datetime.now(UTC) - timedelta(seconds=1)
    execution = await shadows.add(slow, key="slow")()
    async with working(shadows, name="worker-7"):
        await started.wait()
        await execution.sync()
        snapshot = await shadows.snapshot()
        may_end.set()
        await execution.get_result()
    assert (execution.state, execution.worker) == (ExecutionState.COMPLETED, "worker-7")
    (row,) = snapshot.running
    assert (row.key, row.function_name, row.worker, row.deliveries) == ("slow", "slow", "worker-7", 1)
    assert row.started_at is not None
    assert row.started_at > before
    assert (snapshot.ready_count, snapshot.total, snapshot.queued) == (1, 1, [])


async def test_sync_follows_an_execution_through_its_life(shadows: Shadow) -> None:
    """Scheduled, running, scheduled again for its retry, completed."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def flaky(retry: Retry = Retry(attempts=2, delay=timedelta(hours=1))) -> str:
        started.set()
        await may_end.wait()
        may_end.clear()
        if retry.attempt == 1:
            raise ValueError("no")
        return "yes"

    execution = await shadows.add(flaky, when=timedelta(hours=1), key="flaky")()
    await execution.sync()
    assert execution.state is ExecutionState.SCHEDULED
    execution = await shadows.replace(flaky, None, "flaky")()

    async def is_(state: ExecutionState) -> bool:
        await execution.sync()
        return execution.state is state

    async with working(shadows, name="w"):
        await started.wait()
        assert await is_(ExecutionState.RUNNING)
        assert execution.worker == "w"
        may_end.set()
        await wait_until(lambda: is_(ExecutionState.SCHEDULED), "its retry is scheduled")
        assert execution.attempt == 2


async def test_a_snapshot_shows_everything_at_once(shadows: Shadow) -> None:
    """Scheduled in order of time, queued in order of arrival, and what is parked or quarantined as numbers."""
    await shadows.add("nobody_knows_this")()
    await finish(shadows)
    await shadows.add(job, when=timedelta(hours=2), key="s2")()
    await shadows.add(other, when=timedelta(hours=1), key="s1")()
    await shadows.add(job, key="q1")()
    await shadows.add(other, key="q2")()
    snapshot = await shadows.snapshot()
    assert [(row.key, row.function_name) for row in snapshot.scheduled] == [("s1", "other"), ("s2", "job")]
    assert [(row.key, row.function_name) for row in snapshot.queued] == [("q1", "job"), ("q2", "other")]
    assert (snapshot.scheduled_count, snapshot.ready_count, snapshot.unknown_count) == (2, 2, 1)
    assert (snapshot.total, snapshot.quarantined_count, snapshot.workers) == (5, 0, [])
    assert abs(snapshot.taken - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_snapshot_is_bounded_and_its_counts_are_whole(shadows: Shadow) -> None:
    """A million queued tasks must not come over the wire because somebody looks."""
    await shadows.add_many([shadows.call(job)() for _ in range(300)])
    await shadows.add_many([shadows.call(job, when=timedelta(hours=1))() for _ in range(450)])
    snapshot = await shadows.snapshot(limit=250)
    assert (len(snapshot.queued), len(snapshot.scheduled)) == (250, 250)
    assert (snapshot.ready_count, snapshot.scheduled_count) == (300, 450)
    assert {row.function_name for row in snapshot.scheduled} == {"job"}


async def test_workers_lists_the_living_with_what_they_know(brief: Shadow) -> None:
    """Name, host, process, how busy; one that left is not listed any more."""
    brief.register(job)
    started, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await may_end.wait()

    await brief.add(slow)()
    async with working(brief, name="busy", concurrency=3):
        await started.wait()

        async def shows_that_it_runs() -> bool:
            return (await brief.workers())[0].running == 1

        await wait_until(shows_that_it_runs, "a beat tells of the running task")
        (row,) = await brief.workers()
        assert (row.name, row.host, row.pid) == ("busy", socket.gethostname(), os.getpid())
        assert (row.concurrency, row.done, set(row.tasks) >= {"job", "slow"}) == (3, 0, True)
        assert abs(row.last_seen - datetime.now(UTC)) < timedelta(seconds=10)
        assert [worker.name for worker in await brief.task_workers("job")] == ["busy"]
        assert await brief.task_workers("unheard_of") == []
        async with Worker(brief, name="another"):
            assert [worker.name for worker in (await brief.snapshot()).workers] == ["another", "busy"]
        may_end.set()
    assert await brief.workers() == []


async def test_a_function_that_is_registered_late_is_published_too(brief: Shadow) -> None:
    """A running worker learns it at once, and tells with its next beat."""
    async with working(brief):
        brief.register(job)

        async def knows() -> bool:
            return bool(await brief.task_workers("job"))

        await wait_until(knows, "the worker tells that it knows the function")


async def test_get_argument_finds_values_by_the_name_of_their_parameter(shadows: Shadow) -> None:
    """However the call was written, and defaults too."""
    execution = await shadows.add(job)("positional")
    assert execution.get_argument("name") == "positional"
    assert (await shadows.add(job)(name="keyword")).get_argument("name") == "keyword"
    assert (await shadows.add(job)()).get_argument("name") == "x"


async def test_labels_and_settings_can_be_read(shadows: Shadow) -> None:
    """For whoever builds on it: names, the URL without its password, the tasks."""
    shadows.register(job)
    assert shadows.labels() == {"shadows.name": shadows.name}
    assert shadows.tasks == {"job": job}
    assert shadows.url.startswith("unix://")
    assert shadows.execution_ttl == timedelta(minutes=15)
    assert shadows.heartbeat_interval == timedelta(seconds=2)
