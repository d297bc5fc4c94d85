"""`replace` schedules a call whether or not its key exists; only the replacement counts from then on."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shadows import Disposition, ExecutionCancelled, ExecutionState, Perpetual, Retry, Shadow
from tests.waiting import wait_until

from .workers import finish, working

runs: list[str] = []


async def remind(text: str) -> str:
    runs.append(text)
    return text


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    runs.clear()


async def test_a_replaced_scheduled_task_runs_once_with_the_new_arguments(shadows: Shadow) -> None:
    """The usual case: the appointment moved."""
    await shadows.add(remind, when=timedelta(hours=1), key="reminder")("old")
    moved = datetime.now(UTC) + timedelta(milliseconds=50)
    execution = await shadows.replace(remind, moved, "reminder")("new")
    assert execution.disposition is Disposition.SCHEDULED
    await finish(shadows)
    assert runs == ["new"]
    assert await execution.get_result() == "new"


async def test_a_replaced_queued_task_never_runs(shadows: Shadow) -> None:
    """It was not delivered to anybody yet, so its entry can simply go."""
    await shadows.add(remind, key="reminder")("old")
    await shadows.replace(remind, None, "reminder")("new")
    await finish(shadows)
    assert runs == ["new"]


async def test_replacing_a_key_that_does_not_exist_adds_it(shadows: Shadow) -> None:
    """Callers need not know which case it is."""
    await shadows.replace(remind, timedelta(0), "reminder")("new")
    await finish(shadows)
    assert runs == ["new"]


async def test_replacing_a_finished_key_runs_it_again(shadows: Shadow) -> None:
    """As an add would."""
    await shadows.add(remind, key="reminder")("old")
    await finish(shadows)
    await shadows.replace(remind, None, "reminder")("new")
    await finish(shadows)
    assert runs == ["old", "new"]


async def test_who_waits_for_a_replaced_execution_is_told(shadows: Shadow) -> None:
    """Waiting for ever would be the other way."""
    old = await shadows.add(remind, when=timedelta(hours=1), key="reminder")("old")
    waiting = asyncio.create_task(old.get_result())
    await asyncio.sleep(0)
    await shadows.replace(remind, timedelta(hours=2), "reminder")("new")
    with pytest.raises(ExecutionCancelled, match="replaced"):
        await asyncio.wait_for(waiting, 5)


async def test_who_asks_late_for_a_replaced_execution_is_told_too(shadows: Shadow) -> None:
    """Also when the replacement has its own result by then."""
    old = await shadows.add(remind, key="reminder")("old")
    await shadows.replace(remind, None, "reminder")("new")
    await finish(shadows)
    with pytest.raises(ExecutionCancelled, match="replaced"):
        await old.get_result()


@pytest.mark.parametrize("order", ["the old run ends first", "the new run ends first"])
async def test_only_the_replacement_of_a_running_task_counts(shadows: Shadow, order: str) -> None:
    """The running one runs on, but its end changes nothing, whichever of them ends first."""
    ends = {"old": asyncio.Event(), "new": asyncio.Event()}
    started: list[str] = []

    async def job(name: str) -> str:
        started.append(name)
        await ends[name].wait()
        runs.append(name)
        return name

    old = await shadows.add(job, key="job")("old")
    async with working(shadows):
        await wait_until(lambda: started == ["old"], "the old run started")
        new = await shadows.replace(job, None, "job")("new")
        await wait_until(lambda: started == ["old", "new"], "the new run started")
        names = ("old", "new") if order == "the old run ends first" else ("new", "old")
        for count, name in enumerate(names, 1):
            ends[name].set()
            await wait_until(lambda count=count: len(runs) == count, f"the {name} run ended")
        assert await new.get_result() == "new"
        with pytest.raises(ExecutionCancelled, match="replaced"):
            await old.get_result()
    execution = await shadows.get_execution("job")
    assert execution is not None
    assert execution.state is ExecutionState.COMPLETED
    assert execution.submission == new.submission


async def test_a_running_task_that_was_replaced_by_a_later_one_leaves_that_alone(shadows: Shadow) -> None:
    """Its end must not free the key, nor take the scheduled successor away."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def job(name: str) -> str:
        started.set()
        await may_end.wait()
        runs.append(name)
        return name

    await shadows.add(job, key="job")("old")
    async with working(shadows):
        await started.wait()
        new = await shadows.replace(job, timedelta(hours=1), "job")("new")
        may_end.set()
        await wait_until(lambda: runs, "the old run ended")
    await new.sync()
    assert new.state is ExecutionState.SCHEDULED
    assert (await shadows.snapshot()).scheduled_count == 1
    assert (await shadows.snapshot()).ready_count == 0


async def test_a_replaced_run_is_not_retried(shadows: Shadow) -> None:
    """Its failure does not count either."""
    started, may_fail = asyncio.Event(), asyncio.Event()

    async def fails(name: str, retry: Retry = Retry(attempts=5)) -> str:
        runs.append(name)
        if name == "old":
            started.set()
            await may_fail.wait()
            raise ValueError("no")
        return name

    await shadows.add(fails, key="job")("old")
    async with working(shadows):
        await started.wait()
        new = await shadows.replace(fails, None, "job")("new")
        await new.get_result()
        may_fail.set()
    await finish(shadows)
    assert runs == ["old", "new"]


async def test_a_replaced_perpetual_run_has_no_successor(shadows: Shadow) -> None:
    """Else two chains would run under one key."""
    started, may_end = asyncio.Event(), asyncio.Event()

    async def tick(name: str, perpetual: Perpetual = Perpetual()) -> None:
        runs.append(name)
        if name == "old":
            started.set()
            await may_end.wait()
        elif runs.count("new") == 3:
            perpetual.cancel()

    await shadows.add(tick, key="tick")("old")
    async with working(shadows):
        await started.wait()
        await shadows.replace(tick, None, "tick")("new")
        await wait_until(lambda: runs.count("new") == 3, "the new chain ran three times")
        may_end.set()
    await finish(shadows)
    assert runs == ["old", "new", "new", "new"]
