"""Perpetual tasks: each run is followed by the next, until the task itself or somebody else ends it."""

from datetime import timedelta
from itertools import pairwise
from time import monotonic

import pytest

from shadows import ExecutionState, Perpetual, Shadow, Worker
from tests.waiting import wait_until

from .workers import finish, working


async def test_a_monitor_ends_itself_when_its_work_is_done(shadows: Shadow, capsys: pytest.CaptureFixture[str]) -> None:
    """The example of the package page; cancelling itself lets `run_until_finished` return."""
    statuses = iter(["pending", "running", "completed"])
    notified: list[tuple[str, str]] = []

    async def check_deployment_status(deployment_id: str) -> str:
        return next(statuses)

    async def notify_deployment_finished(deployment_id: str, status: str) -> None:
        notified.append((deployment_id, status))

    async def monitor_deployment(
        deployment_id: str, perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=30))
    ) -> None:
        status = await check_deployment_status(deployment_id)

        if status in ["completed", "failed"]:
            await notify_deployment_finished(deployment_id, status)
            perpetual.cancel()  # stop monitoring this deployment
            return

        print(f"deployment {deployment_id} status: {status}")

    await shadows.add(monitor_deployment)("d-1")
    await finish(shadows)
    assert capsys.readouterr().out.splitlines() == ["deployment d-1 status: pending", "deployment d-1 status: running"]
    assert notified == [("d-1", "completed")]


async def test_run_at_most_lets_a_health_check_run_three_times(shadows: Shadow) -> None:
    """The example of the package page for tests of perpetual tasks."""
    urls: list[str] = []

    async def health_check_service(url: str, perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=5))) -> None:
        urls.append(url)

    shadows.register(health_check_service)
    await shadows.add(health_check_service)("https://api.example.com")
    async with Worker(shadows) as worker:
        # let health check run 3 times, then stop
        await worker.run_at_most({"health_check_service": 3})
    assert urls == ["https://api.example.com"] * 3
    assert (await shadows.snapshot()).total == 0


async def test_run_at_most_takes_keys_as_well_as_names(shadows: Shadow) -> None:
    """Two lines of the same function can be limited apart; what is not limited runs as ever."""
    runs: list[str] = []

    async def tick(name: str, perpetual: Perpetual = Perpetual()) -> None:
        runs.append(name)

    async def once() -> None:
        runs.append("once")

    await shadows.add(tick, key="a")("a")
    await shadows.add(tick, key="b")("b")
    await shadows.add(once)()
    async with Worker(shadows) as worker:
        await worker.run_at_most({"a": 2, "b": 4})
    assert sorted(runs) == ["a", "a", "b", "b", "b", "b", "once"]


async def test_run_at_most_drops_what_is_left_of_the_limited(shadows: Shadow) -> None:
    """More executions than the limit admits end cancelled; the test sees which ones ran."""

    async def job() -> None: ...

    executions = [await shadows.add(job)() for _ in range(4)]
    async with Worker(shadows, concurrency=1) as worker:
        await worker.run_at_most({"job": 3})
    for execution in executions:
        await execution.sync()
    assert [execution.state for execution in executions].count(ExecutionState.CANCELLED) == 1


async def test_runs_follow_each_other_from_start_to_start(shadows: Shadow) -> None:
    """A run that takes a part of the interval does not push the next one back by it."""
    starts: list[float] = []

    async def beat(perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=100))) -> None:
        starts.append(monotonic())
        deadline = monotonic() + 0.05
        await wait_until(lambda: monotonic() > deadline, "half the interval is over")

    await shadows.add(beat)()
    async with Worker(shadows) as worker:
        await worker.run_at_most({"beat": 3})
    for earlier, later in pairwise(starts):
        assert 0.098 <= later - earlier < 0.145


async def test_a_run_that_fails_is_followed_by_the_next_all_the_same(shadows: Shadow) -> None:
    """A monitor that fails once must not go silent for ever."""
    runs: list[int] = []

    async def monitor(perpetual: Perpetual = Perpetual()) -> None:
        runs.append(len(runs))
        if len(runs) == 3:
            perpetual.cancel()
        raise ValueError("no")

    await shadows.add(monitor)()
    await finish(shadows)
    assert runs == [0, 1, 2]


async def test_cancelling_its_key_ends_a_perpetual_task_between_two_runs(shadows: Shadow) -> None:
    """Its next run is an execution like any other."""
    runs: list[int] = []

    async def hourly(perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> None:
        runs.append(1)

    execution = await shadows.add(hourly, key="hourly")()
    async with working(shadows):
        await execution.get_result()
        assert await shadows.cancel("hourly")
    assert (await shadows.snapshot()).total == 0
    assert runs == [1]


async def test_each_run_is_a_submission_of_its_own(shadows: Shadow) -> None:
    """The result of the first run is the first run's, though the next one waits already under the same key."""

    async def count(perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> str:
        return "first"

    execution = await shadows.add(count, key="count")()
    async with working(shadows):
        assert await execution.get_result() == "first"
    following = await shadows.get_execution("count")
    assert following is not None
    assert following.state is ExecutionState.SCHEDULED
    assert following.submission > execution.submission
    assert following.attempt == 1


async def test_workers_start_automatic_tasks_by_themselves(shadows: Shadow) -> None:
    """Nobody has to remember to add them; their key is their name."""
    keys: list[str] = []

    async def housekeeping(perpetual: Perpetual = Perpetual(every=timedelta(hours=1), automatic=True)) -> None:
        keys.append("housekeeping")

    shadows.register(housekeeping)
    async with working(shadows), working(shadows):
        await wait_until(lambda: keys, "the automatic task ran")
        execution = await shadows.get_execution("housekeeping")
    assert execution is not None
    assert keys == ["housekeeping"]


async def test_a_worker_may_leave_automatic_tasks_to_others(shadows: Shadow) -> None:
    """`schedule_automatic_tasks=False` is for workers of which there should be no surprises."""

    async def housekeeping(perpetual: Perpetual = Perpetual(automatic=True)) -> None: ...

    shadows.register(housekeeping)
    await finish(shadows, schedule_automatic_tasks=False)
    assert await shadows.get_execution("housekeeping") is None
