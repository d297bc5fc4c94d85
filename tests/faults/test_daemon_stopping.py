"""Signals to a daemon: one clean stop, whatever is asked how often, and what runs is finished or handed back."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import TASKS, Daemon, kill, lives
from tests.faults.running import SPAWNS, Running, deaths_of, running_daemon
from tests.hazards import ignore_cancel, interruptible, leave_orphans
from tests.recorded import Journal, hold, hold_thread, rest
from tests.waiting import wait_for


@SPAWNS
async def test_a_stop_finishes_what_runs_and_takes_nothing_new(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        await brief.add(hold, key="k")(str(journal), "k", "gate")
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        kill(daemon.pid, signal.SIGTERM)
        wait_for(lambda: len(daemon.slots()) == 1, "the idle one has ended")
        await brief.add(rest, key="later")(str(journal), "later")
        kill(daemon.pid, signal.SIGTERM)
        journal.open_gate("gate")
        assert daemon.wait() == 0
        assert journal.count("start") == journal.count("end") == {"k": 1}
        assert daemon.logged("Stopping: ") == 1
        assert not daemon.control.exists()
        assert await brief.workers() == set() or not [each for each in await brief.workers() if each]


@SPAWNS
async def test_what_does_not_end_in_time_is_handed_back(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    """Each in a worker of its own: one that can be cancelled, one that can't, and one that takes no notice of it."""
    tasks = {"hold": hold, "thread": hold_thread, "ignores": ignore_cancel}
    options = {"spawn": spawn, "workers": "3", "concurrency": "1", "drain_timeout": "500ms"}
    with Running(tmp_path, brief, journal, **options) as daemon:
        daemon.wait_ready()
        for key, task in tasks.items():
            await daemon.holds(key, task=task)
        family = daemon.pids
        assert daemon.stop(10) == 0
        assert not any(map(lives, family))
        assert daemon.logged("did not finish within 0.5 s") == 3
        assert journal.count("stopped") == {"hold": 1, "ignores": 1}
    with running_daemon(tmp_path, brief, journal, spawn=spawn):
        wait_for(lambda: journal.count("start") == dict.fromkeys(tasks, 2), "they run elsewhere")
        journal.open_gate("gate")
        wait_for(lambda: journal.count("end") == dict.fromkeys(tasks, 1), "they end")
    for key in tasks:
        execution = await brief.get_execution(key)
        assert execution is not None
        assert (execution.attempt, await deaths_of(brief, key)) == (1, 0)
    assert await brief.quarantine() == []


@pytest.mark.parametrize("signals", [[signal.SIGQUIT], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM, signal.SIGINT]])
async def test_at_once_means_that_nothing_is_waited_for(
    tmp_path: Path, brief: Shadow, journal: Journal, signals: list[signal.Signals]
) -> None:
    with Daemon(tmp_path, brief, drain_timeout="60s") as daemon:
        daemon.wait_ready()
        await brief.add(hold, key="k")(str(journal), "k", "gate")
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        for count, number in enumerate(signals, 1):
            kill(daemon.pid, number)
            if count < len(signals):  # the kernel makes one of two that come together
                daemon.wait_logged("Stopping: what runs is finished")
        assert daemon.wait(5) == 0
        assert journal.count("stopped") == {"k": 1}


@SPAWNS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_every_process_of_the_daemon_is_one_clean_stop(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str, number: signal.Signals
) -> None:
    """As of a service manager that signals the whole control group, or Ctrl-C at a terminal."""
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        added = await brief.add(rest, key="k")(str(journal), "k", 0.5)
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        # Ctrl-C would reach the master's group, in which it is alone.
        assert [pid for pid in daemon.pids if os.getpgid(pid) == os.getpgid(daemon.pid)] == [daemon.pid]
        for pid in daemon.pids:
            kill(pid, number)
        assert daemon.wait() == 0
        assert await added.get_result(timeout=1) == "k"
        assert journal.count("start") == {"k": 1}
        assert daemon.logged("ERROR") == 0
        assert daemon.logged("Traceback") == 0


async def test_a_group_signal_while_it_imports_is_a_clean_stop(tmp_path: Path, brief: Shadow) -> None:
    """A zygote whose interpreter was only beginning had no handlers yet, and was killed: the daemon exited with 78."""
    (tmp_path / "work.py").write_text("import time\ntime.sleep(30)\nALL = []\n")
    with Daemon(tmp_path, brief) as daemon:
        wait_for(lambda: daemon.status and daemon.zygotes, "it imports")
        wait_for(lambda: caught(daemon.pid, signal.SIGTERM), "the master listens")
        for pid in daemon.pids:
            kill(pid, signal.SIGTERM)
            kill(pid, signal.SIGINT)
        assert daemon.wait(2) == 0
        assert daemon.logged("Traceback") == 0


async def test_a_group_signal_while_executed_workers_import_is_a_clean_stop(tmp_path: Path, brief: Shadow) -> None:
    """They don't listen to anybody before they have imported the tasks, and what they hold is nothing: nobody waits
    for them until the drain timeout."""
    (tmp_path / "work.py").write_text(
        f"import sys\nimport time\nif 'shadowsd.master.executed' in sys.orig_argv:\n    time.sleep(60)\n{TASKS}"
    )
    with Daemon(tmp_path, brief, spawn="exec", drain_timeout="30s") as daemon:
        wait_for(lambda: len(daemon.slots(state="booting")) == 2, "the workers import")
        wait_for(lambda: len(daemon.pids) == 3, "the zygote has done its part")
        wait_for(lambda: all(caught(pid, signal.SIGTERM) for pid in daemon.pids), "they have come to their imports")
        family = daemon.pids
        for pid in family:
            kill(pid, signal.SIGTERM)
        assert daemon.wait() == 0
        assert not any(map(lives, family))
        assert daemon.logged("Traceback") == daemon.logged("is gone") == 0


def caught(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


async def test_floods_of_ttin_and_ttou_are_clamped(tmp_path: Path, brief: Shadow) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        most = max(4, os.cpu_count() or 1)
        for _ in range(1000):
            os.kill(daemon.pid, signal.SIGTTOU)
        wait_for(lambda: daemon.status["workers"] == 1, "one is left")
        daemon.wait_serving(1)
        wait_for(lambda: len(daemon.slots()) == 1, "the other has ended")
        for _ in range(most + 2):
            before = daemon.status["workers"]
            os.kill(daemon.pid, signal.SIGTTIN)
            wait_for(lambda: daemon.status["workers"] == min(most, before + 1), "one more")  # noqa: B023
        for _ in range(1000):
            os.kill(daemon.pid, signal.SIGTTIN)
        assert daemon.status["workers"] == most
        daemon.wait_serving(most)
        assert daemon.ask("scale", workers=-5)["workers"] == 1
        assert daemon.stop() == 0


async def test_usr1_writes_every_workers_stacks_to_the_log(tmp_path: Path, brief: Shadow) -> None:
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        kill(daemon.pid, signal.SIGUSR1)
        for slot in (1, 2):
            daemon.wait_logged(f"Stacks of the worker in slot {slot}:\n")
        assert daemon.stop() == 0


@SPAWNS
async def test_adopted_orphans_are_reaped_and_no_exit_code_is_stolen(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        added = await brief.add(leave_orphans, key="k")(str(journal), "k", 20)
        assert await added.get_result(timeout=20) == 140
        for pid in daemon.serving().values():
            kill(pid)  # what it left is the master's now
        daemon.wait_serving(2)
        wait_for(lambda: not zombies_below(daemon.pid), "no zombie is left")
        assert daemon.stop() == 0


def zombies_below(pid: int) -> list[str]:
    """The zombies among a process's children."""
    shown = subprocess.run(["ps", "--ppid", str(pid), "-o", "stat="], capture_output=True, text=True, check=False)
    return [line for line in shown.stdout.splitlines() if line.startswith("Z")]


@SPAWNS
async def test_programs_that_a_task_starts_can_be_interrupted(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    """Workers ignored SIGINT, and so did every program that their tasks started."""
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        added = await brief.add(interruptible, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == -signal.SIGINT
        assert daemon.stop() == 0
