"""A daemon on a machine that has no more processes or descriptors to give: it waits, and answers meanwhile."""

import asyncio
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shadows import Shadow
from shadows.keys import GROUP
from shadowsd.master.backoff import HEALTHY_SECONDS
from tests.daemon import TASKS, Daemon, kill
from tests.faults.running import SPAWNS, Runner, Running, answer_of, running_daemon
from tests.hazards import use_up_descriptors
from tests.recorded import Journal, rest
from tests.waiting import wait_for

# Nobody but root is exempt from RLIMIT_NPROC: who runs the tests as root takes another user, which may still read
# what is root's.
# One of this process's own, as the limit counts everything of a user.
USER = 20_000 + os.getpid() % 40_000
AS_A_USER = (
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all,+dac_override",
    "--ambient-caps=-all,+dac_override", "--bounding-set=-sys_resource,-sys_admin",
) if os.geteuid() == 0 else ()  # fmt: skip

# The imports of executed workers fail; those of the zygote, which runs another module, do not.
CRASHES = """
import os
import sys
from pathlib import Path

if Path("broken").exists() and "executed" in " ".join(sys.orig_argv):
    os._exit(5)
"""


@SPAWNS
async def test_a_slot_that_gets_no_process_is_tried_again_ever_more_slowly(
    brief: Shadow, journal: Journal, spawn: str
) -> None:
    """The kernel says EAGAIN: to the zygote at a fork, to the master where workers are executed."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_daemon(owned(directory), brief, journal, spawn=spawn, prefix=AS_A_USER) as daemon,
    ):
        before = daemon.serving()
        limited = daemon.pid if spawn == "exec" else daemon.zygotes.pop()
        # The zygote forks twice: there is room for the first of the two.
        allow_processes(limited, 1 + sum(map(threads, daemon.pids - {before[1]})) if spawn == "fork" else 1)
        kill(before[1])
        refused = r"No process for slot 1 could be had.*Resource temporarily unavailable"
        killed = time.monotonic()
        wait_for(lambda: daemon.logged(refused) >= 3, "it was tried again")
        wait_for(lambda: time.monotonic() > killed + 1.5, "it had time to try very often")
        assert daemon.logged(refused) <= 10
        assert daemon.serving() == {2: before[2]}
        await daemon.proves_itself()
        allow_processes(limited, resource.getrlimit(resource.RLIMIT_NPROC)[0])
        assert daemon.wait_serving(2, 20)[2] == before[2]


def threads(pid: int) -> int:
    """How many a process has: they are what the limit counts."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def allow_processes(pid: int, number: int) -> None:
    """Sets the limit of a process, as its own user: a container's root may not have the right to."""
    subprocess.run([*AS_A_USER, "prlimit", f"--pid={pid}", f"--nproc={number}:"], check=True)


def owned(directory: str) -> Path:
    """The directory, given to the user of the daemon."""
    if AS_A_USER:
        os.chown(directory, USER, USER)
    return Path(directory)


@SPAWNS
async def test_a_master_without_descriptors_goes_on_and_recovers(running: Runner, spawn: str) -> None:
    """Each number of spare ones fails at another step of making a worker; none may be lost on the way."""
    spares = (0, 1, 3, 6)
    workers = len(spares) + 1
    with running(spawn=spawn, workers=str(workers)) as daemon:
        first = daemon.serving()
        kill(first[workers])
        wait_for(lambda: daemon.serving().get(workers, 0) not in (0, first[workers]), "the slot is filled again")
        # Now it has the connection, too, by which it gives back what the dead held.
        held = descriptors(daemon.pid)
        usual = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        for slot, spare in enumerate(spares, 1):
            before = daemon.wait_serving(workers)
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (max(descriptors(daemon.pid)) - 3 + spare, usual[1]))
            kill(before[slot])
            daemon.wait_logged(f"No process for slot {slot} could be had, which is tried again: .*Too many open files")
            assert daemon.process.poll() is None
            if spare > 1:
                assert daemon.serving().keys() == before.keys() - {slot}
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, usual)
            after = daemon.wait_serving(workers, 20)
            assert {other for other in before if after[other] != before[other]} == {slot}
        wait_for(lambda: len(descriptors(daemon.pid)) <= len(held), "no descriptor was lost")


async def test_a_zygote_for_which_there_is_no_descriptor_is_started_when_there_is(running: Runner) -> None:
    with running() as daemon:
        before = daemon.serving()
        usual = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        held = descriptors(daemon.pid)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, usual[1]))
        kill(daemon.zygotes.pop())
        daemon.wait_logged("No zygote of generation 1 could be started, which is tried again: .*Too many open files")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, usual)
        wait_for(lambda: daemon.zygotes, "there is a zygote again")
        assert daemon.wait_serving(2) == before
        wait_for(lambda: len(descriptors(daemon.pid)) <= len(held), "no descriptor was lost")


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
    with Daemon(tmp_path, brief, spawn="exec", healthcheck_port="0") as daemon:
        daemon.wait_ready()
        health = daemon.wait_logged(r"Health is served at \S+/livez").split()[-1].removesuffix("/livez")
        assert answer_of(f"{health}/readyz")[0] == 200
        (tmp_path / "broken").touch()
        for pid in daemon.serving().values():
            kill(pid)
        daemon.wait_logged("Every worker dies soon after it began", 30)
        status = daemon.status
        assert status["degraded"]
        assert not status["ready"]
        assert "DEGRADED" in " ".join(status["reasons"])
        code, said = answer_of(f"{health}/readyz")
        assert (code, "DEGRADED" in said) == (503, True), said
        assert answer_of(f"{health}/livez")[0] == 200
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
        assert answer_of(f"{health}/readyz")[0] == 200
        assert daemon.stop() == 0


def cpu_seconds(pid: int) -> float:
    """What a process has used of a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


VICTIMS, ROUNDS = 75, 4


@pytest.mark.timed  # and leaves no room for others beside it
async def test_three_hundred_deaths_of_workers_leave_nothing_behind(running: Runner, brief: Shadow) -> None:
    """All slots but one at once, four times: a slot that died more often would wait ever longer. The one that lives
    keeps the node from being taken for one in a crash loop, once it has lived for a while."""
    workers = VICTIMS + 1
    with running(
        workers=str(workers), concurrency="1", heartbeat_interval="2s", missed_heartbeats="5", metrics_port="0"
    ) as daemon:
        survivor, healthy = daemon.serving()[workers], time.monotonic() + HEALTHY_SECONDS + 1
        left = []
        for round in range(1, ROUNDS + 1):
            if round == ROUNDS:
                wait_for(lambda: time.monotonic() > healthy, "one has served for a while", 30)
            before = seldom(daemon.serving)
            for slot in range(1, workers):
                kill(before[slot])
            while (
                len(seldom(daemon.serving).keys() & before.keys()) < workers
                or daemon.logged("is gone") < round * VICTIMS
            ):
                assert daemon.process.poll() is None
            left.append(await holdings(daemon, brief))
        assert daemon.logged("is gone: killed by SIGKILL") == VICTIMS * ROUNDS
        assert daemon.serving()[workers] == survivor
        assert daemon.logged("dies soon after it began") == 0
        files, memory, *counts = zip(*left, strict=True)
        assert files[-1] - files[0] <= 2, left  # a connection to Redis may be there, or not yet
        assert memory[-1] - memory[0] < 2 << 20, left
        assert [set(count) for count in counts] == [{count[0]} for count in counts], left


def seldom[T](look: Callable[[], T]) -> T:
    """Each look at so many workers costs their master a while."""
    time.sleep(0.1)
    return look()


async def holdings(daemon: Running, shadow: Shadow) -> tuple[int, ...]:
    """Descriptors, bytes of memory, processes, metric series; and in Redis consumers, leases, keys."""
    async with shadow.redis() as redis:
        streams = [each for each in shadow.keys.streams if await redis.exists(each)]
        consumers = sum([len(await redis.xinfo_consumers(each, GROUP)) for each in streams])
        keys = [key async for key in redis.scan_iter(f"{shadow.keys.prefix}*")]
        leases = await redis.zcard(shadow.keys.leases)
    return (
        len(descriptors(daemon.pid)), resident(daemon.pid), len(daemon.pids), len(daemon.metrics), consumers, leases,
        len(keys),
    )  # fmt: skip


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
