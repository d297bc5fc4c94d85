"""What can't run is set aside with its cause, and harms nothing else."""

import asyncio
from typing import Any

import pytest

from shadows import ExecutionState, QuarantinedTask, Shadow
from shadows.errors import ShadowsError
from tests.waiting import wait_until

from .workers import finish, working


async def job(n: int = 0) -> int:
    return n


GARBAGE: dict[str, dict[str, Any]] = {
    "no field of ours": {"hello": "world"},
    "no payload": {"k": "garbage", "f": "job"},
    "a payload that is no payload": {"k": "garbage", "f": "job", "p": b"\xff\x00\x01"},
    "a payload of another program": {"k": "garbage", "f": "job", "p": b'{"n": 1}'},
    "an empty payload": {"k": "garbage", "f": "job", "p": ""},
    "a payload of the wrong type": {"k": "garbage", "f": "job", "p": b"\x01\x00\x92\x91\xa3abc\x80"},
    "a key that is not text": {"k": b"\xff\xfe", "f": "job", "p": b"\x01\x00\x92\x90\x80"},
    "a function that is not text": {"k": "garbage", "f": b"\xff\xfe", "p": b"\x01\x00\x92\x90\x80"},
    "an attempt that is no number": {"k": "garbage", "f": "job", "p": b"\x01\x00\x92\x90\x80", "a": "many"},
    "a time that is no number": {"k": "garbage", "f": "job", "p": b"\x01\x00\x92\x90\x80", "w": "soon"},
    "a pickle": {"k": "garbage", "f": "job", "p": b"\x01\x01\x80\x04N."},
}


@pytest.mark.parametrize("fields", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("id", ["ours", "its own"])
async def test_a_garbage_entry_is_set_aside_and_the_worker_lives(
    brief: Shadow, id: str, fields: dict[str, Any]
) -> None:
    """Also the snapshot before and after; the tasks beside it run. An id that ends in -0 looks like one of ours, so
    that the fields must show what it is."""
    brief.register(job)
    before = await brief.add(job)(1)
    async with brief.redis() as redis:
        await redis.xadd(brief.keys.stream, fields, id=f"{before.fence + 1}-0" if id == "ours" else "*")
    after = await brief.add(job)(2)
    assert len((await brief.snapshot()).queued) == 3
    await finish(brief)
    assert (await before.get_result(), await after.get_result()) == (1, 2)
    (entry,) = await brief.quarantine()
    assert entry.cause
    assert (await brief.snapshot()).quarantined_count == 1
    assert (await brief.snapshot()).ready_count == 0


async def test_the_key_of_a_quarantined_execution_is_free_and_its_caller_is_told(brief: Shadow) -> None:
    """Damaged after it was added: the execution has an end, and that names where it lies."""
    execution = await brief.add(job, key="damaged")(1)
    await damage(brief, execution.key)
    await finish(brief)
    (entry,) = await brief.quarantine()
    assert (entry.key, entry.function_name) == ("damaged", "job")
    with pytest.raises(QuarantinedTask) as caught:
        await execution.get_result()
    assert caught.value.id == entry.id
    assert caught.value.cause == entry.cause
    await execution.sync()
    assert execution.state is ExecutionState.QUARANTINED
    assert execution.error == entry.cause
    again = await brief.add(job, key="damaged")(2)
    assert again.disposition == "scheduled"
    await finish(brief)
    assert await again.get_result() == 2


async def damage(shadows: Shadow, key: str) -> None:
    """Replace the payload of a queued entry in place, which only a test can want."""
    async with shadows.redis() as redis:
        ((id, fields),) = await redis.xrange(shadows.keys.stream)
        await redis.delete(shadows.keys.stream)
        await redis.xadd(shadows.keys.stream, {**fields, b"p": b"\x01\x00damaged"}, id=id)


async def test_an_entry_can_be_retried(brief: Shadow) -> None:
    """For instance when a worker with the right secret runs again; here the cause is mended by hand."""
    await brief.add(job, key="damaged")(1)
    await damage(brief, "damaged")
    await finish(brief)
    (entry,) = await brief.quarantine()
    await brief.quarantine_retry(entry.id)
    assert await brief.quarantine() == []
    execution = await brief.get_execution("damaged")
    assert execution is not None
    assert execution.state is ExecutionState.QUEUED
    await finish(brief)
    (again,) = await brief.quarantine()
    assert (again.key, again.payload) == (entry.key, entry.payload)


async def test_a_retry_onto_a_busy_key_says_so_and_keeps_the_entry(brief: Shadow) -> None:
    """The new execution of that key must not be lost for the old one."""
    await brief.add(job, key="damaged")(1)
    await damage(brief, "damaged")
    await finish(brief)
    (entry,) = await brief.quarantine()
    await brief.add(job, key="damaged")(2)
    with pytest.raises(ShadowsError, match="is in use by another execution, so the entry was kept"):
        await brief.quarantine_retry(entry.id)
    assert [kept.id for kept in await brief.quarantine()] == [entry.id]


async def test_a_retry_leaves_the_outcomes_to_those_who_wait_for_them(brief: Shadow) -> None:
    """Of what was quarantined, or of what the key was used for since. They were told that it was replaced."""
    first = await brief.add(job, key="damaged")(1)
    await damage(brief, "damaged")
    await finish(brief)
    (entry,) = await brief.quarantine()
    await brief.quarantine_retry(entry.id)
    with pytest.raises(QuarantinedTask):
        await first.get_result()
    await finish(brief)
    second = await brief.add(job, key="damaged")(2)
    await finish(brief)
    (entry,) = await brief.quarantine()
    await brief.quarantine_retry(entry.id)
    assert await second.get_result() == 2


async def test_an_entry_can_be_dropped(brief: Shadow) -> None:
    """When nobody wants it any more."""
    await brief.add(job, key="damaged")(1)
    await damage(brief, "damaged")
    await finish(brief)
    (entry,) = await brief.quarantine()
    await brief.quarantine_drop(entry.id)
    assert await brief.quarantine() == []


@pytest.mark.parametrize("method", ["quarantine_retry", "quarantine_drop"])
async def test_an_entry_that_is_not_there_is_an_error(shadows: Shadow, method: str) -> None:
    """A misspelt id must not look like success."""
    with pytest.raises(ShadowsError, match="no entry '1-1' in the quarantine"):
        await getattr(shadows, method)("1-1")


async def test_a_damaged_entry_of_a_dead_worker_is_set_aside_too(brief: Shadow) -> None:
    """The sweep takes it over like any other, and lives."""
    brief.register(job)
    async with brief.redis() as redis:
        await redis.xadd(brief.keys.stream, {"hello": "world"})
        good = await brief.add(job)(1)
        await redis.xgroup_create(brief.keys.stream, "workers", "0")
        await redis.xreadgroup("workers", "dead#1", {brief.keys.stream: ">"})
    async with working(brief):
        assert await good.get_result(timeout=10) == 1

        async def quarantined() -> bool:
            return len(await brief.quarantine()) == 1

        await wait_until(quarantined, "the damaged entry is in the quarantine")
    assert (await brief.snapshot()).ready_count == 0


async def test_many_garbage_entries_do_not_hold_up_the_good_ones(brief: Shadow) -> None:
    """Each is set aside on its own."""
    brief.register(job)
    async with brief.redis() as redis:
        for _ in range(50):
            await redis.xadd(brief.keys.stream, {"hello": "world"})
    executions = await asyncio.gather(*[brief.add(job)(n) for n in range(50)])
    await finish(brief)
    assert [await execution.get_result() for execution in executions] == list(range(50))
    assert len(await brief.quarantine()) == 50
