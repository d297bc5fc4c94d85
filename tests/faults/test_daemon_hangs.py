"""Workers of a daemon that fall silent: what keeps them so is told, and only they are ended for it."""

import ctypes
import os
import signal
import time
from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import Daemon, kill, lives, state_of
from tests.faults.conftest import LEASE_SECONDS
from tests.faults.running import SPAWNS, deaths_of
from tests.hazards import block_once, hold_gil
from tests.recorded import Journal, block, hold, rest
from tests.waiting import wait_for, wait_until

# Many times the hang timeout of that test, and longer than anything else that a master waits for here.
HELD_UP_SECONDS = 20


@pytest.mark.slow
@SPAWNS
async def test_a_task_that_blocks_the_loop_for_too_long_is_ended_and_its_line_named(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    """Its neighbour, which only shared the loop, has no death counted."""
    with Daemon(tmp_path, brief, spawn=spawn, workers="1", hang_timeout="4s") as daemon:
        daemon.wait_ready()
        await brief.add(hold, key="neighbour")(str(journal), "neighbour", "gate")
        wait_for(lambda: journal.count("start")["neighbour"] == 1, "the neighbour runs")
        added = await brief.add(block_once, key="k")(str(journal), "k", 60)
        daemon.wait_logged("its event loop is blocked. It is ended after 4 s. Its stacks follow")
        daemon.wait_logged(r"is at .*hazards.py:\d+ in block_once")
        daemon.wait_logged("Ending the worker in slot 1 by SIGABRT: its event loop is blocked for")
        assert await added.get_result(timeout=20) == "k"
        wait_for(lambda: journal.count("start")["neighbour"] == 2, "the neighbour runs again")
        assert await deaths_of(brief, "neighbour") == 0
        journal.open_gate("gate")
        wait_for(lambda: journal.count("end")["neighbour"] == 1, "and ends")
        (ending,) = daemon.endings(1)
        assert "block_once" in ending["stack"]
        assert daemon.stop() == 0


async def test_a_task_that_blocks_the_loop_for_a_while_is_a_warning(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    with Daemon(tmp_path, brief, hang_timeout="6s") as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        added = await brief.add(block, key="k")(str(journal), "k", 4)
        daemon.wait_logged("Its stacks follow")
        wait_for(lambda: journal.count("end")["k"] == 1, "it ends")
        assert journal.count("start") == {"k": 1}
        assert await added.get_result(timeout=10) == "k"
        assert daemon.serving() == before
        assert daemon.stop() == 0


@pytest.mark.slow
async def test_a_call_that_holds_the_gil_is_told_apart_and_its_lease_never_ends(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    """No Python of the worker can run: neither its heartbeats nor a handler of a signal."""
    with Daemon(tmp_path, brief, workers="2", hang_timeout="5s") as daemon:
        daemon.wait_ready()
        await brief.add(hold_gil, key="k")(str(journal), "k")
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        daemon.wait_logged("something holds the GIL. It is ended after 5 s")
        daemon.wait_logged("in hold_gil")
        # Many leases long, nobody took it from the silent one.
        assert journal.count("start")["k"] == 1
        daemon.wait_logged("by SIGABRT: something holds the GIL for")
        assert LEASE_SECONDS < 1
        wait_for(lambda: journal.count("start")["k"] == 2, "it runs again")
        assert await deaths_of(brief, "k") == 1
        kill(daemon.pid)


@SPAWNS
async def test_a_worker_that_is_stopped_for_a_while_is_left_alone(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn, workers="1") as daemon:
        daemon.wait_ready()
        await brief.add(hold, key="k")(str(journal), "k", "gate")
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        worker = daemon.serving()[1]
        kill(worker, signal.SIGSTOP)
        wait_for(lambda: daemon.slots(silence="it was stopped by a signal"), "it is seen as stopped")
        wait_for(lambda: daemon.slots()[0]["silent_seconds"] > 5 * LEASE_SECONDS, "it is stopped for many leases")
        kill(worker, signal.SIGCONT)
        journal.open_gate("gate")
        wait_for(lambda: journal.count("end")["k"] == 1, "it ends")
        assert journal.count("start") == {"k": 1}
        assert daemon.serving() == {1: worker}
        assert daemon.logged("told to reconnect") == 0  # it was silent, and not cut off from Redis
        assert daemon.stop() == 0


@SPAWNS
async def test_a_worker_that_stays_stopped_is_killed_and_its_tasks_run_elsewhere(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn, workers="1", hang_timeout="2200ms") as daemon:
        daemon.wait_ready()
        await brief.add(hold, key="k")(str(journal), "k", "gate")
        wait_for(lambda: journal.count("start")["k"] == 1, "it runs")
        worker = daemon.serving()[1]
        kill(worker, signal.SIGSTOP)
        daemon.wait_logged("Ending the worker in slot 1 by SIGKILL: it was stopped by a signal for")
        wait_for(lambda: journal.count("start")["k"] == 2, "it runs again")
        assert not lives(worker)
        journal.open_gate("gate")
        wait_for(lambda: journal.count("end")["k"] == 1, "it ends")
        assert daemon.stop() == 0


@pytest.mark.slow
async def test_a_master_that_was_stopped_kills_nobody_when_it_comes_back(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    """For longer than the hang timeout, while one of its workers is stopped with it, as on a paused machine."""
    with Daemon(tmp_path, brief, hang_timeout="3s") as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        stopped = [before[1], daemon.pid]
        for pid in stopped:
            kill(pid, signal.SIGSTOP)
        wait_for(lambda: all(state_of(pid) == "T" for pid in stopped), "both are stopped")
        added = await brief.add(rest, key="k")(str(journal), "k", HELD_UP_SECONDS)
        assert await added.get_result(timeout=HELD_UP_SECONDS + 10) == "k"  # by the other one; and it took its time
        for pid in reversed(stopped):
            kill(pid, signal.SIGCONT)
        daemon.wait_logged(rf"The master itself was held up for ({HELD_UP_SECONDS - 1}|{HELD_UP_SECONDS})\.")
        # For as long as a silent one would be given.
        assert await (await brief.add(rest, key="k2")(str(journal), "k2", 3)).get_result(timeout=10) == "k2"
        assert daemon.serving() == before
        assert daemon.logged("The worker in slot . .*is gone") == daemon.logged("Ending the worker") == 0
        assert daemon.stop() == 0


@pytest.mark.slow
async def test_a_worker_under_a_debugger_is_left_alone(tmp_path: Path, brief: Shadow, journal: Journal) -> None:
    """A debugger is a thread's tracer, which only that thread can be: so it is one process here."""
    with Daemon(tmp_path, brief, workers="1", hang_timeout="2s") as daemon:
        daemon.wait_ready()
        worker = daemon.serving()[1]
        tracer = os.fork()
        if tracer == 0:
            trace(worker)
        try:
            wait_for(lambda: state_of(worker) == "t", "it is traced")
            wait_for(lambda: daemon.slots(silence="a debugger holds it"), "it is seen as traced")
            wait_for(lambda: daemon.slots()[0]["silent_seconds"] > 4, "well beyond the timeout")
        finally:
            end(tracer)
        await wait_until(lambda: state_of(worker) != "t", "it is let go")
        wait_for(lambda: daemon.slots(silence=""), "it is heard again")
        assert daemon.serving() == {1: worker}
        assert daemon.stop() == 0


def end(pid: int) -> None:
    """Kills a child of ours."""
    kill(pid)
    os.waitpid(pid, 0)


def trace(pid: int) -> None:
    """What a debugger does first; it lets go when it ends. Runs in a process of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    seized = libc.ptrace(0x4206, pid, None, None)  # PTRACE_SEIZE, and then PTRACE_INTERRUPT
    interrupted = libc.ptrace(0x4207, pid, None, None)
    time.sleep(60 if seized == interrupted == 0 else 0)
    os._exit(1)
