"""Why an execution is where it is: what is read for it, and how much of it."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
from redis import Redis

from shadows import ConcurrencyLimit, Perpetual, Shadow
from shadows.ahead import MOST_COUNTED, MOST_HOLDERS, holder_of
from shadows.keys import GROUP, RECLAIMED
from shadows.obstacles import Reason
from shadows.priorities import PRIORITIES
from shadows.why import Why, read_why
from tests.features.workers import working
from tests.proxy import Proxy
from tests.waiting import wait_until


async def job(text: str = "") -> None: ...


async def restless(again: Perpetual = Perpetual(every=timedelta(0))) -> None: ...


async def placed(limit: ConcurrencyLimit = ConcurrencyLimit(MOST_HOLDERS + 5)) -> None:
    await asyncio.sleep(60)


async def handed_out(shadows: Shadow, stream: str, consumer: str, count: int) -> None:
    """Has a consumer hold the first entries of a stream, as a worker or `reclaimed` does."""
    async with shadows.redis() as redis:
        groups = await redis.xinfo_groups(stream)
        if not groups:
            await redis.xgroup_create(stream, GROUP, "0")
        await redis.xreadgroup(GROUP, consumer, {stream: ">"}, count=count)


async def before(shadows: Shadow, key: str) -> int | None:
    return (await read_why(shadows, key)).before


async def test_what_was_taken_from_the_dead_goes_before_what_is_new(shadows: Shadow) -> None:
    await shadows.add_many([shadows.call(job, key=f"k{n}")() for n in range(6)])
    await handed_out(shadows, shadows.keys.stream, "anna#1", 1)
    await handed_out(shadows, shadows.keys.stream, RECLAIMED, 3)
    assert [await before(shadows, f"k{n}") for n in range(1, 6)] == [0, 1, 2, 3, 4]
    taken_back = await read_why(shadows, "k1")
    assert taken_back.crew is not None
    assert taken_back.crew.taken == 0, "nobody who lives holds any of them"
    assert taken_back.since is not None
    assert taken_back.since > (await read_why(shadows, "k5")).since  # type: ignore[operator] # it has one, too


async def test_what_came_back_goes_before_what_is_new(shadows: Shadow) -> None:
    await shadows.add_many([shadows.call(job, key=f"k{n}")() for n in range(2)])
    async with shadows.redis() as redis:
        await redis.xadd(shadows.keys.returned, {"k": "other", "f": "job", "p": ""}, "1-0")
        # Somebody else's, who has read all of it.
        await redis.xgroup_create(shadows.keys.returned, "another", "$")
        assert await before(shadows, "k1") == 2
        await redis.hset(shadows.keys.record("back"), mapping={"g": 2, "s": "queued", "f": "job", "at": "returned"})
        await redis.xadd(shadows.keys.returned, {"k": "back", "f": "job", "p": ""}, "2-0")
    assert await before(shadows, "back") == 1


async def test_the_higher_priority_goes_before(shadows: Shadow) -> None:
    for priority in PRIORITIES:
        for number in range(2):
            await shadows.add(job, key=f"{priority}-{number}", priority=priority)()
    keys = [f"{priority}-{number}" for priority in PRIORITIES for number in range(2)]
    assert [await before(shadows, key) for key in keys] == [0, 1, 2, 3, 4, 5]
    assert (await read_why(shadows, "low-1")).priority == "low"
    await handed_out(shadows, f"{shadows.keys.prefix}high", "anna#1", 1)
    assert await before(shadows, "low-0") == 3


async def test_before_a_suspect_are_other_suspects_alone(shadows: Shadow) -> None:
    await shadows.add(job)()
    record: dict[Any, Any] = {"g": 8, "n": 5, "s": "queued", "f": "job", "at": "suspects", "d": 2, "l": 1}
    async with shadows.redis() as redis:
        for number in (6, 7, 8):
            await redis.xadd(shadows.keys.suspects, {"k": "k", "f": "job", "p": ""}, f"{number}-0")
        await redis.hset(shadows.keys.record("k"), mapping=record)
    found = await read_why(shadows, "k")
    assert found.reasons == (Reason.SUSPECT, Reason.NO_WORKER)
    assert (found.before, found.deaths, found.losses) == (2, 2, 1)


async def test_what_moves_while_it_is_looked_at_is_looked_at_again(shadows: Shadow, shadows_url: str) -> None:
    """Half of the facts would be of another place."""
    await shadows.add(job, key="k")()
    async with Shadow(shadows.name, shadows_url) as other:
        await other.pause(job)
    with Redis.from_url(shadows_url) as redis:
        # It is called in the middle of the look, when the pause is read.
        shadows.strikelist.listeners.add(lambda: redis.delete(shadows.keys.stream))
        found = await read_why(shadows, "k")
    assert found.reasons == (Reason.LOST,)
    await shadows.resume(job)


async def test_no_more_are_counted_than_a_person_wants_to_know(shadows: Shadow, proxy: Proxy) -> None:
    """And none of a backlog of a million is sent: the script passes them, some at a time."""
    await shadows.add_many(shadows.call(job)() for _ in range(MOST_COUNTED * 2))
    await shadows.add(job, key="k")()
    async with shadows.redis() as redis:
        await redis.xadd(shadows.keys.returned, {"k": "other", "f": "job", "p": ""}, "1-0")
    async with Shadow(shadows.name, proxy.url) as counting:
        assert await before(counting, "k") == MOST_COUNTED
    assert proxy.commands["XRANGE"] == 0
    assert proxy.commands["EVALSHA"] < 10


async def test_large_entries_are_passed_a_few_at_a_time(shadows: Shadow) -> None:
    await shadows.add_many(shadows.call(job)("x" * 300_000) for _ in range(12))
    await shadows.add(job, key="k")()
    assert await before(shadows, "k") == 12


async def test_an_entry_of_the_quarantine_is_found_behind_many_newer_ones(shadows: Shadow) -> None:
    async with shadows.redis() as redis, redis.pipeline() as pipeline:
        for key in ("k", *("other" for _ in range(450))):
            pipeline.xadd(shadows.keys.quarantine, {"v": "running", "c": "broken", "k": key, "f": "job", "p": ""})
        id, *_ = await pipeline.execute()
    found = await read_why(shadows, "k")
    assert (found.reasons, found.quarantine_id, found.error) == ((Reason.QUARANTINED,), id.decode(), "broken")
    assert (await read_why(shadows, "nobody")).reasons == (Reason.NOTHING,)


async def test_a_gate_with_many_places_is_told_of_in_part(shadows: Shadow) -> None:
    async with working(shadows, concurrency=MOST_HOLDERS * 2):
        await shadows.add_many([shadows.call(placed, key=f"{n:02}")() for n in range(MOST_HOLDERS + 5)])
        gate = f"{shadows.keys.prefix}gate:c:placed"
        await wait_until(lambda: size(shadows, gate, MOST_HOLDERS + 5), "all places are taken")
        await shadows.add(placed, key="k")()
        found = await wait_until(lambda: at_gate(shadows, "k"), "it waits")
        assert found.gate is not None
        assert (found.gate.taken, len(found.gate.holders)) == (MOST_HOLDERS + 5, MOST_HOLDERS)
        assert {holder.key for holder in found.gate.holders} <= {f"{n:02}" for n in range(MOST_HOLDERS + 5)}
    await shadows.clear()


async def size(shadows: Shadow, name: str, wanted: int) -> bool:
    return bool(await shadows.queries.call("HLEN", name) == wanted)


async def at_gate(shadows: Shadow, key: str) -> Why | None:
    found = await read_why(shadows, key)
    return found if found.gate else None


async def test_who_waits_at_no_gate_that_is_known_is_told_of_without_it(shadows: Shadow) -> None:
    """Its limits can't be read, or it is about to be let in."""
    record: dict[Any, Any] = {"g": 5, "n": 5, "s": "queued", "f": "job", "at": "waiting"}
    async with shadows.redis() as redis:
        for key, asked in (("k", b"\xc1"), ("l", msgspec.msgpack.encode([("c:job", 1)]))):
            number = 5 + (key == "l")
            await redis.hset(shadows.keys.record(key), mapping=record | {"g": number})
            await redis.xadd(shadows.keys.waiting, {"k": key, "f": "job", "p": "", "gt": asked}, f"{number}-0")
    for key in ("k", "l"):
        found = await read_why(shadows, key)
        assert (found.reasons, found.gate) == ((Reason.GATE, Reason.NO_WORKER), None)


def test_a_place_that_can_not_be_read_is_somebodys() -> None:
    assert holder_of(b"\xc1") == ("?", None)
    assert holder_of(msgspec.msgpack.encode(("", "k", "5"))) == ("k", None)
    assert holder_of(msgspec.msgpack.encode(("anna#1", "k", "5"))) == ("k", "anna")


async def test_an_execution_that_never_rests_is_told_of_all_the_same(shadows: Shadow) -> None:
    """It moves while it is looked at, so it is looked at again, and not for ever."""
    await shadows.add(restless, key="k")()
    async with working(shadows):
        for _ in range(50):
            found = await read_why(shadows, "k")
            assert found.function_name == "restless"
        await shadows.cancel("k")


async def test_a_record_that_is_none_is_nothing_known(shadows: Shadow) -> None:
    async with shadows.redis() as redis:
        await redis.set(shadows.keys.record("k"), "something else")
    assert (await read_why(shadows, "k")).reasons == (Reason.NOTHING,)


async def test_what_runs_on_a_worker_that_left_no_trace_is_told_of(shadows: Shadow) -> None:
    """Its beats are gone, as after a flush of that key: only its name is known."""
    await shadows.add(job, key="k")()
    await handed_out(shadows, shadows.keys.stream, "anna#1", 1)
    found = await read_why(shadows, "k")
    assert found.reasons == (Reason.LOST_WORKER, Reason.NO_WORKER)
    assert (found.worker, found.beat, found.lease_ends) == ("anna", None, None)
