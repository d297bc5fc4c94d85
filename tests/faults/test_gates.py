"""Limits over all workers hold, and lose no place, whoever dies, is stopped, or is cancelled, and whenever."""

import asyncio
import random
from collections import Counter
from time import monotonic

import pytest

from shadows import ConcurrencyLimit, Retry, Shadow, Worker
from tests.faults.conftest import LEASE_SECONDS, Starter
from tests.faults.gated import all_is_gone, holders, left_behind, most_at_once, some_wait, waits
from tests.features.workers import finish, working
from tests.recorded import Journal, hold_limited, rest_limited, write
from tests.waiting import wait_until


async def test_the_places_of_a_killed_worker_come_back_within_a_second_of_its_lease(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Its tasks keep their places until they run again, and then those who wait get them."""
    victim = start_worker(brief)
    await brief.add_many([brief.call(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(6)])
    await wait_until(lambda: journal.count("start").total() == 2, "two run")
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
    await wait_until(lambda: journal.count("start").total() == 2, "two run")
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
                await wait_until(lambda: worker.settler.done > 5 or len(ended) == 500, "it has done something")
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


async def test_a_lease_that_is_lost_does_not_free_the_place_of_the_run_that_took_over(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """The late end of the first run must not let a third one in beside the second."""
    paused = start_worker(brief, name="paused")
    for n in range(4):
        await brief.add(hold_limited, key=f"k{n}")(str(journal), f"k{n}", "gate")
    await wait_until(lambda: journal.count("start").total() == 2, "two run")
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
