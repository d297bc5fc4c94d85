"""`cancel` and `replace` may come at any moment of a task's life, and never leave it half."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any

import pytest

from shadows import ExecutionCancelled, Perpetual, Retry, Shadow
from shadows.testing import RedisServer
from tests.faults.conftest import brief_shadow
from tests.features.workers import working
from tests.proxy import Proxy
from tests.recorded import Journal, hold, hold_thread, rest, write
from tests.waiting import wait_until

STEPS = 60


async def steps(journal: str, label: str) -> str:
    """A task with many awaits."""
    write(journal, "start", label)
    for _ in range(20):
        await asyncio.sleep(0)
    write(journal, "end", label)
    return label


@pytest.mark.parametrize("delay_ms", [0, 2])
@pytest.mark.parametrize("task", [steps, rest])
async def test_a_cancel_that_found_something_decides_the_outcome(
    task: Any, delay_ms: float, shadows_url: str, proxy: Proxy, journal: Journal
) -> None:
    """At every turn of the loop from the add to the end and beyond, for the same key again and again. The delay
    stretches the time in which an entry is on its way to the worker, or its outcome on its way back."""
    proxy.delay(delay_ms / 1000)
    seen = {True: 0, False: 0}
    async with brief_shadow(shadows_url) as near, brief_shadow(proxy.url, name=near.name) as far:
        far.register(steps)
        async with working(far) as worker:
            for turns in range(STEPS):
                execution = await near.add(task, key="a")(str(journal), str(turns))
                assert execution.disposition == "scheduled"
                for _ in range(turns):
                    await asyncio.sleep(0.0002 if delay_ms else 0)
                cancelled = await near.cancel("a")
                seen[cancelled] += 1
                if cancelled:
                    with pytest.raises(ExecutionCancelled, match="cancelled"):
                        await execution.get_result(timeout=5)
                else:
                    assert await execution.get_result(timeout=5) == str(turns)
            await wait_until(lambda: worker.slots.idle, "nothing runs any more")
            assert (await near.snapshot()).total == 0
    assert max(journal.count("start").values()) == 1
    assert seen[True]
    assert set(journal.count("end")) >= {label for label, n in journal.count("end").items() if n}


async def test_a_cancelled_task_is_stopped_at_once_and_its_slot_is_free(brief: Shadow, journal: Journal) -> None:
    async with working(brief, concurrency=1):
        execution = await brief.add(hold, key="a")(str(journal), "a", "never")
        await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
        assert await brief.cancel("a")
        with pytest.raises(ExecutionCancelled):
            await execution.get_result(timeout=1)
        again = await brief.add(rest, key="a")(str(journal), "again")
        assert await again.get_result(timeout=5) == "again"
    assert journal.count("stopped") == {"a": 1}
    assert journal.count("start") == {"a": 1, "again": 1}


async def test_a_plain_function_runs_on_after_a_cancel_and_its_outcome_does_not_count(
    brief: Shadow, journal: Journal
) -> None:
    async with working(brief, concurrency=2) as worker:
        execution = await brief.add(hold_thread, key="a")(str(journal), "a", "gate")
        await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
        assert await brief.cancel("a")
        with pytest.raises(ExecutionCancelled):
            await execution.get_result(timeout=1)
        again = await brief.add(rest, key="a")(str(journal), "again")
        assert await again.get_result(timeout=5) == "again"
        assert len(worker.slots.running) == 1
        journal.open_gate("gate")
        await wait_until(lambda: worker.slots.idle, "the slot is free")
        assert await again.get_result(timeout=1) == "again"
        with pytest.raises(ExecutionCancelled):
            await execution.get_result(timeout=1)


async def test_a_cancel_whose_message_was_lost_stops_the_task_when_the_worker_listens_again(
    shadows_url: str, proxy: Proxy, journal: Journal
) -> None:
    async with brief_shadow(shadows_url) as near, brief_shadow(proxy.url, name=near.name) as far, working(far):
        await near.add(hold, key="a")(str(journal), "a", "never")
        await near.add(hold, key="b")(str(journal), "b", "gate")
        await wait_until(lambda: len(journal.count("start")) == 2, "the tasks run")
        proxy.refuse()
        proxy.cut()
        assert await near.cancel("a")
        proxy.accept()
        await wait_until(lambda: journal.count("stopped") == {"a": 1}, "the task is stopped")
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end") == {"b": 1}, "the other one ends")


async def wants_more(
    journal: str, label: str, gate: str, fails: bool, retry: Annotated[int, "unused"] = 0,
    again: Retry = Retry(attempts=5), perpetual: Perpetual = Perpetual(),
) -> str:  # fmt: skip
    """A task that is followed by another run, whether it fails or not."""
    await hold(journal, label, gate)
    if fails:
        raise ValueError(label)
    return label


@pytest.mark.parametrize("end", ["cancel", "replace"])
@pytest.mark.parametrize("fails", [True, False])
async def test_nothing_follows_a_run_that_was_ended_from_outside(
    end: str, fails: bool, brief: Shadow, journal: Journal
) -> None:
    brief.register(wants_more)
    async with working(brief) as worker:
        await brief.add(wants_more, key="a")(str(journal), "old", "gate", fails)
        await wait_until(lambda: journal.count("start") == {"old": 1}, "the task runs")
        if end == "replace":
            new = await brief.replace(rest, None, "a")(str(journal), "new")
            assert await new.get_result(timeout=5) == "new"
        else:
            await brief.cancel("a")
        journal.open_gate("gate")
        await wait_until(lambda: worker.slots.idle, "nothing runs any more")
        assert (await brief.snapshot()).total == 0
    assert journal.count("start")["old"] == 1


@pytest.mark.parametrize("first", ["old", "new"])
async def test_only_the_replacement_counts_whichever_ends_first(first: str, brief: Shadow, journal: Journal) -> None:
    async with working(brief) as worker:
        old = await brief.add(hold, key="a")(str(journal), "old", "old gate")
        await wait_until(lambda: journal.count("start") == {"old": 1}, "the old one runs")
        waiting = asyncio.create_task(old.get_result(timeout=5))
        new = await brief.replace(hold, None, "a")(str(journal), "new", "new gate")
        await wait_until(lambda: journal.count("start") == {"old": 1, "new": 1}, "both run")
        with pytest.raises(ExecutionCancelled, match="replaced"):
            await waiting
        journal.open_gate(f"{first} gate")
        await wait_until(lambda: journal.count("end") == {first: 1}, "one ends")
        await wait_until(lambda: len(worker.slots.running) == 1 and not worker.slots.unsettled, "it is settled")
        journal.open_gate("old gate")
        journal.open_gate("new gate")
        assert await new.get_result(timeout=5) == "new"
        await wait_until(lambda: worker.slots.idle, "both have ended")
        assert await new.get_result(timeout=1) == "new"
        with pytest.raises(ExecutionCancelled, match="replaced"):
            await old.get_result(timeout=1)
        assert worker.settler.fenced == 0


async def test_a_cancel_reaches_an_execution_wherever_it_waits(
    brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    """In the schedule, in the stream, parked, or taken from a dead worker; nothing of it is left."""
    await brief.add(rest, key="scheduled", when=timedelta(hours=1))(str(journal), "scheduled")
    await brief.add("unknown", key="parked")(str(journal), "parked")
    async with working(brief):
        await wait_until(lambda: has_parked(brief), "the unknown one is parked")
    await brief.add(rest, key="lost")(str(journal), "lost")
    async with brief.redis() as redis:
        await redis.xreadgroup("workers", "gone#1", {brief.keys.stream: ">"})
    await brief.add(rest, key="queued")(str(journal), "queued")
    for key in ("scheduled", "parked", "lost", "queued"):
        assert await brief.cancel(key)
        assert await brief.cancel(key) is False
    async with working(brief):
        await wait_until(lambda: only_records_are_left(brief), "nothing is left of them")
    assert journal.count("start") == {}


async def has_parked(shadow: Shadow) -> bool:
    """Whether something is parked."""
    return (await shadow.snapshot()).unknown_count > 0


async def only_records_are_left(shadow: Shadow) -> bool:
    """Whether neither the index of parked functions nor a stream of them is left, and no stream holds an entry."""
    async with shadow.redis() as redis:
        lengths = [await redis.xlen(stream) for stream in shadow.keys.streams]
        return not any([*lengths, await redis.exists(shadow.keys.unknown, shadow.keys.parked("unknown"))])
