"""Workers that have had their time are replaced one by one, and two nodes take nothing from each other that lives."""

import signal
from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import Daemon, kill, state_of
from tests.faults.running import SPAWNS, running_daemon
from tests.hazards import leave_orphans
from tests.recorded import Journal, hold, hold_thread, kill_worker, rest
from tests.waiting import wait_for, wait_until


@SPAWNS
async def test_workers_that_reach_their_number_of_tasks_together_are_replaced_one_at_a_time(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn, workers="3", max_tasks="20", concurrency="5") as daemon:
        daemon.wait_ready()
        fewest = 3
        keys = [f"k{n}" for n in range(300)]
        await brief.add_many([brief.call(rest, key=key)(str(journal), key, 0.1) for key in keys])

        def done() -> bool:
            nonlocal fewest
            fewest = min(fewest, len(daemon.serving()))
            return len(journal.count("end")) == 300

        await wait_until(done, "all are done", 60)
        assert set(journal.count("start").values()) == {1}
        assert daemon.logged("--max-tasks") >= 3
        assert daemon.logged("is gone") == 0
        assert fewest == 3
        assert daemon.stop() == 0


async def test_a_worker_that_takes_too_much_memory_is_replaced_after_its_task(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    (tmp_path / "work.py").write_text(
        "from tests.recorded import TASKS\n\nkept = []\n\n\nasync def grow(megabytes: int) -> None:\n"
        "    kept.append(b'x' * (megabytes << 20))\n\n\nALL = [*TASKS, grow]\n"
    )
    with Daemon(tmp_path, brief, workers="1", max_memory="32M") as daemon:
        daemon.wait_ready()
        before = daemon.serving()[1]
        wait_for(lambda: daemon.slots()[0]["memory"], "its memory is known")
        await brief.add("grow", key="g")(64)
        wait_for(lambda: daemon.serving().get(1, before) != before, "another serves", 20)
        daemon.wait_logged(r"it took \d+ MB more than when it began \(--max-memory 32M\)")
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        assert daemon.stop() == 0


async def test_a_node_that_was_away_finds_its_tasks_taken_and_its_outcomes_do_not_count(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    """A paused machine: master and workers stop, their leases end, another node takes over, and they come back.

    Plain functions, as nothing can stop them: each has an outcome when its worker comes back, and that comes late."""
    keys = ("k1", "k2")
    with running_daemon(tmp_path / "a", brief, journal, name="a", workers="1", metrics_port="0") as away:
        added = await away.holds(*keys, task=hold_thread)
        before, family, incarnation = away.serving(), away.pids, await incarnation_of(brief, "a-1")
        for pid in family:
            kill(pid, signal.SIGSTOP)
        await wait_until(lambda: all(state_of(pid) == "T" for pid in family), "the node is paused")
        with running_daemon(tmp_path / "b", brief, journal, name="b", workers="1", metrics_port="0") as heir:
            await wait_until(lambda: journal.count("start") == dict.fromkeys(keys, 2), "they run at the other node")
            journal.open_gate("gate")
            assert [await each.get_result(timeout=10) for each in added] == [*keys]
            for pid in family:
                kill(pid, signal.SIGCONT)
            await wait_until(lambda: away.metrics[FENCED] == 2, "both late outcomes are refused and counted")
            away.wait_logged("Worker a-1 was taken for dead, .* It joins again")
            await wait_until(lambda: away.ready, "the first node is back")
            again = [await brief.add(rest, key=f"r{n}")(str(journal), f"r{n}", 0.05) for n in range(30)]
            for each in again:
                await each.get_result(timeout=10)
            assert {pid for word, _, pid in journal.events if word == "end"} >= set(before.values())
            assert away.serving() == before
            assert await incarnation_of(brief, "a-1") != incarnation
            for each in added:
                await each.sync()
                assert each.worker == "b-1"
            assert journal.count("start") == dict.fromkeys(keys, 2) | dict.fromkeys((f"r{n}" for n in range(30)), 1)
            assert heir.metrics[FENCED] == 0


FENCED = "shadows_fenced_outcomes_total"


async def incarnation_of(shadow: Shadow, worker: str) -> str:
    """The name that a worker has in Redis now."""
    async with shadow.redis() as redis:
        (name,) = [
            each.decode()
            for each in await redis.zrange(shadow.keys.leases, 0, -1)
            if each.decode().startswith(f"{worker}#")
        ]
    return name


@pytest.mark.slow
async def test_two_losses_of_a_whole_node_make_nobody_a_suspect(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    keys = [f"k{n}" for n in range(6)]
    await brief.add_many([brief.call(hold, key=key)(str(journal), key, "gate") for key in keys])
    for loss in (1, 2):
        with Daemon(tmp_path, brief) as daemon:
            await wait_until(lambda: journal.count("start") == dict.fromkeys(keys, loss), f"all run, {loss}")  # noqa: B023
            daemon.kill()
    with Daemon(tmp_path, brief) as daemon:
        await wait_until(lambda: journal.count("start") == dict.fromkeys(keys, 3), "all run beside each other again")
        assert not daemon.slots(suspect=True)
        journal.open_gate("gate")
        await wait_until(lambda: journal.count("end") == dict.fromkeys(keys, 1), "all end")
        assert await brief.quarantine() == []
        assert daemon.wait_ready().stop() == 0


async def test_as_the_first_process_of_a_container_it_reaps_and_lives_on(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    with Daemon(tmp_path, brief, prefix=("unshare", "--fork", "--pid", "--mount-proc")) as daemon:
        daemon.wait_ready()
        assert daemon.status["pid"] == 1
        added = await brief.add(leave_orphans, key="k")(str(journal), "k", 20)
        assert await added.get_result(timeout=20) == 140
        await brief.add(kill_worker, key="killer")(str(journal), "killer")
        await wait_until(lambda: journal.count("start")["killer"] == 3, "the killer ran three times")
        daemon.wait_serving(2)
        assert daemon.ask("stop")["ok"]
        assert daemon.wait(15) == 0
