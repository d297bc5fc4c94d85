"""Limits over all workers hold, and lose no place, whoever dies, is stopped, or is cancelled, and whenever."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic

import pytest

from shadows import ConcurrencyLimit, Cooldown, Debounce, ExecutionState, RateLimit, Retry, Shadow, Worker
from shadows import scripts as all_scripts
from shadows.scripts import ADMIT, OPEN, Script
from shadows.testing import RedisServer
from tests.faults.conftest import LEASE_SECONDS, Starter, brief_shadow
from tests.faults.gated import all_is_gone, holders, left_behind, most_at_once, some_wait, waits
from tests.faults.test_lost_replies import runs
from tests.features.workers import finish, working
from tests.proxy import Proxy
from tests.recorded import Journal, hold_limited, rest_limited, write
from tests.waiting import wait_until

SCRIPTS = [each for each in vars(all_scripts).values() if isinstance(each, Script)]


@pytest.fixture
async def far(proxy: Proxy, shadows_redis: RedisServer) -> AsyncIterator[Shadow]:
    """A shadow behind the proxy, on a server that knows every script."""
    for script in SCRIPTS:
        shadows_redis.command("SCRIPT", "LOAD", script.source)
    async with brief_shadow(proxy.url) as shadow:
        yield shadow


@pytest.fixture
async def near(far: Shadow, shadows_url: str) -> AsyncIterator[Shadow]:
    async with brief_shadow(shadows_url, name=far.name) as shadow:
        yield shadow


async def test_the_places_of_a_killed_worker_come_back_within_a_second_of_its_lease(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Its tasks keep their places until they run again, and then those who wait get them."""
    victim = start_worker(brief)
    await brief.add_many([brief.call(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(6)])
    await some_wait(brief, 4)
    start_worker(brief)
    victim.kill()
    write(str(journal), "killed", "-")
    killed = monotonic()
    await wait_until(lambda: journal.count("start").total() == 4, "the two run again")
    assert monotonic() - killed < LEASE_SECONDS + 1
    assert journal.count("start") == {"k0": 2, "k1": 2}
    journal.open_gate("gate")
    await wait_until(lambda: len(journal.count("end")) == 6, "all end")
    assert most_at_once(journal, victim.pid) == 2
    await all_is_gone(brief)


async def test_a_place_whose_execution_was_cancelled_at_a_dead_worker_comes_back(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Nothing runs again in its place."""
    victim = start_worker(brief)
    for n in range(4):
        await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
    await some_wait(brief, 2)
    victim.pause()
    await brief.cancel("k0")
    await brief.cancel("k1")
    start_worker(brief)
    victim.kill()
    killed = monotonic()
    await wait_until(lambda: {"k2", "k3"} <= set(journal.count("start")), "the next two run")
    assert monotonic() - killed < LEASE_SECONDS + 1
    journal.open_gate("gate")
    await all_is_gone(brief)


async def test_a_lost_place_for_which_nobody_waited_is_given_to_the_next_at_once(
    brief: Shadow, journal: Journal
) -> None:
    """A worker that died after a run's outcome, and before it gave its place back, is not known to anybody."""
    async with brief.redis() as redis:
        for n in range(2):
            gone = b"\x93\xa6gone#1\xa4gone\xa11"
            await redis.hset(f"{brief.keys.prefix}gate:c:rest", str(n), gone)
    for n in range(4):
        await brief.add(rest_limited, key=f"k{n}")(str(journal), f"k{n}", 0.0)
    began = monotonic()
    await finish(brief)
    assert monotonic() - began < LEASE_SECONDS
    assert journal.count("end").total() == 4
    await all_is_gone(brief)


async def test_a_process_that_is_killed_again_and_again_never_lets_more_in(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    survivor = start_worker(brief)
    await brief.add_many([brief.call(rest_limited)(str(journal), f"k{n}", 0.02) for n in range(500)])
    for _ in range(3):
        victim = start_worker(brief)
        before = len(journal.events)
        await wait_until(lambda b=before: len(journal.events) > b + 10, "some run")  # type: ignore[misc]
        victim.kill()
    await wait_until(lambda: len(journal.count("end")) == 500, "all have run", 30)
    running: Counter[str] = Counter()
    for word, label, pid in journal.events:
        if pid == survivor.pid:
            running[label] += 1 if word == "start" else -1
            assert +running == running
            assert running.total() <= 2
    await all_is_gone(brief)


async def test_three_workers_whose_runs_die_at_random_keep_the_limit(brief: Shadow) -> None:
    running, most, ended = 0, 0, Counter[int]()

    async def dies(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(3), retry: Retry = Retry(9)) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(random.random() * 0.002)
            if random.random() < 0.2:
                raise ValueError(number)
            ended[number] += 1
        finally:
            running -= 1

    await brief.add_many([brief.call(dies)(number) for number in range(500)])

    async def dying_worker() -> None:
        for _ in range(3):
            async with Worker(brief) as worker:
                working = asyncio.create_task(worker.run_forever())
                await wait_until(lambda: worker.settler.done > 20, "it has done something")
                await worker.stop_at_once()
                await working

    await asyncio.gather(dying_worker(), finish(brief), finish(brief))
    assert most == 3
    assert ended == dict.fromkeys(range(500), 1)
    await all_is_gone(brief)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("way", ["cancel", "replace"])
async def test_what_runs_and_what_waits_is_cancelled_or_replaced_in_any_order(
    brief: Shadow, journal: Journal, way: str, order: tuple[int, ...]
) -> None:
    async with working(brief):
        for n in range(5):
            await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
        await some_wait(brief, 3)
        for n in (each + 1 for each in order):  # k1 runs, k2 and k3 wait
            if way == "cancel":
                assert await brief.cancel(f"k{n}")
            else:
                await brief.replace(hold_limited, None, f"k{n}")(str(journal), f"n{n}", "gate")
        journal.open_gate("gate")
        wanted = {"k0", "k4"} if way == "cancel" else {"k0", "k4", "n1", "n2", "n3"}
        await wait_until(lambda: wanted <= set(journal.count("end")), "the others run")
        assert not {"k2", "k3"} & set(journal.count("start"))
    assert most_at_once(journal) == 2
    await all_is_gone(brief)


async def granted(shadow: Shadow, journal: Journal) -> None:
    """Leaves two executions let in and not begun, and two waiting, as when no worker has a free slot any more."""
    async with working(shadow) as worker:
        for n in range(6):
            await shadow.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
        await some_wait(shadow, 4)
        worker.reader.stopping = True
        await shadow.cancel("k0")
        await shadow.cancel("k1")
        await some_wait(shadow, 2)
    async with shadow.redis() as redis:
        assert await redis.xlen(shadow.keys.returned) == 2
    assert await holders(shadow, "hold") == 2


@pytest.mark.parametrize("keys", [("k2", "k3"), ("k5", "k2", "k3"), ("k2",), ("k3", "k4")])
async def test_what_was_let_in_and_has_not_begun_can_be_cancelled(
    brief: Shadow, journal: Journal, keys: tuple[str, ...]
) -> None:
    await granted(brief, journal)
    journal.open_gate("gate")
    for key in keys:
        assert await brief.cancel(key)
    began = monotonic()
    await finish(brief)
    assert monotonic() - began < LEASE_SECONDS + 1
    assert set(journal.count("end")) == {"k2", "k3", "k4", "k5"} - set(keys)
    assert most_at_once(journal) <= 2
    await all_is_gone(brief)


async def test_clear_removes_what_waits_and_what_was_let_in(brief: Shadow, journal: Journal) -> None:
    """And whatever comes next does not wait for their places."""
    await granted(brief, journal)
    assert await brief.clear() == 4
    assert [key for key in await left_behind(brief) if b"gate:c" not in key] == []
    journal.open_gate("gate")
    for n in range(4):
        await brief.add(hold_limited, key=f"new{n}")(str(journal), f"new{n}", "gate")
    began = monotonic()
    await finish(brief)
    assert monotonic() - began < LEASE_SECONDS
    assert journal.count("end").total() == 4
    await all_is_gone(brief)


async def test_an_entry_that_is_quarantined_after_it_was_let_in_gives_its_place_on(
    brief: Shadow, journal: Journal
) -> None:
    """Its payload was damaged while it waited."""
    async with working(brief):
        for n in range(4):
            await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
        await some_wait(brief, 2)
        await damage(brief, b"k2", b"p")
        await damage(brief, b"k3", b"k", b"\xff")
        last = await brief.add(hold_limited)(str(journal), "last", "gate")
        journal.open_gate("gate")
        assert await last.get_result(timeout=5) == "last"
    assert len(await brief.quarantine()) == 2
    await all_is_gone(brief)


async def damage(shadow: Shadow, key: bytes, name: bytes, value: bytes = b"\0garbage") -> None:
    """Writes the waiting entry of `key` anew, in its place, with another value of one field."""
    async with shadow.redis() as redis, redis.pipeline(transaction=True) as pipe:
        pipe.delete(shadow.keys.waiting)
        for id, fields in await redis.xrange(shadow.keys.waiting):
            pipe.xadd(shadow.keys.waiting, fields | ({name: value} if fields[b"k"] == key else {}), id=id)
        await pipe.execute()


async def test_who_waits_with_damaged_terms_asks_anew(brief: Shadow, journal: Journal) -> None:
    """And a place of nobody is no place."""
    async with working(brief):
        for n in range(4):
            await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
        await some_wait(brief, 2)
        await damage(brief, b"k2", b"gt")
        async with brief.redis() as redis:
            await redis.hset(f"{brief.keys.prefix}gate:c:hold", "7", b"garbage")
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 4, "all run")
    assert most_at_once(journal) <= 2
    assert await left_behind(brief) == []


@pytest.mark.parametrize("script", [ADMIT, OPEN], ids=lambda script: script.name)
@pytest.mark.parametrize("skip", [0, 1, 4])
async def test_lost_replies_change_nothing(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal, script: Script, skip: int
) -> None:
    order = proxy.lose_replies(where=runs(script), count=2, skip=skip)
    await near.add_many([near.call(rest_limited)(str(journal), f"k{n}", 0.001) for n in range(40)])
    began = monotonic()
    await finish(far)
    assert order.lost == 2
    assert monotonic() - began < 5
    assert journal.count("end") == {f"k{n}": 1 for n in range(40)}
    assert most_at_once(journal) == 2
    await all_is_gone(near)


async def test_a_redis_that_is_away_while_some_wait_and_some_ask(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    async with working(far):
        await near.add_many([near.call(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(8)])
        await some_wait(near, 6)
        proxy.refuse()
        proxy.cut()
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 2, "the two that run end")
        proxy.accept()
        await wait_until(lambda: journal.count("end").total() == 8, "all run")
    assert most_at_once(journal) == 2
    await all_is_gone(near)


async def test_after_a_flush_limits_hold_for_what_comes_then(own_redis: RedisServer, journal: Journal) -> None:
    async with brief_shadow(own_redis.url) as shadow, working(shadow):
        for n in range(4):
            await shadow.add(hold_limited)(str(journal), f"k{n}", "gate")
        await some_wait(shadow, 2)
        own_redis.command("FLUSHALL")
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 2, "what ran has ended")
        await wait_until(lambda: group_is_back(shadow), "the worker has noticed")
        for n in range(4):
            await shadow.add(hold_limited)(str(journal), f"new{n}", "gate")
        await wait_until(lambda: journal.count("end").total() == 6, "what came then runs")
        await all_is_gone(shadow)
    assert most_at_once(journal) == 2


async def group_is_back(shadow: Shadow) -> bool:
    async with shadow.redis() as redis:
        return bool(await redis.exists(shadow.keys.stream) and await redis.xinfo_groups(shadow.keys.stream))


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_worker_that_stops_leaves_no_place_taken(brief: Shadow, journal: Journal, at_once: bool) -> None:
    async with Worker(brief) as worker:
        running = asyncio.create_task(worker.run_forever())
        for n in range(5):
            await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
        await some_wait(brief, 3)
        if at_once:
            await worker.stop_at_once()
        else:
            worker.stop()
            journal.open_gate("gate")
        await running
    journal.open_gate("gate")
    await finish(brief)
    assert journal.count("end") == {f"k{n}": 1 for n in range(5)}
    assert most_at_once(journal) == 2
    await all_is_gone(brief)


async def test_a_worker_that_is_stopped_while_its_entries_ask(
    far: Shadow, near: Shadow, proxy: Proxy, journal: Journal
) -> None:
    order = proxy.lose_replies(where=runs(ADMIT))
    await near.add_many([near.call(rest_limited)(str(journal), f"k{n}", 0.0) for n in range(4)])
    async with Worker(far) as worker:
        running = asyncio.create_task(worker.run_forever())
        await wait_until(lambda: order.lost == 1, "they have asked")
        stopping = asyncio.create_task(worker.stop_at_once())
        await stopping
        await running
    await finish(near)
    assert journal.count("end") == {f"k{n}": 1 for n in range(4)}
    await all_is_gone(near)


async def test_a_lease_that_is_lost_does_not_free_the_place_of_the_run_that_took_over(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """The late end of the first run must not let a third one in beside the second."""
    paused = start_worker(brief, name="paused")
    for n in range(4):
        await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
    await some_wait(brief, 2)
    paused.pause()
    heir = start_worker(brief, name="heir")
    await wait_until(lambda: journal.count("start") == {"k0": 2, "k1": 2}, "the two run again")
    paused.resume()
    await wait_until(lambda: "joins again" in paused.output, "it notices")
    await wait_until(lambda: journal.count("stopped").total() == 2, "and stops what it ran")
    assert await holders(brief, "hold") == 2
    assert await waits(brief, 2)
    journal.open_gate("gate")
    await wait_until(lambda: journal.count("end").total() == 4, "all end")
    ran = [(word, label) for word, label, pid in journal.events if pid == heir.pid]
    assert {("start", "k0"), ("start", "k1")} <= set(ran)
    await all_is_gone(brief)


async def test_an_attempt_that_follows_at_once_keeps_the_place_of_the_one_before(brief: Shadow) -> None:
    """The place is given back beside the outcome, and the next attempt may have taken it by then."""
    running, most, ran = 0, 0, Counter[int]()

    async def fails(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1), retry: Retry = Retry(4)) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        ran[number] += 1
        await asyncio.sleep(0)
        running -= 1
        raise ValueError(number)

    await brief.add_many([brief.call(fails)(number) for number in range(60)])
    await asyncio.gather(finish(brief), finish(brief))
    assert most == 1
    assert ran == dict.fromkeys(range(60), 4)
    await all_is_gone(brief)


class Deploy:
    """One version of the code: a shadow that knows a task by the name "limited"."""

    def __init__(self, url: str, name: str) -> None:
        self.shadow = brief_shadow(url, name=name)
        self.running = self.most = 0
        self.ran: list[int] = []

    async def work(self, label: int) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.005)
        self.running -= 1
        self.ran.append(label)


async def all_wait(url: str, name: str, limit: ConcurrencyLimit, count: int) -> None:
    """What the old code leaves: all wait at its limit, but for those that ran, which its worker hands back."""

    async def limited(label: int, limit: ConcurrencyLimit = limit) -> None:
        await asyncio.Event().wait()

    async with brief_shadow(url, name=name) as old:
        old.register(limited)
        await old.add_many([old.call(limited)(label) for label in range(count)])
        async with working(old):
            await some_wait(old, count - limit.max_concurrent)
        # The code of this process is replaced.
        old.registry._by_name.pop("limited")


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3)])
async def test_a_number_that_a_deploy_changes_holds_for_who_waits_already(
    shadows_url: str, brief: Shadow, before: int, after: int
) -> None:
    await all_wait(shadows_url, brief.name, ConcurrencyLimit(before), 20)
    new = Deploy(shadows_url, brief.name)

    async def limited(label: int, limit: ConcurrencyLimit = ConcurrencyLimit(after)) -> None:
        await new.work(label)

    async with new.shadow as newer:
        newer.register(limited)
        await finish(newer)
    assert sorted(new.ran) == list(range(20))
    assert new.most == after
    await all_is_gone(brief)


async def test_a_limit_that_a_deploy_renamed_holds_nobody_up(shadows_url: str, brief: Shadow) -> None:
    """Who waits at the old one, or was let in there, passes the new one."""
    await all_wait(shadows_url, brief.name, ConcurrencyLimit(1, scope="old"), 30)
    new = Deploy(shadows_url, brief.name)

    async def limited(label: int, limit: ConcurrencyLimit = ConcurrencyLimit(1, scope="new")) -> None:
        await new.work(label)

    async with new.shadow as newer:
        newer.register(limited)
        began = monotonic()
        await finish(newer)
        assert monotonic() - began < LEASE_SECONDS + 2
    assert sorted(new.ran) == list(range(30))
    assert new.most == 1
    await all_is_gone(brief)


async def test_a_limit_that_a_deploy_removed_holds_nobody_up(shadows_url: str, brief: Shadow) -> None:
    """No task of the new code has a limit, and those that wait at one run on."""
    await all_wait(shadows_url, brief.name, ConcurrencyLimit(1), 30)
    new = Deploy(shadows_url, brief.name)

    async def limited(label: int) -> None:
        await new.work(label)

    async with new.shadow as newer:
        newer.register(limited)
        began = monotonic()
        await finish(newer)
        assert monotonic() - began < LEASE_SECONDS + 2
    assert sorted(new.ran) == list(range(30))
    await all_is_gone(brief)


async def test_a_damaged_gate_fails_its_own_tasks_only(brief: Shadow) -> None:
    async def limited(name: str, limit: ConcurrencyLimit = ConcurrencyLimit("name")) -> str:
        return name

    async with brief.redis() as redis:
        await redis.set(f"{brief.keys.prefix}gate:c:limited:name=bad", "not a hash")
    good = [await brief.add(limited)(f"good{n}") for n in range(5)]
    bad = await brief.add(limited)("bad")
    await finish(brief)
    assert [await each.get_result() for each in good] == [f"good{n}" for n in range(5)]
    await bad.sync()
    assert bad.state is ExecutionState.FAILED
    async with brief.redis() as redis:
        await redis.delete(f"{brief.keys.prefix}gate:c:limited:name=bad")
    await all_is_gone(brief)


async def test_all_kinds_leave_nothing_for_ever(brief: Shadow) -> None:
    minute = timedelta(minutes=1)

    async def all_kinds(
        number: int,
        limit: ConcurrencyLimit = ConcurrencyLimit("number"),
        rate: RateLimit = RateLimit(10_000, argument="number"),
        cooldown: Cooldown = Cooldown(minute, argument="number"),
        debounce: Debounce = Debounce(timedelta(milliseconds=1), argument="number"),
    ) -> None: ...

    await brief.add_many([brief.call(all_kinds)(number) for number in range(5_000)])
    await finish(brief, concurrency=100)
    assert await left_behind(brief) == []
