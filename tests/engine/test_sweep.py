"""Who may be judged dead, when, and what becomes of what they held."""

import asyncio
import logging
from datetime import timedelta
from time import monotonic, time

import msgspec
import pytest

from shadows import ExecutionState, QuarantinedTask, Shadow
from shadowsd.engine.events import EntryQuarantined, Reclaimed
from shadowsd.engine.membership import Membership
from shadowsd.engine.sweep import Sweeper
from shadowsd.engine.takeover import read_row, reader_of
from tests.features.workers import finish
from tests.proxy import Proxy
from tests.waiting import wait_until

from .parts import CONSUMER, Recorded, delivered, fill_quarantine, link_of, make_group

LEASE = 10.0


async def job(n: int = 0) -> int:
    return n


class Watch:
    """A sweeper with its events; one that has been steady for long unless told otherwise."""

    def __init__(self, shadows: Shadow, lease: float = LEASE) -> None:
        self.recorded = Recorded()
        self.membership = Membership("me")
        self.sweeper = Sweeper(
            link_of(shadows), shadows.keys, self.membership, self.recorded.source, lease, ttl_ms=60_000
        )

    def beats(self, *beats: tuple[int, float], clock: float | None = None) -> None:
        """Renewals as (connection, seconds ago); Redis's clock goes along unless it is given."""
        for connection, ago in beats:
            arrived = monotonic() - ago
            self.sweeper.beat_came_through(connection, arrived, (arrived if clock is None else clock) * 1000)


@pytest.fixture
async def watch(shadows: Shadow) -> Watch:
    watch = Watch(shadows)
    watch.sweeper._steady_since = monotonic() - 2 * LEASE
    return watch


@pytest.mark.parametrize(
    ("beats", "judges"),
    [
        ([], False),
        ([(1, 11), (1, 8), (1, 4), (1, 0)], True),
        ([(1, 9), (1, 6), (1, 3), (1, 0)], False),
        ([(1, 20), (1, 12), (1, 8), (1, 4), (1, 0)], True),
        ([(1, 20), (1, 9), (1, 6), (1, 3), (1, 0)], False),
        ([(1, 12), (1, 9), (2, 6), (2, 3), (2, 0)], False),
        ([(1, 16), (2, 12), (2, 9), (2, 6), (2, 3), (2, 0)], True),
    ],
)
async def test_nobody_is_judged_before_a_whole_lease_of_undisturbed_beats(
    shadows: Shadow, beats: list[tuple[int, float]], judges: bool
) -> None:
    """A gap of more than half a lease or a new connection begins the waiting anew."""
    watch = Watch(shadows)
    watch.beats(*beats)
    assert watch.sweeper.may_judge is judges
    assert (watch.sweeper.judges_in == 0.0) is judges


async def test_a_beat_that_failed_begins_the_waiting_anew(shadows: Shadow) -> None:
    """Whoever was cut off can't tell the dead from the living."""
    watch = Watch(shadows)
    watch.beats((1, 12), (1, 8), (1, 4), (1, 0))
    watch.sweeper.beat_failed()
    assert not watch.sweeper.may_judge
    assert watch.sweeper.judges_in == LEASE
    watch.beats((1, 0))
    assert LEASE - 1 < watch.sweeper.judges_in <= LEASE


async def test_a_jump_of_the_servers_clock_begins_the_waiting_anew(shadows: Shadow) -> None:
    """It ends all leases at once, and nobody died."""
    watch = Watch(shadows)
    watch.beats((1, 12), (1, 8), (1, 4))
    watch.beats((1, 0), clock=monotonic() + 3600)
    assert not watch.sweeper.may_judge


async def test_what_a_dead_worker_held_runs_again_with_the_same_attempt(
    shadows: Shadow, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """More than one call of the script may take; the loss is told once."""
    executions = [await shadows.add(job)(n) for n in range(250)]
    assert len(await delivered(shadows, 250)) == 250
    await watch.sweeper.take_over([CONSUMER])
    assert watch.recorded.events == [Reclaimed(CONSUMER, 250, 0)]
    assert "Worker w is gone; of what it held, 250 tasks run again" in caplog.text
    await finish(shadows, concurrency=50)
    assert [await execution.get_result() for execution in executions] == list(range(250))
    await executions[0].sync()
    assert executions[0].attempt == 1


async def test_a_worker_that_renewed_meanwhile_is_left_alone(shadows: Shadow, watch: Watch) -> None:
    """Redis looks at the lease itself, whatever the caller believed."""
    await shadows.add(job)()
    await delivered(shadows)
    async with shadows.redis() as redis:
        await redis.zadd(shadows.keys.leases, {CONSUMER: time() * 1000 + 60_000})
    await watch.sweeper.take_over([CONSUMER])
    assert watch.recorded.events == []
    assert len((await shadows.snapshot()).running) == 1


async def test_a_worker_never_takes_over_from_itself(shadows: Shadow, watch: Watch) -> None:
    """Its own lease may look old to itself after a pause."""
    await shadows.add(job)()
    await delivered(shadows, consumer=watch.membership.consumer)
    await watch.sweeper.take_over([watch.membership.consumer])
    assert watch.recorded.events == []


async def test_who_may_not_judge_takes_nothing(shadows: Shadow) -> None:
    """Also when a list of the dead is there."""
    await shadows.add(job)()
    await delivered(shadows)
    watch = Watch(shadows)
    await watch.sweeper.take_over([CONSUMER])
    assert watch.recorded.events == []


async def test_consumers_without_a_lease_are_found_at_the_second_look(shadows: Shadow, watch: Watch) -> None:
    """Their lease was lost without a trace; the living have renewed theirs by the second look."""
    await shadows.add(job)()
    await delivered(shadows)
    await watch.sweeper.sweep()
    assert watch.recorded.events == []
    await watch.sweeper.sweep()
    assert watch.recorded.events == [Reclaimed(CONSUMER, 1, 0)]


async def test_a_sweep_of_an_empty_server_finds_nobody(shadows: Shadow, watch: Watch) -> None:
    """There is not even a stream."""
    await watch.sweeper.sweep()
    await watch.sweeper.sweep()
    assert watch.recorded.events == []


async def test_the_sweep_comes_back_each_lease_though_one_of_them_fails(shadows: Shadow, proxy: Proxy) -> None:
    """An outage between two sweeps costs one of them."""
    await shadows.add(job)()
    await delivered(shadows)
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        watch = Watch(through, lease=0.05)
        watch.sweeper._steady_since = monotonic() - 1
        sweeping = asyncio.create_task(watch.sweeper.sweep_forever())
        proxy.refuse()
        proxy.cut()
        await asyncio.sleep(0.15)
        assert not sweeping.done()
        proxy.accept()
        await wait_until(lambda: watch.recorded.events, "the dead one was taken over")
        sweeping.cancel()


async def test_a_take_over_that_fails_is_tried_again(
    shadows: Shadow, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """At the next beat, and it is told."""
    await shadows.add(job)()
    await delivered(shadows)
    async with Shadow(name=shadows.name, url=proxy.url) as through:
        watch = Watch(through)
        watch.sweeper._steady_since = monotonic() - 2 * LEASE
        proxy.refuse()
        proxy.cut()
        with caplog.at_level(logging.WARNING, "shadows.worker"):
            await watch.sweeper.take_over([CONSUMER])
        assert "is tried again at the next beat" in caplog.text
        proxy.accept()
        await watch.sweeper.take_over([CONSUMER])
    assert watch.recorded.events == [Reclaimed(CONSUMER, 1, 0)]


async def die(shadows: Shadow, watch: Watch, times: int, beside: int = 0) -> None:
    """A worker is handed what waits and dies of it, again and again; `beside` others run beside it."""
    async with shadows.redis() as redis:
        for n in range(times):
            for _ in range(beside):
                await shadows.add(job)()
            consumer = f"victim#{n}"
            for stream in shadows.keys.streams:
                if await redis.exists(stream):
                    pending = await redis.xpending_range(stream, "workers", "-", "+", 100, "reclaimed")
                    if pending:
                        await redis.xclaim(stream, "workers", consumer, 0, [row["message_id"] for row in pending])
                    await redis.xreadgroup("workers", consumer, {stream: ">"}, count=100)
            await watch.sweeper.take_over([consumer])


async def test_a_task_whose_worker_died_three_times_with_it_alone_is_quarantined(shadows: Shadow, watch: Watch) -> None:
    """The first two times it runs again, the third time it is a killer; its key is free."""
    execution = await shadows.add(job, key="killer")()
    await delivered(shadows)
    await watch.sweeper.take_over([CONSUMER])
    assert (await shadows.snapshot()).ready_count == 1
    await die(shadows, watch, 2)
    (entry,) = await shadows.quarantine()
    assert (entry.key, entry.cause.partition(",")[0]) == ("killer", "3 deaths of the process that ran it")
    with pytest.raises(QuarantinedTask, match=entry.id):
        await execution.get_result()
    assert watch.recorded.events[-1] == Reclaimed("victim#1", 1, 1)
    assert not any(isinstance(event, EntryQuarantined) for event in watch.recorded.events)
    assert (await shadows.add(job, key="killer")()).disposition == "scheduled"


@pytest.mark.parametrize(("held", "age_days", "deleted"), [(10_000, 1, "1 oldest was"), (5, 31, "5 oldest were")])
async def test_a_killer_pushes_the_oldest_out_of_the_quarantine(
    shadows: Shadow, watch: Watch, caplog: pytest.LogCaptureFixture, held: int, age_days: int, deleted: str
) -> None:
    """The limits held only for what a worker itself set aside, and not for what killed it."""
    await fill_quarantine(shadows, held, age_days * 24 * 3600 * 1000)
    await shadows.add(job, key="killer")()
    await delivered(shadows)
    await watch.sweeper.take_over([CONSUMER])
    await die(shadows, watch, 2)
    assert (await shadows.snapshot()).quarantined_count == held + 1 - int(deleted.partition(" ")[0])
    assert (await shadows.quarantine(1))[0].key == "killer"
    assert f"its {deleted} deleted." in caplog.text


async def test_bystanders_of_a_death_are_not_blamed(shadows: Shadow, watch: Watch) -> None:
    """Two losses of a full worker make nobody a suspect; the third makes them run alone, and they are cleared."""
    async with shadows.redis() as redis:
        await make_group(redis, shadows)
        execution = await shadows.add(job, key="bystander")()
        await die(shadows, watch, 2, beside=3)
        assert await redis.xlen(shadows.keys.suspects) == 0
        await die(shadows, watch, 1, beside=3)
        assert await redis.xlen(shadows.keys.suspects) > 0
    url, beat = shadows.settings.url, timedelta(milliseconds=50)
    async with Shadow(name=shadows.name, url=url, heartbeat_interval=beat) as brief:
        await finish(brief)
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED
    assert await shadows.quarantine() == []


async def test_the_reader_of_a_dead_worker_is_cut_off_by_number_and_name(shadows: Shadow, watch: Watch) -> None:
    """Redis would still hand entries to it; a restarted server gives the same number to somebody else."""
    async with shadows.redis() as redis:
        number = await redis.client_id()
        await redis.hset(shadows.keys.workers, CONSUMER, msgspec.msgpack.encode({"reader": number}))
        await watch.sweeper.take_over([CONSUMER])
        assert await redis.client_id() == number
        await redis.client_setname("shadows:reader:1")
        await redis.hset(shadows.keys.workers, CONSUMER, msgspec.msgpack.encode({"reader": number}))
        async with shadows.redis() as other:
            assert any(int(row["id"]) == number for row in await other.client_list())
            await watch.sweeper.take_over([CONSUMER])
            assert not any(int(row["id"]) == number for row in await other.client_list())


@pytest.mark.parametrize(
    ("row", "reader"),
    [
        (None, 0),
        (b"\xc1", 0),
        (msgspec.msgpack.encode(5), 0),
        (msgspec.msgpack.encode({}), 0),
        (msgspec.msgpack.encode({"reader": "seven"}), 0),
        (msgspec.msgpack.encode({"reader": 7}), 7),
    ],
)
def test_a_beat_that_does_not_tell_its_reader_has_none(row: bytes | None, reader: int) -> None:
    """Whoever wrote it."""
    assert reader_of(read_row(row)) == reader


async def test_two_sweepers_at_once_take_each_entry_once(shadows: Shadow) -> None:
    """Every living worker notices the death."""
    executions = [await shadows.add(job)(n) for n in range(20)]
    await delivered(shadows)
    watches = [Watch(shadows) for _ in range(2)]
    for watch in watches:
        watch.sweeper._steady_since = monotonic() - 2 * LEASE
    await asyncio.gather(*[watch.sweeper.take_over([CONSUMER, CONSUMER]) for watch in watches])
    taken = sum(event.taken for watch in watches for event in watch.recorded.events)  # type: ignore[union-attr] # all are
    assert taken == 20
    await finish(shadows)
    assert [await execution.get_result(timeout=timedelta(seconds=5)) for execution in executions] == list(range(20))
