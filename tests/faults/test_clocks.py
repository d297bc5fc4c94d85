"""Hosts whose clocks are wrong: leases and due times follow Redis's clock, whatever theirs say."""

import os
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from shadows import Shadow
from tests.faults.conftest import LEASE_SECONDS, Starter
from tests.faults.test_outages import passed
from tests.processes import SOURCES
from tests.recorded import Journal, hold, rest
from tests.waiting import wait_until

# Python runs this before everything else.
SHIFT = """
import os, time

def shift(clock, units):
    return lambda: clock() + int(os.environ["SHIFT_SECONDS"]) * units

time.time, time.time_ns = shift(time.time, 1), shift(time.time_ns, 10**9)
"""


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_worker_whose_clock_is_a_day_off_works_like_the_others(
    days: int, brief: Shadow, journal: Journal, start_worker: Starter, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SHIFT)
    wrong = {"PYTHONPATH": os.pathsep.join((str(tmp_path), SOURCES)), "SHIFT_SECONDS": str(days * 86400)}
    workers = [start_worker(brief, name="right"), start_worker(brief, environment=wrong, name="wrong")]
    held = [await brief.add(hold)(str(journal), f"h{n}", "gate") for n in range(20)]
    await wait_until(lambda: len(journal.count("start")) == 20, "all run")
    assert len({pid for _, _, pid in journal.events}) == 2
    await wait_until(passed(2 * LEASE_SECONDS), "two leases are over")
    journal.open_gate("gate")
    for each in held:
        await each.get_result(timeout=5)
    assert set(journal.count("start").values()) == {1}
    assert not any("is gone" in worker.output or "joins again" in worker.output for worker in workers)
    workers[0].kill()
    added = monotonic()
    due = await brief.add(rest, when=timedelta(milliseconds=700))(str(journal), "due")
    assert await due.get_result(timeout=5) == "due"
    assert 0.6 < monotonic() - added < 2
