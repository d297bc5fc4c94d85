"""Every behaviour at once while functions, or all of them, are paused and resumed again and again, and workers die."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shadows import Shadow
from tests.faults.conftest import Starter
from tests.faults.life import COUNTS, LABELS, SLOTS, Life, kind_of
from tests.faults.test_lives import two_workers
from tests.faults.test_lives_ended import COLLECTIONS
from tests.recorded import Journal
from tests.waiting import wait_until

FUNCTIONS = [kind for kind in COUNTS if kind not in ("pausable", "newcomer")]


@asynccontextmanager
async def storm(shadow: Shadow, seed: int) -> AsyncIterator[None]:
    """Pauses and resumes by chance, the same for the same seed, until the block is over; then nothing is paused."""
    chance, over = random.Random(seed), asyncio.Event()

    async def blow() -> None:
        while not over.is_set():
            what = chance.choice([*FUNCTIONS, None])
            await chance.choice([shadow.pause, shadow.resume, shadow.resume])(what)
            await asyncio.sleep(chance.random() * 0.01)
        for what in [*FUNCTIONS, None]:
            await shadow.resume(what)

    blowing = asyncio.create_task(blow())
    try:
        yield
    finally:
        over.set()
        await blowing


def check(life: Life, ends: dict[str, str], again: int = 0, taken: int = 1) -> None:
    """Which submissions of a burst are known to each other is by chance, since one is held while another asks."""
    life.check_ends(ends, debounced=("completed", "cancelled"))
    life.check_limits()
    certain = [label for label in LABELS if kind_of(label) not in ("cooled", "debounced")]
    life.check_runs(*certain, again=again, taken=taken)


@pytest.mark.parametrize("seed", range(3))
async def test_pauses_again_and_again_change_nothing_but_the_time(seed: int, brief: Shadow, journal: Journal) -> None:
    life = Life(brief, journal)
    async with two_workers(brief):
        async with storm(brief, seed):
            await life.begin()
            await life.let_go()
            await wait_until(lambda: len(journal.count("end")) > 8, "some have ended")
        check(life, await life.end())
        life.check_followed()
        await life.check_nothing_is_left()


@pytest.mark.parametrize("seed", range(2))
async def test_a_worker_dies_while_all_are_paused_and_resumed(
    seed: int, brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """With what it was about to set aside, and what it had taken and may not run."""
    life = Life(brief, journal)
    victim = start_worker(brief, collections=COLLECTIONS, concurrency=SLOTS)
    async with storm(brief, seed):
        await life.begin()
        await wait_until(lambda: len(journal.count("start")) > 8, "some run")
        life.kill(victim)
        async with two_workers(brief):
            await life.let_go()
            await wait_until(lambda: len(journal.count("end")) > 8, "some have ended")
    async with two_workers(brief):
        # The step in whose midst it died is taken once more.
        check(life, await life.end(), again=4, taken=2)
        await life.check_nothing_is_left()


@pytest.mark.parametrize("what", ["pausable", None])
async def test_what_is_paused_can_be_cleared_cancelled_and_replaced(
    what: str | None, brief: Shadow, journal: Journal
) -> None:
    life = Life(brief, journal)
    async with two_workers(brief):
        await brief.pause(what)
        await life.begin()
        if what is not None:
            await life.is_full()
        assert await brief.cancel("pausable0")
        life.executions["pausable1"] = await life.submit("pausable1", "replace", "otherpausable1")
        await brief.resume(what)
        ends = await life.end()
        life.check_ends(ends, pausable0=["cancelled"])
        assert "pausable0" not in journal.count("start")
        assert "pausable1" not in journal.count("start")
        life.check_limits()
        await life.check_nothing_is_left()
        await brief.pause(what)
        again = [await life.submit(label, as_label=f"again{label}") for label in ("pausable0", "limited0")]
        if what is not None:
            # On its way to where it waits it is in the hands of a worker, whom a clear leaves alone.
            await wait_until(lambda: paused_count(brief, 1), "it is held")
        assert await brief.clear() in (1, 2) if what is not None else await brief.clear() == 2
        await brief.resume(what)
        life.executions |= {"pausable0": again[0], "limited0": again[1]}
        ends = await life.end()
        assert ends["pausable0"] == "cancelled"
        await life.check_nothing_is_left()


async def paused_count(shadow: Shadow, count: int) -> bool:
    return (await shadow.snapshot()).paused_count == count
