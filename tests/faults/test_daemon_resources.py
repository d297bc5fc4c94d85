"""A daemon on a machine that has no more processes or descriptors to give: it waits, and answers meanwhile."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import TASKS, Daemon, kill
from tests.faults.test_daemon_deaths import SPAWNS
from tests.hazards import use_up_descriptors
from tests.recorded import Journal, rest
from tests.waiting import wait_for

NO_FORKS = f"""
import errno
import os
from pathlib import Path

fork = os.fork


def fork_if_allowed() -> int:
    if Path("no-forks").exists():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()


os.fork = fork_if_allowed
{TASKS}"""


# The imports of executed workers fail; those of the zygote, which runs another module, do not.
CRASHES = """
import os
import sys
from pathlib import Path

if Path("broken").exists() and "executed" in " ".join(sys.orig_argv):
    os._exit(5)
"""


async def test_a_slot_that_gets_no_process_is_tried_again_ever_more_slowly(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    (tmp_path / "work.py").write_text(NO_FORKS)
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        (tmp_path / "no-forks").touch()
        kill(before[1])
        refused = r"No process for slot 1 could be had: fork: .*Resource temporarily unavailable"
        wait_for(lambda: daemon.logged(refused) >= 3, "it was tried again")
        assert daemon.logged(refused) <= 5
        assert daemon.serving() == {2: before[2]}
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        (tmp_path / "no-forks").unlink()
        daemon.wait_serving(2, 20)
        assert daemon.stop() == 0


@SPAWNS
@pytest.mark.parametrize("spare", [0, 1, 3, 6])
async def test_a_master_without_descriptors_goes_on_and_recovers(
    tmp_path: Path, brief: Shadow, spawn: str, spare: int
) -> None:
    """Each number of spare ones fails at another step of making a worker; none may be lost on the way."""
    with Daemon(tmp_path, brief, spawn=spawn) as daemon:
        daemon.wait_ready()
        first = daemon.serving()
        kill(first[1])
        wait_for(lambda: daemon.serving().get(1, first[1]) != first[1], "the slot is filled again")
        # Now it has the connection, too, by which it gives back what the dead held.
        before, held = daemon.wait_serving(2), descriptors(daemon.pid)
        usual = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (max(held) - 3 + spare, usual[1]))
        kill(before[1])
        daemon.wait_logged("No process for slot 1 could be had, which is tried again: .*Too many open files")
        assert daemon.process.poll() is None
        if spare > 1:
            assert daemon.serving() == {2: before[2]}
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, usual)
        after = daemon.wait_serving(2, 20)
        assert after[2] == before[2]
        wait_for(lambda: len(descriptors(daemon.pid)) <= len(held), "no descriptor was lost")
        assert daemon.stop() == 0


def descriptors(pid: int) -> list[int]:
    """The open ones of a process."""
    return [int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()]


@SPAWNS
async def test_a_task_that_uses_up_all_descriptors_fails_and_its_worker_lives(
    tmp_path: Path, brief: Shadow, journal: Journal, spawn: str
) -> None:
    with Daemon(tmp_path, brief, spawn=spawn, workers="1") as daemon:
        daemon.wait_ready()
        before = daemon.serving()
        resource.prlimit(before[1], resource.RLIMIT_NOFILE, (100, 100))
        added = await brief.add(use_up_descriptors, key="k")(str(journal), "k")
        with pytest.raises(OSError, match="Too many open files"):
            await added.get_result(timeout=10)
        again = await brief.add(rest, key="again")(str(journal), "again")
        assert await again.get_result(timeout=10) == "again"
        assert daemon.serving() == before
        assert daemon.stop() == 0


@pytest.mark.slow
async def test_where_every_slot_crash_loops_the_daemon_backs_off_and_recovers(
    tmp_path: Path, brief: Shadow, journal: Journal
) -> None:
    (tmp_path / "work.py").write_text(CRASHES + TASKS)
    with Daemon(tmp_path, brief, spawn="exec") as daemon:
        daemon.wait_ready()
        (tmp_path / "broken").touch()
        for pid in daemon.serving().values():
            kill(pid)
        daemon.wait_logged("Every worker dies soon after it began", 30)
        status = daemon.status
        assert status["degraded"]
        assert not status["ready"]
        assert "DEGRADED" in " ".join(status["reasons"])
        lines = len(daemon.lines)
        used = cpu_seconds(daemon.pid)
        deaths = len(daemon.endings(1))
        wait_for(lambda: len(daemon.endings(1)) > deaths, "one slot probes", 30)
        assert len(daemon.lines) - lines < 20
        assert cpu_seconds(daemon.pid) - used < 0.5
        (tmp_path / "broken").unlink()
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=60) == "k"
        daemon.wait_logged("A worker has lived for a while: all slots are filled again.", 30)
        daemon.wait_serving(2, 20)
        wait_for(lambda: daemon.ready, "it is ready again")
        assert daemon.stop() == 0


def cpu_seconds(pid: int) -> float:
    """What a process has used of a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
async def test_a_hundred_lives_of_workers_leave_nothing_behind(tmp_path: Path, brief: Shadow, journal: Journal) -> None:
    with Daemon(tmp_path, brief, workers="1") as daemon:
        daemon.wait_ready()

        async def die(times: int) -> None:
            for _ in range(times):
                before = daemon.serving()
                daemon.ask("scale", workers=2)
                daemon.wait_serving(2)
                daemon.ask("scale", workers=1)
                wait_for(lambda: len(daemon.slots()) == 1, "one is left")
                assert daemon.serving() == before

        await die(20)
        files, memory = len(descriptors(daemon.pid)), resident(daemon.pid)
        async with brief.redis() as redis:
            keys = await redis.dbsize()
        await die(100)
        assert len(descriptors(daemon.pid)) <= files + 2
        assert resident(daemon.pid) - memory < 2 << 20
        assert len(daemon.pids) == 3
        async with brief.redis() as redis:
            assert await redis.dbsize() <= keys + 2


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.timed
async def test_an_idle_master_needs_next_to_nothing(tmp_path: Path, brief: Shadow) -> None:
    """With heartbeats as they are by default."""
    with Daemon(tmp_path, brief, heartbeat_interval="2s", missed_heartbeats="5") as daemon:
        daemon.wait_ready()
        before = cpu_seconds(daemon.pid)
        await asyncio.sleep(8)
        assert (cpu_seconds(daemon.pid) - before) / 8 < 0.005
