"""Entries that can't run here: parked in order, brought back, or quarantined with their cause."""

from datetime import timedelta
from time import time
from typing import Any

import pytest

from shadows import ExecutionState, QuarantinedTask, Shadow
from shadows.errors import NewerFormat
from shadows.registry import Registry
from shadowsd.engine.asides import NEWER, Asides
from shadowsd.engine.events import EntryParked, EntryQuarantined
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import CONSUMER, Recorded, delivered, fill_quarantine, link_of, outage_of

DAY_MS = 24 * 3600 * 1000


async def job(n: int = 0) -> int:
    return n


def asides_of(shadows: Shadow, recorded: Recorded | None = None, timeout_ms: int = DAY_MS) -> Asides:
    recorded = recorded or Recorded()
    return Asides(link_of(shadows), shadows.keys, outage_of(recorded), recorded.source, 60_000, timeout_ms)


async def test_what_is_parked_comes_back_in_its_order_and_is_the_same_execution(shadows: Shadow) -> None:
    """No attempt is counted, and whoever waits for it still does."""
    executions = [await shadows.add("job")(n) for n in range(250)]
    asides = asides_of(shadows)
    for entry in await delivered(shadows, 250):
        await asides.park(entry, Registry())
    snapshot = await shadows.snapshot()
    assert (snapshot.ready_count, snapshot.unknown_count) == (0, 250)
    await executions[7].sync()
    assert executions[7].state is ExecutionState.QUEUED
    ran: list[int] = []

    async def job(n: int) -> int:
        ran.append(n)
        return n

    shadows.register(job)
    await asides.unpark("job")
    assert (await shadows.snapshot()).unknown_count == 0
    await finish(shadows, concurrency=1)
    assert ran == list(range(250))
    assert await executions[7].get_result() == 7
    assert executions[7].attempt == 1


async def test_an_entry_that_is_not_ours_any_more_is_not_parked(shadows: Shadow) -> None:
    """It was cancelled, or taken over, while this worker looked for its function."""
    await shadows.add("job", key="cancelled")()
    await shadows.add("job", key="taken over")()
    cancelled, taken_over = await delivered(shadows)
    await shadows.cancel("cancelled")
    async with shadows.redis() as redis:
        await redis.xclaim(shadows.keys.stream, "workers", "another#2", 0, [taken_over.id])
    for entry in (cancelled, taken_over):
        await asides_of(shadows).park(entry, Registry())
    snapshot = await shadows.snapshot()
    assert [(row.key, row.worker) for row in snapshot.running] == [("taken over", "another")]
    assert snapshot.unknown_count == 0


async def test_a_parked_entry_whose_record_is_gone_still_comes_back(shadows: Shadow) -> None:
    """The entry is the execution; the record only tells where it is."""
    execution = await shadows.add("job")(5)
    (entry,) = await delivered(shadows)
    async with shadows.redis() as redis:
        await redis.delete(shadows.keys.record(execution.key))
    asides = asides_of(shadows)
    await asides.park(entry, Registry())
    shadows.register(job)
    await asides.unpark("job")
    assert (await shadows.snapshot()).ready_count == 1
    await finish(shadows)
    assert (await shadows.snapshot()).total == 0


async def test_what_a_newer_release_wrote_waits_for_one_that_reads_it(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and not mixed with functions of any name."""
    for n in range(2):
        await shadows.add("job", key=str(n))()
    asides, error = asides_of(shadows), NewerFormat(9, 1)
    for entry in await delivered(shadows):
        await asides.park_newer(entry, error)
    assert caplog.text.count("waits for a newer worker") == 1
    async with shadows.redis() as redis:
        assert await redis.zrange(shadows.keys.unknown, 0, -1) == [f"{NEWER}9".encode()]
    assert not asides.can_run(f"{NEWER}9", Registry())


async def test_a_release_takes_back_what_an_older_one_could_not_read(shadows: Shadow) -> None:
    """After an update of the workers nothing may stay parked for its format."""
    execution = await shadows.add(job)(5)
    asides = asides_of(shadows)
    (entry,) = await delivered(shadows)
    await asides.park_newer(entry, NewerFormat(1, 0))
    assert asides.can_run(f"{NEWER}1", Registry())
    async with working(shadows):
        assert await execution.get_result(timeout=10) == 5


async def test_what_waited_too_long_for_its_function_is_quarantined(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """The time counts from its parking, and the younger ones stay."""
    recorded = Recorded()
    execution = await shadows.add("job", key="old")()
    asides = asides_of(shadows, recorded, timeout_ms=10_000)
    for entry in await delivered(shadows):
        await asides.park(entry, Registry())
    await asides.expire("job", time() * 1000 + 9_000)
    assert await shadows.quarantine() == []
    await asides.expire("job", time() * 1000 + 11_000)
    (entry_,) = await shadows.quarantine()
    assert (entry_.key, entry_.function_name) == ("old", "job")
    assert entry_.cause.startswith("no worker knew its function 'job' since 20")
    with pytest.raises(QuarantinedTask):
        await execution.get_result()
    assert recorded.events == [EntryParked("old", "job"), EntryQuarantined("old", "job", entry_.cause)]
    assert "can't run and is in the quarantine" in caplog.text
    assert (await shadows.add("job", key="old")()).disposition == "scheduled"


async def test_a_function_that_nothing_waits_for_any_more_is_not_looked_after(shadows: Shadow) -> None:
    """All of its entries were cancelled: its name goes with them."""
    await shadows.add("job", key="parked")()
    asides = asides_of(shadows)
    for entry in await delivered(shadows):
        await asides.park(entry, Registry())
    await shadows.cancel("parked")
    await asides.expire("job", time() * 1000)
    async with shadows.redis() as redis:
        assert not await redis.exists(shadows.keys.unknown)


async def test_a_task_that_was_scheduled_long_ago_may_wait_for_its_function_as_long_as_any(shadows: Shadow) -> None:
    """Its submission was days before it was due: it went to the quarantine the moment that it was parked."""
    await shadows.add("job", when=timedelta(milliseconds=1), key="planned")()
    async with shadows.redis() as redis:
        await redis.hset(shadows.keys.record("planned"), "n", 1_000_000)
    await finish(shadows)
    assert (await shadows.snapshot()).unknown_count == 1
    await asides_of(shadows).expire("job", time() * 1000)
    assert await shadows.quarantine() == []


async def test_a_worker_that_runs_looks_after_what_waited_too_long(
    shadows: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its beats, without being asked."""
    monkeypatch.setattr("shadowsd.engine.assembly.UNKNOWN_TIMEOUT", timedelta(milliseconds=100))
    async with Shadow(
        name=shadows.name, url=shadows.settings.url, heartbeat_interval=timedelta(milliseconds=50)
    ) as brief:
        await brief.add("job")()
        async with working(brief):
            await wait_until(brief.quarantine, "the entry is in the quarantine")


async def test_a_full_quarantine_loses_its_oldest_entries_and_says_so(
    shadows: Shadow, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten thousand are kept; a server must not fill up with what nobody looks at."""
    await fill_quarantine(shadows)
    await shadows.add("job", key="newest")()
    (entry,) = await delivered(shadows)
    await asides_of(shadows).quarantine(entry, "because")
    assert (await shadows.snapshot()).quarantined_count == 10_000
    assert (await shadows.quarantine(1))[0].key == "newest"
    assert "The quarantine holds 10 000 entries, for 30 days; its 1 oldest was deleted." in caplog.text


async def test_an_entry_that_is_not_ours_any_more_is_not_quarantined(shadows: Shadow) -> None:
    """Somebody else runs it by now."""
    await shadows.add("job")()
    (entry,) = await delivered(shadows)
    async with shadows.redis() as redis:
        await redis.xclaim(shadows.keys.stream, "workers", "another#2", 0, [entry.id])
    recorded = Recorded()
    await asides_of(shadows, recorded).quarantine(entry, "because")
    assert recorded.events == []
    assert await shadows.quarantine() == []


async def test_an_entry_with_many_fields_is_kept_within_bounds(shadows: Shadow) -> None:
    """Lua can't pass on thousands of them, and one such entry must not stop the worker."""
    async with shadows.redis() as redis:
        await redis.xadd(shadows.keys.stream, {f"field {n}": "x" for n in range(5000)})
    await finish(shadows)
    (entry,) = await shadows.quarantine()
    assert "no field k, f, p" in entry.cause


async def test_setting_aside_goes_on_until_redis_answers(shadows: Shadow, proxy: Proxy) -> None:
    """Sent twice, it finds the entry gone and does nothing: one entry, one event or none, no error."""
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        await through.add("job", key="set aside")()
        (entry,) = await delivered(shadows)
        proxy.lose_replies("EVALSHA", "EVAL")
        await asides_of(through).quarantine(entry, "because")
    assert [each.key for each in await shadows.quarantine()] == ["set aside"]
    async with shadows.redis() as redis:
        pending: dict[str, Any] = await redis.xpending(shadows.keys.stream, "workers")
    assert pending["pending"] == 0
    assert entry.consumer == CONSUMER
