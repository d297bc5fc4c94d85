"""Every behaviour at once through a rolling deploy, in which workers that know some functions run beside newer ones.

What a worker does not know waits for one that does, has no place at a limit meanwhile, and no chain ends. Its order
is not kept: what a newer worker brought back an older one may take, and park once more.
"""

from collections.abc import Callable

import pytest

from shadows import Shadow
from tests.faults.behaviours import KNOWN_BEFORE
from tests.faults.conftest import Starter
from tests.faults.life import LABELS, SLOTS, Life, kind_of, usual_end
from tests.faults.test_lives import every_key_is_free, two_workers
from tests.processes import Process
from tests.recorded import Journal
from tests.waiting import wait_until

OLD, NEW = "tests.faults.behaviours:KNOWN_BEFORE", "tests.faults.behaviours:KNOWN"
# Of those that an old worker does not know, the ones that nobody holds back.
NEWER = [label for label in LABELS if kind_of(label) not in {task.__name__ for task in KNOWN_BEFORE}]


@pytest.fixture
def life(brief: Shadow, journal: Journal) -> Life:
    return Life(brief, journal)


@pytest.fixture
def deploy(life: Life, start_worker: Starter) -> Callable[[str], Process]:
    return lambda known: start_worker(life.shadow, collections=[known], concurrency=SLOTS)


async def parked(shadow: Shadow, count: int) -> None:
    async def are_parked() -> bool:
        return (await shadow.snapshot()).unknown_count == count

    await wait_until(are_parked, f"{count} are parked")


async def check_all(life: Life, again: int = 0) -> None:
    async with two_workers(life.shadow):
        ends = await life.end()
        # The last one may have been parked when the time of one before it was over.
        either = ("completed", "cancelled")
        life.check_ends(ends, debounced0=either, debounced1=either)
        life.check_limits()
        life.check_runs(*[label for label in LABELS if kind_of(label) not in ("cooled", "debounced")], again=again)
        life.check_followed()
        await life.check_nothing_is_left()
        await every_key_is_free(life)


async def test_old_workers_alone_park_what_they_do_not_know(life: Life, deploy: Callable[[str], Process]) -> None:
    """And all of it runs when the new ones come."""
    deploy(OLD)
    await life.begin()
    await parked(life.shadow, len(NEWER))
    assert not set(NEWER) & set(life.journal.count("start"))
    deploy(NEW)
    await life.is_full()
    await check_all(life)


@pytest.mark.parametrize("dies", ["old", "new"])
async def test_one_of_them_dies_in_the_midst_of_it(dies: str, life: Life, deploy: Callable[[str], Process]) -> None:
    """What the new one ran, the old one can't: it takes it over and parks it, with its place, for the next."""
    victims = {"old": deploy(OLD), "new": deploy(NEW)}
    await life.begin()
    await life.is_full()
    life.kill(victims[dies])
    if dies == "new":
        await wait_until(lambda: nobody_of(life.shadow, victims["new"]), "its lease is over")
    await check_all(life, again=2)


async def nobody_of(shadow: Shadow, process: Process) -> bool:
    return all(row.pid != process.pid for row in await shadow.workers())


async def test_a_rollback_with_all_of_it_running_and_back(life: Life, deploy: Callable[[str], Process]) -> None:
    """The new workers are told to stop at once, the old ones come back, and then the new ones once more."""
    new = deploy(NEW)
    await life.begin()
    await life.is_full()
    old = deploy(OLD)
    new.signal(2)  # type: ignore[arg-type] # SIGINT: hands back
    assert new.wait() == 0
    chains = [label for label in NEWER if kind_of(label) in ("counted", "ticking", "everything")]
    await wait_until(lambda: chains_wait(life, chains), "the chains wait for who knows them")
    again = deploy(NEW)
    await wait_until(lambda: life.journal.count("start")["counted0"] == 2, "the chain goes on")
    old.kill()
    again.signal(15)  # type: ignore[arg-type] # SIGTERM: lets what runs end
    await life.let_go()
    assert again.wait() == 0
    await check_all(life, again=4)


async def chains_wait(life: Life, labels: list[str]) -> bool:
    found = [await life.shadow.get_execution(label) for label in labels]
    return all(each is not None and each.state == "queued" for each in found)


async def test_cancels_and_clear_reach_what_waits_for_a_newer_worker(
    life: Life, deploy: Callable[[str], Process]
) -> None:
    deploy(OLD)
    await life.begin()
    await parked(life.shadow, len(NEWER))
    # The first of each kind, and then the rest.
    for label in NEWER:
        if label.endswith("0"):
            assert await life.shadow.cancel(label)
    removed = await life.shadow.clear()
    waiting_at_limits = 3
    assert removed == len([label for label in NEWER if not label.endswith("0")]) + waiting_at_limits
    async with two_workers(life.shadow):
        ends = await life.end()
        life.check_ends(ends, **{label: ["cancelled"] for label in NEWER}, limited=["completed", "cancelled"])
        assert not set(NEWER) & set(life.journal.count("start"))
        await life.check_nothing_is_left()
        await every_key_is_free(life)
    assert {usual_end(label) for label in NEWER} == {"completed", "cancelled"}
