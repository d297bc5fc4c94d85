"""A reply that is lost after its command ran: nothing runs twice, nothing is overwritten, nothing is lost.

Nobody can tell such a command from one that never arrived; so each test loses replies on purpose, and counts
what ran.
"""

import asyncio
from datetime import timedelta

import pytest

from shadows import Disposition, Shadow
from shadows.errors import ConnectionFailed, ShadowsError
from shadows.scripts import CANCEL, PROMOTE, REQUEUE, SETTLE, SUBMIT
from shadows.testing import RedisServer
from tests.faults.conftest import runs
from tests.features.workers import working
from tests.proxy import Proxy
from tests.recorded import Journal, fail_twice, hold, repeat, rest
from tests.waiting import wait_until


async def test_an_add_whose_task_was_over_before_it_was_sent_again_runs_once(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    order = proxy.lose_replies(where=runs(SUBMIT))
    adding = asyncio.create_task(far.add(rest, key="a")(str(journal), "a"))
    await wait_until(lambda: order.lost == 1, "the reply is lost")
    proxy.refuse()
    async with working(near):
        await wait_until(lambda: journal.count("end") == {"a": 1}, "the task is over")
        proxy.accept()
        execution = await adding
        assert execution.disposition is Disposition.SCHEDULED
        assert await execution.get_result(timeout=5) == "a"
        again = await far.add(rest, key="a")(str(journal), "again")
        assert await again.get_result(timeout=5) == "again"
    assert journal.count("start") == {"a": 1, "again": 1}


async def test_a_copy_of_an_add_that_arrives_after_later_ones_is_not_run(
    near: Shadow, journal: Journal, shadows_redis: RedisServer
) -> None:
    """A network may hold a packet of a connection that was given up, and deliver it when its add is long over."""
    submissions = near._submissions
    sent: list[tuple[str | bytes | int, ...]] = []
    call = submissions._link.call

    async def keep(*words: str | bytes | int, seconds: float = 5) -> object:
        sent.append(words)
        return await call(*words, seconds=seconds)

    submissions._link.call = keep  # type: ignore[method-assign] # to have the very bytes once more
    async with working(near):
        for label in ("a", "b"):
            execution = await near.add(rest, key=label)(str(journal), label)
            await execution.get_result(timeout=5)
        shadows_redis.command(*sent[0])
        last = await near.add(rest)(str(journal), "last")
        await last.get_result(timeout=5)
    assert journal.count("start") == {"a": 1, "b": 1, "last": 1}


async def test_a_bulk_runs_each_of_its_calls_once_in_order(far: Shadow, proxy: Proxy, journal: Journal) -> None:
    order = proxy.lose_replies(where=runs(SUBMIT), count=3)
    added = await far.add_many([far.call(rest, key=f"k{n}")(str(journal), f"k{n}") for n in range(1000)])
    assert order.lost == 3
    assert {each.disposition for each in added} == {Disposition.SCHEDULED}
    async with working(far, concurrency=50):
        await wait_until(lambda: len(journal.count("end")) == 1000, "all have run")
    assert set(journal.count("start").values()) == {1}
    labels = [label for word, label, _ in journal.events if word == "start"]
    assert labels == [f"k{n}" for n in range(1000)]


async def test_a_replace_is_done_once_and_its_own_run_is_not_replaced(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    await near.add(rest, key="a", when=timedelta(hours=1))(str(journal), "old")
    order = proxy.lose_replies(where=runs(SUBMIT))
    replacing = asyncio.create_task(far.replace(hold, None, "a")(str(journal), "new", "gate"))
    await wait_until(lambda: order.lost == 1, "the reply is lost")
    proxy.refuse()
    async with working(near):
        await wait_until(lambda: journal.count("start") == {"new": 1}, "the new one runs")
        proxy.accept()
        execution = await replacing
        journal.open_gate("gate")
        assert await execution.get_result(timeout=5) == "new"
    assert journal.count("start") == {"new": 1}


async def test_a_cancel_that_is_sent_again_spares_the_successor_of_its_key(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    await near.add(rest, key="a", when=timedelta(hours=1))(str(journal), "old")
    order = proxy.lose_replies(where=runs(CANCEL))
    cancelling = asyncio.create_task(far.cancel("a"))
    await wait_until(lambda: order.lost == 1, "the reply is lost")
    proxy.refuse()
    execution = await near.add(rest, key="a")(str(journal), "new")
    assert execution.disposition is Disposition.SCHEDULED
    proxy.accept()
    assert await cancelling is True
    async with working(near):
        assert await execution.get_result(timeout=5) == "new"


async def test_outcomes_are_written_once_and_nobody_counts_as_fenced(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    order = proxy.lose_replies(where=runs(SETTLE), count=5)
    added = await near.add_many([near.call(rest, key=f"k{n}")(str(journal), f"k{n}", 0.01) for n in range(200)])
    async with working(far, concurrency=20) as worker:
        for each in added:
            assert await each.get_result(timeout=10) == each.key
        assert order.lost == 5
        assert worker.settler.fenced == 0
    assert set(journal.count("start").values()) == {1}


async def test_a_retry_is_scheduled_once_and_keeps_its_count(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    order = proxy.lose_replies(where=runs(SETTLE), count=3)
    execution = await near.add(fail_twice)(str(journal), "a")
    async with working(far):
        assert await execution.get_result(timeout=10) == 3
    assert order.lost == 3
    assert journal.count("start") == {"a": 3}


async def test_a_perpetual_task_has_one_successor_a_run(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    order = proxy.lose_replies(where=runs(SETTLE), count=6)
    await near.add(repeat, key="a")(str(journal), "a", 6)
    async with working(far) as worker:
        await wait_until(lambda: order.lost == 6, "each reply was lost")
        await wait_until(lambda: worker.slots.idle, "the last outcome is written")
        async with near.redis() as redis:
            assert await redis.xlen(near.keys.stream) == 0
            assert await redis.zcard(near.keys.schedule) == 0
    assert journal.count("start") == {"a": 6}


async def test_an_outcome_whose_reply_is_forgotten_when_it_is_sent_again_is_still_the_workers_own(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal, shadows_redis: RedisServer
) -> None:
    """The answer is kept for a minute; an outage may be longer than that."""
    order = proxy.lose_replies(where=runs(SETTLE))
    execution = await near.add(rest)(str(journal), "a")
    async with working(far) as worker:
        await wait_until(lambda: order.lost == 1, "the reply is lost")
        proxy.refuse()
        for key in await keys_of(near, "reply:*"):
            shadows_redis.command("DEL", key)
        proxy.accept()
        await wait_until(lambda: worker.slots.idle, "the outcome is written")
        assert worker.settler.fenced == 0
        assert await execution.get_result(timeout=5) == "a"


async def keys_of(shadow: Shadow, pattern: str) -> list[bytes]:
    """The keys of a shadow behind its prefix."""
    async with shadow.redis() as redis:
        return [key async for key in redis.scan_iter(shadow.keys.prefix.replace("{", "[{]") + pattern, count=1000)]


async def test_what_is_due_is_moved_once(far: Shadow, near: Shadow, proxy: Proxy, journal: Journal) -> None:
    order = proxy.lose_replies(where=runs(PROMOTE), skip=1)
    async with working(far, concurrency=50):
        soon = timedelta(milliseconds=100)
        calls = [near.call(rest, key=f"k{n}", when=soon)(str(journal), f"k{n}") for n in range(100)]
        added = await near.add_many(calls)
        for each in added:
            assert await each.get_result(timeout=10) == each.key
    assert order.lost == 1
    assert set(journal.count("start").values()) == {1}


async def test_entries_that_were_handed_out_in_a_lost_reply_run_once(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    added = await near.add_many([near.call(rest, key=f"k{n}")(str(journal), f"k{n}") for n in range(30)])
    order = proxy.lose_replies("XREADGROUP", count=3)
    async with working(far, concurrency=5):
        for each in added:
            assert await each.get_result(timeout=10) == each.key
    assert order.lost == 3
    assert set(journal.count("start").values()) == {1}


async def test_giving_back_a_quarantined_entry_runs_it_once_though_its_reply_was_lost(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    async with working(near):
        await near.add(rest, key="a", when=timedelta(milliseconds=50))(str(journal), "a")
        payload = await field_of(near, "a", "p")
        await set_field(near, "a", "p", b"\0garbage")
        (entry,) = await wait_until(near.quarantine, "it is quarantined")
        async with near.redis() as redis:
            await redis.xdel(near.keys.quarantine, entry.id)
            id = await redis.xadd(near.keys.quarantine, {"k": "a", "f": "rest", "p": payload})
        proxy.lose_replies(where=runs(REQUEUE))
        with pytest.raises(ConnectionFailed):
            await far.quarantine_retry(id.decode())
        with pytest.raises(ShadowsError, match="no entry"):
            await far.quarantine_retry(id.decode())
        await wait_until(lambda: journal.count("end") == {"a": 1}, "it has run")
    assert journal.count("start") == {"a": 1}


async def field_of(shadow: Shadow, key: str, name: str) -> bytes:
    """One field of a record, as it is stored."""
    async with shadow.redis() as redis:
        value: bytes = await redis.hget(shadow.keys.record(key), name)
        return value


async def set_field(shadow: Shadow, key: str, name: str, value: bytes) -> None:
    """Damages one field of a record."""
    async with shadow.redis() as redis:
        await redis.hset(shadow.keys.record(key), name, value)
