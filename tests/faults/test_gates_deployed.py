"""Limits over all workers hold through deploys, damage and attempts that follow at once, and leave nothing behind."""

import asyncio
from collections import Counter
from datetime import timedelta
from time import monotonic

import pytest

from shadows import ConcurrencyLimit, Cooldown, Debounce, ExecutionState, RateLimit, Retry, Shadow
from tests.faults.conftest import LEASE_SECONDS, brief_shadow
from tests.faults.gated import all_is_gone, left_behind, most_at_once, some_wait
from tests.features.workers import finish, working
from tests.recorded import Journal, hold_limited, rest_limited
from tests.waiting import wait_until


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
