"""`clear` while some run at a limit and others wait there: who waits goes, who runs goes on, and places come back."""

import asyncio
from collections import Counter
from datetime import timedelta
from time import monotonic
from typing import Annotated

import pytest

from shadows import ConcurrencyLimit, Perpetual, RateLimit, Retry, Shadow
from tests.faults.conftest import LEASE_SECONDS, Starter
from tests.faults.gated import all_is_gone, holders, most_at_once, some_wait
from tests.features.workers import finish, working
from tests.processes import Process
from tests.recorded import Journal, hold_limited, write
from tests.waiting import wait_until


async def two_run(shadow: Shadow, journal: Journal, waiting: int) -> None:
    for n in range(2 + waiting):
        await shadow.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
    await wait_until(lambda: journal.count("start") == {"k0": 1, "k1": 1}, "two run")
    await some_wait(shadow, waiting)


async def run_later(shadow: Shadow, journal: Journal, count: int, gate: str = "gate") -> None:
    """Under the keys of those that were cleared, and others."""
    for n in range(2, 2 + count):
        added = await shadow.add(hold_limited, key=f"k{n}")(str(journal), f"later{n}", gate)
        assert added.disposition == "scheduled"


@pytest.mark.parametrize("waiting", [4, 450])
async def test_who_runs_goes_on_and_who_is_added_later_runs(brief: Shadow, journal: Journal, waiting: int) -> None:
    """More wait than one call of the script takes, in the second case."""
    async with working(brief):
        await two_run(brief, journal, waiting)
        assert await brief.clear() == waiting
        assert await brief.clear() == 0
        assert await holders(brief, "hold") == 2
        await run_later(brief, journal, 4)
        await some_wait(brief, 4)
        assert journal.count("start") == {"k0": 1, "k1": 1}
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end").total() == 6, "all others have run")
        await all_is_gone(brief)
    assert most_at_once(journal) == 2
    assert (await brief.snapshot()).total == 0


async def dead_with_two(shadow: Shadow, journal: Journal, start_worker: Starter) -> Process:
    victim = start_worker(shadow)
    await two_run(shadow, journal, 4)
    victim.kill()
    write(str(journal), "killed", str(victim.pid))
    return victim


@pytest.mark.parametrize("when", ["at once", "lease over", "taken over"])
async def test_what_a_dead_worker_held(when: str, brief: Shadow, journal: Journal, start_worker: Starter) -> None:
    """Until its lease is over it runs, for all that anybody knows; then it is cleared, and its places are free."""
    await dead_with_two(brief, journal, start_worker)
    if when == "lease over":
        await wait_until(lambda: nobody_lives(brief), "its lease is over")
    if when == "taken over":
        # By a worker that has no slot for it.
        async with working(brief, concurrency=1) as heir:
            heir.reader.stopping = True
            await wait_until(lambda: has_taken(brief), "it is taken over")
    cleared = await brief.clear()
    assert cleared == (4 if when == "at once" else 6)
    began = monotonic()
    async with working(brief):
        await run_later(brief, journal, 4)
        journal.open_gate("gate")
        wanted = {f"later{n}" for n in range(2, 6)} | ({"k0", "k1"} if when == "at once" else set())
        await wait_until(lambda: set(journal.count("end")) >= wanted, "all have run")
        assert monotonic() - began < LEASE_SECONDS + 2
        await all_is_gone(brief)
    assert most_at_once(journal) <= 2
    assert set(journal.count("end")) == wanted


async def nobody_lives(shadow: Shadow) -> bool:
    return await shadow.workers() == []


async def has_taken(shadow: Shadow) -> bool:
    async with shadow.redis() as redis:
        return bool(await redis.xpending_range(shadow.keys.stream, "workers", "-", "+", 10, "reclaimed"))


async def test_the_late_worker_of_a_cleared_run_frees_nothing(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """It was paused past its lease, and what it ran was cleared; others run in its places when it comes back."""
    paused = start_worker(brief)
    await two_run(brief, journal, 2)
    paused.pause()
    await wait_until(lambda: nobody_lives(brief), "its lease is over")
    assert await brief.clear() == 4
    async with working(brief):
        await run_later(brief, journal, 4, "later")
        await wait_until(lambda: {"later2", "later3"} <= set(journal.count("start")), "two others run")
        paused.resume()
        await wait_until(lambda: journal.count("stopped") == {"k0": 1, "k1": 1}, "it stops what it ran")
        assert await holders(brief, "hold") == 2
        await some_wait(brief, 2)
        journal.open_gate("later")
        await wait_until(lambda: journal.count("end").total() == 4, "all have run")
        await all_is_gone(brief)
    assert set(journal.count("end")) == {f"later{n}" for n in range(2, 6)}


async def test_clears_again_and_again_under_load_lose_no_place(brief: Shadow) -> None:
    """Whatever is between two places when it comes: let in, put off, retried, or on its way to the next limit."""
    running: Counter[str] = Counter()
    ran: set[str] = set()

    async def loaded(
        label: str,
        customer: Annotated[int, ConcurrencyLimit(1)],
        limit: ConcurrencyLimit = ConcurrencyLimit(3),
        rate: RateLimit = RateLimit(200, per=timedelta(milliseconds=100)),
        retry: Retry = Retry(attempts=3),
        perpetual: Perpetual = Perpetual(),
    ) -> None:
        running[f"customer {customer}"] += 1
        running["all"] += 1
        try:
            assert running[f"customer {customer}"] == 1
            assert running["all"] <= 3
            ran.add(label)
            await asyncio.sleep(0)
            if retry.attempt == 1:
                raise ValueError(label)
        finally:
            running[f"customer {customer}"] -= 1
            running["all"] -= 1
        if len(label) > 1 and retry.attempt > 1:
            perpetual.cancel()

    brief.register(loaded)
    cleared = 0
    async with working(brief), working(brief, concurrency=3):
        for turn in range(30):
            await brief.add_many([brief.call(loaded)(f"{turn}-{n}", n % 5) for n in range(40)])
            before = len(ran)
            await wait_until(lambda b=before: len(ran) > b, "some of them run")  # type: ignore[misc]
            cleared += await brief.clear()
    assert cleared > 300
    await brief.clear()
    began = monotonic()
    last = [await brief.add(loaded, key=f"last {n}")(f"last {n}", n % 5) for n in range(20)]
    await finish(brief)
    assert monotonic() - began < 5
    assert {f"last {n}" for n in range(20)} <= ran
    assert all([(await brief.get_execution(each.key)).state == "completed" for each in last])  # type: ignore[union-attr]
    assert +running == {}
    await all_is_gone(brief)
