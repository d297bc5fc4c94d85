"""A worker that dies loses nothing, and its tasks run elsewhere as soon as its lease is over."""

from time import monotonic

from shadows import Shadow
from tests.faults.conftest import LEASE_SECONDS, Starter
from tests.recorded import Journal, hold
from tests.waiting import wait_until


async def test_the_tasks_of_a_killed_worker_run_elsewhere_within_a_second_of_its_lease(
    brief: Shadow, journal: Journal, start_worker: Starter
) -> None:
    victim = start_worker(brief, concurrency=32)
    await brief.add_many([brief.call(hold, key=f"k{n}")(str(journal), f"k{n}", "gate") for n in range(40)])
    await wait_until(lambda: len(journal.count("start")) == 32, "32 tasks run")
    heir = start_worker(brief, concurrency=50)
    await wait_until(lambda: len(journal.count("start")) == 40, "the other 8 run at the other worker")
    victim.kill()
    killed = monotonic()
    await wait_until(lambda: journal.count("start").total() == 72, "the 32 lost tasks run again")
    assert monotonic() - killed < LEASE_SECONDS + 1
    journal.open_gate("gate")
    await wait_until(lambda: len(journal.count("end")) == 40, "all tasks end")
    assert set(journal.count("end").values()) == {1}
    assert max(journal.count("start").values()) == 2
    heir.wait_for("reclaimed 32 quarantined 0")
    for n in range(40):
        execution = await brief.get_execution(f"k{n}")
        assert execution is not None
        assert await execution.get_result(timeout=5) == f"k{n}"
