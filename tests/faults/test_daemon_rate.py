"""How much a daemon does while it reloads: measured as tasks finished in each quarter of a second, under load."""

import itertools
from pathlib import Path
from statistics import median
from time import monotonic

import pytest

from shadows import Shadow
from tests.faults.running import Runner
from tests.recorded import Journal, rest
from tests.waiting import wait_until

WINDOW_SECONDS = 0.25
BEFORE_SECONDS = 1.5
# Slots are the limit here, and not processors: 8 of them, each busy for so long with a task, do 160 tasks a second.
TASK_SECONDS = 0.05
# With one of two workers missing, a half is done. Two windows together, as a shared machine holds up one of them for
# a moment; and a worker that is executed takes longer than two to begin, so that a gap of one would show.
LEAST = 0.7


@pytest.mark.timed
@pytest.mark.parametrize(
    ("source", "well"),
    [("import time\ntime.sleep(0.5)\nimport nothing_of_this_name\n", False), (None, True)],
)
async def test_a_reload_good_or_bad_takes_nothing_from_what_is_done_meanwhile(
    tmp_path: Path, brief: Shadow, journal: Journal, running: Runner, source: str | None, well: bool
) -> None:
    with running(spawn="exec", concurrency="4") as daemon:
        keys = [f"k{n}" for n in range(4000)]
        await brief.add_many([brief.call(rest, key=key)(str(journal), key, TASK_SECONDS) for key in keys])
        began = journal_at = monotonic()
        await wait_until(lambda: monotonic() > began + BEFORE_SECONDS, "it has worked for a while")
        if source is not None:
            (tmp_path / "work.py").write_text(source)
        reloading = monotonic()
        assert daemon.ask("reload", wait=True)["ok"] is well
        reloaded = monotonic()
        ends = [at for at, _ in journal.times("end")]
        assert len(ends) < len(keys), "the load was over before the reload was"
        before = median(finished(ends, journal_at, reloading))
        during = [one + other for one, other in itertools.pairwise(finished(ends, reloading, reloaded))]
        assert min(during) >= LEAST * 2 * before, (before, during)
        await brief.clear()


def finished(ends: list[float], since: float, until: float) -> list[int]:
    """How many ended in each window of a stretch of time; the last one may not be whole, and does not count."""
    windows = int((until - since) / WINDOW_SECONDS)
    counts = [0] * windows
    for at in ends:
        window = int((at - since) // WINDOW_SECONDS)
        if 0 <= window < windows:
            counts[window] += 1
    return counts
