"""Every behaviour at once, through deaths, clears, cancels and replaces: keys are free, and limits hold, at once."""

import random
from collections.abc import Callable

import pytest

from shadows import Shadow
from tests.faults.conftest import Starter
from tests.faults.life import LABELS, SLOTS, Life, kind_of, usual_end
from tests.faults.test_lives import every_key_is_free, two_workers
from tests.processes import Process
from tests.recorded import Journal
from tests.waiting import wait_until

COLLECTIONS = ["tests.faults.behaviours:KNOWN"]


@pytest.fixture
def life(brief: Shadow, journal: Journal) -> Life:
    return Life(brief, journal)


async def full_life(life: Life, start_worker: Starter) -> Process:
    """A process in which all run or wait."""
    victim = start_worker(life.shadow, collections=COLLECTIONS, concurrency=SLOTS)
    await life.begin()
    await life.is_full()
    return victim


async def nobody_lives(shadow: Shadow) -> bool:
    return await shadow.workers() == []


@pytest.mark.parametrize("mixed", [False, True], ids=["one priority", "all priorities"])
async def test_a_worker_dies_with_all_of_it(mixed: bool, life: Life, start_worker: Starter) -> None:
    life.mixed = mixed
    victim = await full_life(life, start_worker)
    life.kill(victim)
    async with two_workers(life.shadow):
        ends = await life.end()
        life.check_ends(ends)
        life.check_limits()
        life.check_runs(again=2)
        life.check_followed()
        await life.check_nothing_is_left()


@pytest.mark.parametrize("mixed", [False, True], ids=["one priority", "all priorities"])
@pytest.mark.parametrize("waits", [True, False], ids=["lease over", "at once"])
async def test_after_a_death_and_a_clear_all_run_again_under_their_keys(
    waits: bool, mixed: bool, life: Life, start_worker: Starter
) -> None:
    """At once what the dead one ran is cancelled, since its lease is not over, and the rest cleared."""
    life.mixed = mixed
    victim = await full_life(life, start_worker)
    life.kill(victim)
    live = [label for label in LABELS if usual_end(label) == "completed" and kind_of(label) != "rated"]
    if waits:
        await wait_until(lambda: nobody_lives(life.shadow), "the lease is over")
        removed = await life.shadow.clear()
    else:
        removed = await life.shadow.clear()
        removed += sum([await life.shadow.cancel(label) for label in live])
    rated = sum(kind_of(label) == "rated" for label in LABELS)
    assert len(live) <= removed <= len(live) + rated
    ends = await life.end()
    life.check_ends(ends, **{label: [usual_end(label), "cancelled"] for label in LABELS})
    async with two_workers(life.shadow):
        await every_key_is_free(life)
    started = life.journal.count("start")
    assert all(started[f"again{label}"] for label in live if kind_of(label) != "cooled")


def by_chance(seed: int) -> Callable[[str], str]:
    """What is done to each label: the same for the same seed."""
    chance = random.Random(seed)
    done = {label: chance.choice(["cancel", "replace", "nothing"]) for label in LABELS}
    return lambda label: done[label]


WAYS: dict[str, Callable[[str], str]] = {
    "cancel": lambda label: "cancel",
    "replace": lambda label: "replace",
    **{f"some {seed}": by_chance(seed) for seed in range(3)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["before", "full", "open"])
async def test_cancels_and_replaces_at_any_moment(moment: str, way: str, life: Life) -> None:
    """Before a worker came, while all run or wait, and while all end. What was cancelled never ends otherwise; what was
    replaced does not count, and its replacement does, under the same limits."""
    cancelled: set[str] = set()
    replaced: set[str] = set()
    if moment == "before":
        await life.begin()
        await end_some(life, WAYS[way], cancelled, replaced)
    async with two_workers(life.shadow):
        if moment != "before":
            await life.begin()
            await life.is_full()
            if moment == "open":
                await life.let_go()
            await end_some(life, WAYS[way], cancelled, replaced)
        ends = await life.end()
        changed = {label: ["cancelled"] for label in cancelled}
        # Which of them is the first, or the last, is another one now.
        others = dict.fromkeys(["cooled", "debounced"], ("completed", "cancelled"))
        life.check_ends(ends, **others | changed)
        life.check_limits()
        life.check_followed_ended()
        await life.check_nothing_is_left()
        await check_counts(life, cancelled, replaced, moment)
        await every_key_is_free(life)


async def end_some(life: Life, way: Callable[[str], str], cancelled: set[str], replaced: set[str]) -> None:
    for label in LABELS:
        match way(label):
            case "cancel":
                if await life.shadow.cancel(label):
                    cancelled.add(label)
            case "replace":
                before = life.executions[label]
                life.executions[label] = await life.submit(label, "replace", f"other{label}")
                assert life.executions[label].disposition == "scheduled"
                assert life.executions[label].submission > before.submission
                replaced.add(label)


async def check_counts(life: Life, cancelled: set[str], replaced: set[str], moment: str) -> None:
    """What never began did not begin, and whatever was replaced ended as the replacement."""
    starts, ends = life.journal.count("start"), life.journal.count("end")
    if moment == "before":
        assert not (cancelled | replaced) & set(starts)
    if moment == "full":
        held = {label for label in LABELS if kind_of(label) in ("pausable", "newcomer")}
        assert not (cancelled | replaced) & held & set(starts)
        assert not cancelled & set(ends)
    for label in replaced:
        if kind_of(label) not in ("cooled", "debounced"):
            assert starts[f"other{label}"], label


async def test_workers_die_again_and_again(life: Life, start_worker: Starter) -> None:
    """Each takes everything over from the one before, and is killed when all of it runs or waits again."""
    victim = await full_life(life, start_worker)
    held = [label for label in life.journal.count("start") if kind_of(label) not in ("rated", "hopeless")]
    for runs in (2, 3):
        life.kill(victim)
        victim = start_worker(life.shadow, collections=COLLECTIONS, concurrency=SLOTS)
        await wait_until(lambda n=runs: fewest(life, held) == n, "all run again")  # type: ignore[misc]
    life.kill(victim)
    async with two_workers(life.shadow):
        ends = await life.end()
        life.check_ends(ends)
        life.check_limits()
        life.check_runs(again=6)
        life.check_followed()
        await life.check_nothing_is_left()


def fewest(life: Life, labels: list[str]) -> int:
    """How often the one of them has run that has run least; one that writes its start down twice has run half of it."""
    starts = life.journal.count("start")
    return min(starts[label] // (2 if kind_of(label) == "stepped" else 1) for label in labels)
