"""A worker that was taken for dead and comes back changes nothing, and works again under a new name."""

import asyncio
from time import monotonic

from shadows import Shadow
from tests.faults.conftest import LEASE_SECONDS, Starter
from tests.recorded import Journal, block, hold, hold_thread, rest
from tests.waiting import wait_until


async def test_the_late_outcomes_of_a_paused_worker_are_refused_and_counted(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Its tasks were over at another worker when it came back; one of each kind ends late."""
    paused = start_worker(brief, name="paused")
    added = [
        await brief.add(hold, key="loop")(str(journal), "loop", "gate"),
        await brief.add(hold_thread, key="thread")(str(journal), "thread", "gate"),
    ]
    await wait_until(lambda: len(journal.count("start")) == 2, "both tasks run")
    paused.pause()
    heir = start_worker(brief, name="heir")
    await wait_until(lambda: journal.count("start") == {"loop": 2, "thread": 2}, "both run again")
    journal.open_gate("gate")
    assert [await each.get_result(timeout=10) for each in added] == ["loop", "thread"]
    paused.resume()
    await wait_until(lambda: "fenced" in paused.output, "the late outcomes are refused")
    await wait_until(lambda: "joins again" in paused.output, "it notices")
    for each in added:
        await each.sync()
        assert each.worker == "heir"
    heir.kill()
    again = await brief.add(rest)(str(journal), "again")
    assert await again.get_result(timeout=10) == "again"
    await again.sync()
    assert again.worker == "paused"


async def test_a_paused_worker_that_nobody_replaced_keeps_its_tasks(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    paused = start_worker(brief, name="paused")
    added = await brief.add(hold, key="loop")(str(journal), "loop", "gate")
    await wait_until(lambda: len(journal.count("start")) == 1, "the task runs")
    paused.pause()
    await asyncio.sleep(2 * LEASE_SECONDS)
    paused.resume()
    journal.open_gate("gate")
    assert await added.get_result(timeout=10) == "loop"
    assert journal.count("start") == {"loop": 1}
    assert "joins again" not in paused.output


async def test_a_loop_that_is_blocked_longer_than_the_lease_keeps_its_tasks(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    blocked = start_worker(brief, name="blocked")
    beside = await brief.add(hold)(str(journal), "beside", "gate")
    await wait_until(lambda: len(journal.count("start")) == 1, "a task runs beside")
    blocking = await brief.add(block)(str(journal), "blocking", 3 * LEASE_SECONDS)
    await wait_until(lambda: len(journal.count("start")) == 2, "the loop is blocked")
    start_worker(brief, name="other")
    await wait_until(lambda: journal.count("end") == {"blocking": 1}, "the loop turns again")
    journal.open_gate("gate")
    assert await beside.get_result(timeout=10) == "beside"
    assert await blocking.get_result(timeout=10) == "blocking"
    assert journal.count("start") == {"beside": 1, "blocking": 1}
    assert "joins again" not in blocked.output


async def test_a_loop_that_is_silent_for_the_redelivery_timeout_loses_its_tasks_on_purpose(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    blocked = start_worker(brief, name="blocked", redelivery_ms=300)
    beside = await brief.add(hold)(str(journal), "beside", "gate")
    await wait_until(lambda: len(journal.count("start")) == 1, "a task runs beside")
    await brief.add(block)(str(journal), "blocking", 300 / 1000 + 4 * LEASE_SECONDS)
    await wait_until(lambda: len(journal.count("start")) == 2, "the loop is blocked")
    since = monotonic()
    start_worker(brief, name="other")
    await wait_until(lambda: journal.count("start")["beside"] == 2, "the other worker has the task")
    assert monotonic() - since < 300 / 1000 + LEASE_SECONDS + 1
    assert blocked.output.count("was silent for more than redelivery_timeout") == 1
    await wait_until(lambda: journal.count("stopped")["beside"] == 1, "it notices, and stops its own run")
    journal.open_gate("gate")
    assert await beside.get_result(timeout=10) == "beside"
    assert journal.count("end")["beside"] == 1


async def test_what_comes_back_before_its_lost_run_has_ended_runs_after_it(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """The worker claims back what it had lost, while threads of it are still busy with that. It used to take
    them for its present runs, and to look again after a minute."""
    paused = start_worker(brief, name="paused")
    added = [await brief.add(hold_thread)(str(journal), label, "gate") for label in "ab"]
    await wait_until(lambda: len(journal.count("start")) == 2, "the tasks run")
    paused.pause()
    heir = start_worker(brief, name="heir")
    await wait_until(lambda: journal.count("start") == {"a": 2, "b": 2}, "they run again")
    paused.resume()
    await wait_until(lambda: "joins again" in paused.output, "it notices")
    heir.kill()
    await wait_until(lambda: "reclaimed 2" in paused.output, "it takes back what it had lost")
    journal.open_gate("gate")
    assert [await each.get_result(timeout=10) for each in added] == ["a", "b"]
    assert journal.count("end") == {"a": 2, "b": 2}


async def test_a_paused_worker_does_not_start_what_it_was_handed_meanwhile(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    """Redis had answered its last read while it was paused, and others have run what was in the answer."""
    paused = start_worker(brief, name="paused")
    for number in range(3):
        first = await brief.add(rest)(str(journal), f"before {number}")
        assert await first.get_result(timeout=5) == f"before {number}"
    paused.pause()
    added = [await brief.add(rest)(str(journal), label) for label in "ab"]
    async with brief.redis() as redis:
        pending = await redis.xpending_range(brief.keys.stream, "workers", "-", "+", 10)
    assert pending, "the paused worker was not in a read, and the test shows nothing"
    heir = start_worker(brief, name="heir")
    assert [await each.get_result(timeout=5) for each in added] == ["a", "b"]
    heir.wait_for("reclaimed 1 quarantined 0")
    paused.resume()
    await wait_until(lambda: "joins again" in paused.output, "it notices")
    heir.kill()
    after = await brief.add(rest)(str(journal), "after")
    assert await after.get_result(timeout=5) == "after"
    assert set(journal.count("start").values()) == {1}
