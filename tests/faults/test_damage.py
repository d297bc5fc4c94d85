"""What is damaged, hostile or lost in Redis ends the one entry that it belongs to, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest

from shadows import QuarantinedTask, Retry, Shadow
from shadows.errors import ResultNotKept
from shadows.keys import PLACES
from shadows.testing import RedisServer
from tests.faults.conftest import Starter
from tests.features.workers import finish, working
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_until

GARBAGE: dict[str, dict[bytes, bytes]] = {
    "foreign": {b"hello": b"world"},
    "no key": {b"f": b"rest", b"p": b"x"},
    "no payload": {b"k": b"a", b"f": b"rest"},
    "key is not text": {b"k": b"\xff\xfe", b"f": b"rest", b"p": b"x"},
    "empty payload": {b"k": b"a", b"f": b"rest", b"p": b""},
    "damaged payload": {b"k": b"a", b"f": b"rest", b"p": b"\x01\x00\xc1\xc1"},
    "wrong arguments": {b"k": b"a", b"f": b"rest", b"p": b"\x01\x00\x92\x91\x01\x80"},
    "attempt is no number": {b"k": b"a", b"f": b"rest", b"p": b"x", b"a": b"many"},
    "due at no time": {b"k": b"a", b"f": b"fail_twice", b"p": b"x", b"w": b"nan"},
    "due never": {b"k": b"a", b"f": b"fail_twice", b"p": b"x", b"w": b"1e300"},
    "submission is no number": {b"k": b"a", b"f": b"rest", b"p": b"x", b"n": b"first"},
    "many fields": {f"f{n}".encode(): b"x" for n in range(10_000)},
    "function is not text": {b"k": b"a", b"f": b"\xff", b"p": b"x"},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", GARBAGE)
async def test_a_garbage_entry_is_set_aside_and_the_others_run(
    kind: str, place: str, brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    """Three of them, beside good ones, wherever a worker takes entries from."""
    before = await brief.add(rest)(str(journal), "before")
    stream = brief.keys.prefix + place
    async with brief.redis() as redis:
        if place != "stream":
            await redis.xgroup_create(stream, "workers", "0", mkstream=True)
        for _ in range(3):
            await redis.xadd(stream, dict(GARBAGE[kind]))
    after = await brief.add(rest)(str(journal), "after")
    snapshot = await brief.snapshot()
    assert snapshot.ready_count == 5
    await finish(brief)
    assert [await each.get_result(timeout=1) for each in (before, after)] == ["before", "after"]
    entries = await brief.quarantine()
    failed = await brief.get_execution("a")
    assert len(entries) == 3 or (failed is not None and failed.error)
    assert all(entry.cause for entry in entries)
    assert (await brief.snapshot()).ready_count == 0
    assert (await brief.add(rest, key="a")(str(journal), "a")).disposition == "scheduled"


async def test_a_record_of_the_wrong_type_fails_its_own_add_only(
    brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    shadows_redis.command("SET", brief.keys.record("bad"), "a string")
    added = await brief.add_many([brief.call(rest, key=key)(str(journal), key) for key in ("a", "bad", "b")])
    assert [str(each.disposition) for each in added] == ["scheduled", "failed", "scheduled"]
    await finish(brief)
    assert journal.count("end") == {"a": 1, "b": 1}


@pytest.mark.parametrize("damage", ["DEL", "SET"])
async def test_an_entry_runs_though_its_record_is_gone_and_its_outcome_is_there(
    damage: str, brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    execution = await brief.add(rest, key="a")(str(journal), "a")
    other = await brief.add(rest, key="b")(str(journal), "b")
    shadows_redis.command("DEL", brief.keys.record("a"))
    if damage == "SET":
        shadows_redis.command("SET", brief.keys.record("a"), "a string")
    await finish(brief)
    assert journal.count("end") == {"a": 1, "b": 1}
    assert await other.get_result(timeout=1) == "b"
    if damage == "DEL":
        assert await execution.get_result(timeout=1) == "a"
        assert (await brief.add(rest, key="a")(str(journal), "again")).disposition == "scheduled"


@pytest.mark.parametrize("is_paused", [True, False])
async def test_who_waits_for_what_is_set_aside_without_its_record_is_told_its_end(
    is_paused: bool, brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    """It was told that another execution had taken its place, and this one ran, and completed."""

    async def late(label: str) -> str:
        return label

    execution = await brief.add(late.__name__, key="a")("a")
    if is_paused:
        brief.register(late)
        await brief.pause(late)
    shadows_redis.command("DEL", brief.keys.record("a"))
    async with working(brief):
        await wait_until(lambda: is_set_aside(brief), "it is set aside")
        brief.register(late)
        await brief.resume(late)
        await wait_until(brief_has_nothing_to_do(brief), "it has run")
        assert await execution.get_result(timeout=5) == "a"


async def is_set_aside(shadow: Shadow) -> bool:
    seen = await shadow.snapshot()
    return seen.unknown_count + seen.paused_count == 1


def brief_has_nothing_to_do(shadow: Shadow) -> Any:
    """A condition: whatever was added has ended."""

    async def look() -> bool:
        return (await shadow.snapshot()).total == 0

    return look


async def test_a_running_task_whose_entry_and_record_were_deleted_ends_without_harm(
    brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    async with working(brief) as worker:
        execution = await brief.add(hold, key="a")(str(journal), "a", "gate")
        await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
        shadows_redis.command("XDEL", brief.keys.stream, f"{execution.fence}-0")
        shadows_redis.command("DEL", brief.keys.record("a"))
        journal.open_gate("gate")
        other = await brief.add(rest)(str(journal), "other")
        assert await other.get_result(timeout=5) == "other"
        await wait_until(lambda: worker.slots.idle, "the worker has settled")
    with pytest.raises(ResultNotKept):
        await execution.get_result(timeout=1)


@pytest.mark.parametrize("damage", ["record", "payload", "function", "type"])
async def test_a_scheduled_execution_that_lost_its_payload_is_quarantined_and_its_key_is_free(
    damage: str, brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    soon = timedelta(milliseconds=50)
    await brief.add(rest, key="a", when=soon)(str(journal), "a")
    good = await brief.add(rest, key="b", when=soon)(str(journal), "b")
    record = brief.keys.record("a")
    match damage:
        case "payload" | "function":
            shadows_redis.command("HDEL", record, damage[0])
        case _:
            shadows_redis.command("DEL", record)
    if damage == "type":
        shadows_redis.command("SET", record, "a string")
    await finish(brief)
    assert await good.get_result(timeout=1) == "b"
    (entry,) = await brief.quarantine()
    assert (entry.key, "lost or damaged" in entry.cause) == ("a", True)
    again = await brief.add(rest, key="a")(str(journal), "again")
    await finish(brief)
    assert await again.get_result(timeout=1) == "again"


@pytest.mark.parametrize("waits", [True, False])
async def test_clear_after_a_death_frees_the_key(
    waits: bool, brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    victim = start_worker(brief)
    await brief.add(hold, key="a")(str(journal), "old", "gate")
    await wait_until(lambda: journal.count("start") == {"old": 1}, "the task runs")
    victim.kill()
    if waits:
        await wait_until(brief_is_empty_of_workers(brief), "the lease is over")
        assert await brief.clear() == 1
    else:
        await brief.clear()
        await brief.cancel("a")
    again = await brief.add(rest, key="a")(str(journal), "new")
    assert again.disposition == "scheduled"
    await finish(brief)
    assert await again.get_result(timeout=1) == "new"
    assert journal.count("start") == {"old": 1, "new": 1}


def brief_is_empty_of_workers(shadow: Shadow) -> Any:
    """A condition: no worker lives."""

    async def look() -> bool:
        return await shadow.workers() == []

    return look


async def test_strange_messages_on_the_signal_channel_change_nothing(
    brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    async with working(brief):
        for message in (
            b"",
            b"\xff",
            b"cancel",
            b"cancel \xff",
            b"cancel 1-1",
            b"strikes \xff",
            b"schedule",
            b"x" * 10_000,
        ):
            shadows_redis.command("PUBLISH", brief.keys.signal, message)
        execution = await brief.add(hold, key="a")(str(journal), "a", "never")
        await wait_until(lambda: journal.count("start") == {"a": 1}, "the task runs")
        assert await brief.cancel("a")
        await wait_until(lambda: journal.count("stopped") == {"a": 1}, "signals are still heard")
        assert execution.key == "a"


async def test_a_strange_beat_of_a_dead_worker_does_not_keep_its_work(
    brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    await brief.add(rest)(str(journal), "a")
    async with brief.redis() as redis:
        await redis.xgroup_create(brief.keys.stream, "workers", "0")
        for number, row in enumerate((b"\xc1", b"\x01", b"\x81\xa6reader\xa1x", b"")):
            consumer = f"gone {number}#1"
            await redis.xgroup_createconsumer(brief.keys.stream, "workers", consumer)
            await redis.zadd(brief.keys.leases, {consumer: 1})
            await redis.hset(brief.keys.workers, consumer, row)
        await redis.xreadgroup("workers", "gone 1#1", {brief.keys.stream: ">"})
    await brief.snapshot()
    await finish(brief)
    assert journal.count("end") == {"a": 1}
    async with brief.redis() as redis:
        assert [row["name"] for row in await redis.xinfo_consumers(brief.keys.stream, "workers")] in (
            [],
            [b"reclaimed"],
        )


async def retried_later(retry: Retry = Retry(attempts=2, delay=timedelta(hours=1))) -> None:
    raise ValueError("not now")


async def test_an_outcome_that_redis_can_not_take_is_set_aside_and_the_others_are_written(
    brief: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    """It used to be sent again and again, with every other outcome of the worker behind it."""
    async with working(brief) as worker:
        shadows_redis.command("SET", brief.keys.schedule, "no sorted set")
        await brief.add(retried_later, key="bad")()
        good = [await brief.add(rest)(str(journal), f"k{n}") for n in range(5)]
        (entry,) = await wait_until(brief.quarantine, "the bad one is quarantined")
        assert (entry.key, "outcome could not be written" in entry.cause) == ("bad", True)
        await wait_until(lambda: len(journal.count("end")) == 5, "the good ones have run")
        await wait_until(lambda: worker.slots.idle, "all slots are free")
        shadows_redis.command("DEL", brief.keys.schedule)
        assert [await each.get_result(timeout=5) for each in good] == [f"k{n}" for n in range(5)]


async def test_a_quarantined_execution_tells_who_waits_for_it(brief: Shadow, shadows_redis: RedisServer) -> None:
    soon = timedelta(milliseconds=50)
    execution = await brief.add(rest, key="a", when=soon)("", "a")
    shadows_redis.command("HSET", brief.keys.record("a"), "p", b"\0damaged")
    async with working(brief):
        with pytest.raises(QuarantinedTask):
            await execution.get_result(timeout=5)
