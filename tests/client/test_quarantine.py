"""The quarantine's list: whole entries, damaged ones, and what may be done with them."""

import asyncio
from datetime import timedelta

import pytest

from shadows import ExecutionState, Shadow
from shadows.errors import ShadowsError
from shadows.quarantine import Quarantine, parse
from tests.features.workers import finish


async def job() -> str:
    return "ran"


async def set_aside(shadows: Shadow, key: str = "job", **fields: str | bytes) -> str:
    """An entry as the scripts write it, of a call that could run."""
    payload = shadows.codec.encode_call(None, "job", key, (), {})
    async with shadows.redis() as redis:
        id: bytes = await redis.xadd(
            shadows.keys.quarantine, {"v": "running", "c": "the cause", "k": key, "f": "job", "p": payload, **fields}
        )
    return id.decode()


async def test_entries_are_listed_newest_first_and_bounded(shadows: Shadow) -> None:
    """With their causes and times."""
    ids = [await set_aside(shadows, f"key {n}") for n in range(5)]
    entries = await shadows.quarantine(limit=3)
    assert [entry.id for entry in entries] == [ids[4], ids[3], ids[2]]
    first = entries[0]
    assert (first.key, first.function_name, first.cause) == ("key 4", "job", "the cause")
    assert first.since.timestamp() * 1000 == pytest.approx(int(ids[4].partition("-")[0]))


async def test_one_entry_is_read_by_its_id(shadows: Shadow) -> None:
    """Whichever it is, and only that."""
    ids = [await set_aside(shadows, f"key {n}") for n in range(3)]
    quarantine = Quarantine(shadows.queries, shadows.keys)
    assert await quarantine.entry(ids[0]) == (await shadows.quarantine())[2]
    assert (await quarantine.entry(ids[1])).key == "key 1"


def test_an_entry_that_lacks_everything_is_listed_all_the_same() -> None:
    """Or holds what is no text."""
    entry = parse("5-0", {})
    assert (entry.key, entry.function_name, entry.payload, entry.cause) == ("", "", b"", "")
    assert parse("5-0", {"k": b"\xff"}).key == "\\xff"


async def test_a_retried_entry_runs_as_a_new_submission(shadows: Shadow) -> None:
    """Its cause is mended, so its deaths and attempts don't count any more."""
    shadows.register(job)
    id = await set_aside(shadows, a="7", n="5")
    await shadows.quarantine_retry(id)
    execution = await shadows.get_execution("job")
    assert execution is not None
    assert (execution.state, execution.attempt) == (ExecutionState.QUEUED, 1)
    assert execution.submission > 1_000_000
    await finish(shadows)
    assert await execution.get_result() == "ran"
    assert await shadows.quarantine() == []


@pytest.mark.parametrize("busy", ["scheduled", "queued", "something else"])
async def test_a_busy_key_keeps_the_entry(shadows: Shadow, busy: str) -> None:
    """Wherever the key's execution is; also when its record is none of ours."""
    id = await set_aside(shadows)
    record = shadows.keys.record("job")
    async with shadows.redis() as redis:
        if busy == "something else":
            await redis.set(record, busy)
        else:
            await shadows.add(job, when=timedelta(hours=1) if busy == "scheduled" else None, key="job")()
        with pytest.raises(ShadowsError, match=r"'job' of the quarantined entry .* is in use"):
            await shadows.quarantine_retry(id)
        assert [entry.id for entry in await shadows.quarantine()] == [id]
        await redis.delete(record)


async def test_a_key_whose_execution_finished_or_vanished_is_not_busy(shadows: Shadow) -> None:
    """Busy is where an execution is."""
    await shadows.add(job, key="job")()
    async with shadows.redis() as redis:
        await redis.xtrim(shadows.keys.stream, maxlen=0)
    await shadows.quarantine_retry(await set_aside(shadows))
    await finish(shadows)
    await shadows.quarantine_retry(await set_aside(shadows))
    await finish(shadows)
    assert await shadows.quarantine() == []


async def test_of_two_who_retry_at_once_one_gives_it_back(shadows: Shadow) -> None:
    """The other is told that it is gone."""
    id = await set_aside(shadows)
    results = await asyncio.gather(*[shadows.quarantine_retry(id) for _ in range(2)], return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ShadowsError]
    assert (await shadows.snapshot()).ready_count == 1


@pytest.mark.parametrize("id", ["1-1", "nonsense"])
async def test_a_wrong_id_is_an_error(shadows: Shadow, id: str) -> None:
    """Also one that is no id at all."""
    for act in (shadows.quarantine_retry, shadows.quarantine_drop, Quarantine(shadows.queries, shadows.keys).entry):
        with pytest.raises(ShadowsError, match=f"no entry '{id}' in the quarantine"):
            await act(id)
