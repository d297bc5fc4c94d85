"""`--task-timeout` ends tasks that declare no limit of their own, and leaves the others alone."""

from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import Daemon
from tests.hazards import patient
from tests.recorded import Journal, fail_twice, hold, hold_thread, rest


async def test_a_task_that_declares_no_timeout_is_ended_by_the_daemons(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    """The option was taken, and nothing came of it."""
    with Daemon(tmp_path, brief, task_timeout="300ms") as daemon:
        daemon.wait_ready()
        added = await brief.add(hold, key="k")(str(journal), "k", "never")
        with pytest.raises(
            TimeoutError, match="hold was cancelled because it ran for longer than --task-timeout, 300ms"
        ):
            await added.get_result(timeout=10)
        assert journal.count("stopped") == {"k": 1}
        quick = await brief.add(rest, key="quick")(str(journal), "quick")
        assert await quick.get_result(timeout=10) == "quick"
        retried = await brief.add(fail_twice, key="retried")(str(journal), "retried")
        assert await retried.get_result(timeout=10) == 3
        own = await brief.add(patient, key="own")(str(journal), "own", 0.6)
        assert await own.get_result(timeout=10) == "own"
        plain = await brief.add(hold_thread, key="plain")(str(journal), "plain", "gate")
        after = await brief.add(patient, key="after")(str(journal), "after", 0.6)
        assert await after.get_result(timeout=10) == "after"
        journal.open_gate("gate")
        assert await plain.get_result(timeout=10) == "plain"  # nothing can stop it, so nothing claims to
        assert daemon.stop() == 0
