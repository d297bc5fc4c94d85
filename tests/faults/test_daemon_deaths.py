"""Workers of a daemon that die: replaced at once, their tasks run elsewhere, and nobody else is disturbed."""

import signal
from pathlib import Path
from time import monotonic

import pytest

from shadows import Shadow
from tests.daemon import Daemon, kill, lives
from tests.faults.conftest import LEASE_SECONDS, brief_shadow
from tests.hazards import exit_politely, exit_process, segfault
from tests.recorded import Journal, hold, kill_worker, rest
from tests.waiting import wait_for, wait_until

SPAWNS = pytest.mark.parametrize("spawn", ["fork", "exec"])


@SPAWNS
async def test_an_idle_worker_that_is_killed_is_replaced_and_nobody_else_notices(
    tmp_path: Path, brief: Shadow, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        kill(before[1])
        wait_for(lambda: daemon.endings(1), "the end is noted")
        after = daemon.wait_serving(2)
        assert after[1] != before[1]
        assert after[2] == before[2]
        assert daemon.endings(1)[0]["cause"] == "killed by SIGKILL"
        assert daemon.stop() == 0


@SPAWNS
async def test_the_tasks_of_a_killed_worker_run_elsewhere_at_once(
    tmp_path: Path, journal: Journal, shadows_url: str, spawn: str
) -> None:
    """Long before any lease ends: the leases here are of ten seconds."""
    async with brief_shadow(shadows_url) as shadow:
        with Daemon(
            tmp_path, shadow, spawn=spawn, concurrency="32", heartbeat_interval="2s", missed_heartbeats="5"
        ) as daemon:
            daemon.wait_ready()
            daemon.ask("scale", workers=1)
            wait_for(lambda: len(daemon.slots()) == 1, "one worker is left")
            keys = [f"k{n}" for n in range(32)]
            await shadow.add_many([shadow.call(hold, key=key)(str(journal), key, "gate") for key in keys])
            await wait_until(lambda: len(journal.count("start")) == 32, "all run")
            daemon.ask("scale", workers=2)
            daemon.wait_serving(2)
            killed = monotonic()
            kill(daemon.serving()[1])
            await wait_until(lambda: journal.count("start").total() == 64, "all run again")
            assert monotonic() - killed < 5
            journal.open_gate("gate")
            await wait_until(lambda: len(journal.count("end")) == 32, "all end")
            assert set(journal.count("start").values()) == {2}
            assert set(journal.count("end").values()) == {1}
            assert daemon.stop() == 0


@SPAWNS
async def test_with_its_master_every_process_dies_and_another_node_goes_on(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    await brief.add(hold, key="k")(str(journal), "k", "gate")
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        family = daemon.pids
        assert len(family) == (4 if spawn == "fork" else 3)
        kill(daemon.pid)
        wait_for(lambda: not any(map(lives, family)), "all are dead", 1)
        daemon.process.wait()
        killed = monotonic()
        # Over the files that the killed one left.
        with Daemon(tmp_path, brief, spawn=spawn) as second:
            second.wait_ready()
            wait_for(lambda: journal.count("start")["k"] == 2, "it runs again")
            assert monotonic() - killed < LEASE_SECONDS + 5
            journal.open_gate("gate")
            wait_for(lambda: journal.count("end")["k"] == 1, "it ends")
            assert second.stop() == 0


async def test_without_its_zygote_workers_go_on_and_another_is_made(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        (zygote,) = daemon.zygotes
        kill(zygote)
        kill(before[1])
        wait_for(lambda: daemon.endings(1), "the end is noted")
        after = daemon.wait_serving(2)
        assert after[2] == before[2]
        assert after[1] != before[1]
        assert daemon.status["generation"] == 1
        assert daemon.zygotes.isdisjoint({zygote})
        assert daemon.logged("The zygote of generation 1 was killed by SIGKILL; its workers go on.") == 1
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        assert daemon.stop() == 0


@SPAWNS
@pytest.mark.parametrize(
    ("task", "cause"),
    [
        (exit_process, "exited with 0"),
        (segfault, "killed by SIGSEGV"),
        (kill_worker, "killed by SIGKILL"),
    ],
)
async def test_what_ends_its_worker_each_time_is_quarantined_with_its_cause(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str, task: object, cause: str
) -> None:
    """`os._exit(0)` looked like the good end of a suspect's own worker, which was made again and again."""
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        await brief.add(task, key="killer")(str(journal), "killer")  # type: ignore[arg-type]

        async def quarantined() -> list[object]:
            return list(await brief.quarantine())

        await wait_until(quarantined, "it is in the quarantine", 20)
        (entry,) = await brief.quarantine()
        assert entry.key == "killer"
        assert cause in entry.cause
        assert journal.count("start") == {"killer": 3}
        endings = [ending for slot in (1, 2) for ending in daemon.endings(slot)]
        assert [ending["cause"] for ending in endings] == [cause] * 3
        if task is segfault:
            assert all("in segfault" in ending["stack"] for ending in endings)
            assert daemon.logged("The last words of the worker") + daemon.logged("Stacks of the worker") >= 3
        daemon.wait_serving(2)
        assert daemon.stop() == 0


async def test_a_task_that_exits_as_a_script_does_fails_and_its_worker_lives(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        added = await brief.add(exit_politely, key="k")(str(journal), "k")
        with pytest.raises(BaseException, match="3"):
            await added.get_result(timeout=10)
        assert daemon.serving() == before
        assert daemon.stop() == 0


@SPAWNS
async def test_one_killer_among_a_hundred_innocents_is_the_only_one_that_is_set_aside(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        keys = [f"k{n}" for n in range(100)]
        calls = [brief.call(rest, key=key)(str(journal), key, 0.05) for key in keys]
        calls.insert(30, brief.call(kill_worker, key="killer")(str(journal), "killer"))
        await brief.add_many(calls)
        await wait_until(lambda: len(journal.count("end")) == 100, "the innocents are done", 30)

        async def quarantined() -> list[object]:
            return list(await brief.quarantine())

        await wait_until(quarantined, "the killer is in the quarantine", 20)
        assert [entry.key for entry in await brief.quarantine()] == ["killer"]
        assert journal.count("start")["killer"] == 3
        # At most once more for each death beside them: what ended just before one may not have been written yet.
        assert max(journal.count("start").values()) <= 3
        assert daemon.stop() == 0


async def test_a_worker_that_gets_sigterm_by_itself_finishes_and_is_replaced(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    with Daemon(tmp_path, brief, workers="1") as daemon:
        daemon.wait_ready()
        await brief.add(hold, key="k")(str(journal), "k", "gate")
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        before = daemon.serving()[1]
        kill(before, signal.SIGTERM)
        wait_for(lambda: daemon.serving().get(1, before) != before, "another serves")
        journal.open_gate("gate")
        wait_for(lambda: not lives(before), "it is done")
        assert journal.count("start") == journal.count("end") == {"k": 1}
        assert daemon.logged("is gone") == 0
        assert daemon.stop() == 0
