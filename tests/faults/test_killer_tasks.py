"""A task that kills its worker is set aside at its third death; whoever only ran beside it is not."""

import pytest

from shadows import QuarantinedTask, Shadow
from tests.faults.conftest import Starter
from tests.recorded import Journal, hold, kill_worker, rest
from tests.waiting import wait_until


async def test_a_task_that_kills_its_worker_is_quarantined_at_the_third_death(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    added = await brief.add(kill_worker, key="killer")(str(journal), "killer")
    for deaths in (1, 2, 3):
        start_worker(brief)
        await wait_until(lambda: journal.count("start")["killer"] == deaths, f"death {deaths}")  # noqa: B023
    start_worker(brief)
    with pytest.raises(QuarantinedTask, match="3 deaths"):
        await added.get_result(timeout=10)
    assert journal.count("start") == {"killer": 3}
    (entry,) = await brief.quarantine()
    assert (entry.key, entry.function_name) == ("killer", "kill_worker")
    again = await brief.add(rest, key="killer")(str(journal), "free")
    assert await again.get_result(timeout=10) == "free"


async def test_two_losses_of_a_full_worker_make_nobody_a_suspect(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """The third loss does, and then they run one at a time."""
    keys = [f"k{n}" for n in range(6)]
    await brief.add_many([brief.call(hold, key=key)(str(journal), key, "gate") for key in keys])
    for losses in (1, 2, 3):
        victim = start_worker(brief)
        await wait_until(lambda: journal.count("start") == dict.fromkeys(keys, losses), f"all run, {losses}")  # noqa: B023
        victim.kill()
    start_worker(brief, concurrency=10)
    await wait_until(lambda: journal.count("start").total() == 19, "one of them runs again")
    async with brief.redis() as redis:
        assert await redis.xlen(brief.keys.suspects) == 6
    journal.open_gate("gate")
    await wait_until(lambda: len(journal.count("end")) == 6, "all tasks end")
    running = most = 0
    for word, _, _ in journal.events[18:]:
        running += {"start": 1, "end": -1}[word]
        most = max(most, running)
    assert most == 1
    await wait_until(lambda: all_gone(brief), "nothing is left of the suspects")
    assert await brief.quarantine() == []


async def all_gone(shadow: Shadow) -> bool:
    """Whether no stream holds an entry."""
    async with shadow.redis() as redis:
        return not any([await redis.xlen(stream) for stream in shadow.keys.streams])


async def test_a_busy_worker_goes_on_reading_while_work_or_a_suspect_waits_beside(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """It used to wait until it was idle at every word that something might wait beside the stream: with one
    long task, nine free slots stood still."""
    start_worker(brief)
    await brief.add(hold)(str(journal), "long", "gate")
    await wait_until(lambda: len(journal.count("start")) == 1, "the long task runs")
    async with brief.redis() as redis:
        await redis.publish(brief.keys.signal, "work")
    quick = await brief.add(rest)(str(journal), "quick")
    assert await quick.get_result(timeout=5) == "quick"


async def test_a_suspect_gets_a_worker_that_is_never_idle_by_itself(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    await brief.add(kill_worker, key="killer")(str(journal), "killer")
    for deaths in (1, 2):
        start_worker(brief)
        await wait_until(lambda: journal.count("start")["killer"] == deaths, f"death {deaths}")  # noqa: B023
    for n in range(300):
        await brief.add(rest, key=f"k{n}")(str(journal), f"k{n}", 0.05)
    start_worker(brief, concurrency=2)
    await wait_until(lambda: journal.count("start")["killer"] == 3, "the suspect runs")
    words = [word for word, _, _ in journal.events]
    assert words.count("start") - 3 == words.count("end"), "something ran beside the suspect"
    assert len(journal.count("end")) < 300


async def test_a_stopping_worker_leaves_the_suspect_that_it_holds_to_others(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """It had claimed the suspect and waited to be idle for it when it was told to stop."""
    await brief.add(hold, key="suspect")(str(journal), "suspect", "gate")
    for losses in (1, 2):
        victim = start_worker(brief)
        await wait_until(lambda: journal.count("start")["suspect"] == losses, f"loss {losses}")  # noqa: B023
        victim.kill()
    await brief.add(hold, key="long")(str(journal), "long", "other gate")
    stopping = start_worker(brief)
    await wait_until(lambda: journal.count("start")["long"] == 1, "a long task runs")
    await wait_until(lambda: waits_for_idle(brief), "the suspect is claimed")
    stopping.process.terminate()
    start_worker(brief)
    journal.open_gate("other gate")
    await wait_until(lambda: journal.count("start")["suspect"] == 3, "the suspect runs elsewhere")
    assert stopping.wait() == 0
    journal.open_gate("gate")
    await wait_until(lambda: journal.count("end")["suspect"] == 1, "the suspect ends")


async def waits_for_idle(shadow: Shadow) -> bool:
    """Whether a suspect is in the hands of a living worker."""
    async with shadow.redis() as redis:
        if not await redis.exists(shadow.keys.suspects):
            return False
        held = await redis.xpending_range(shadow.keys.suspects, "workers", "-", "+", 10)
        return any(row["consumer"] != b"reclaimed" for row in held)
