"""A daemon that can't begin: it says why and ends, instead of trying for ever."""

from pathlib import Path

import pytest

from shadows import Shadow
from shadows.testing import RedisServer
from tests.daemon import TASKS, Daemon, kill, lives
from tests.faults.conftest import brief_shadow
from tests.faults.running import SPAWNS, Runner
from tests.recorded import Journal, rest
from tests.waiting import wait_for

DEADLOCK = """
import threading

lock = threading.Lock()


def wait_for_ever() -> None:
    lock.acquire()
    lock.acquire()


wait_for_ever()
"""


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def broken(:\n", "SyntaxError"),
        ("raise SystemExit(4)\n", "SystemExit"),
        ("import os\nos._exit(0)\n", "importing its tasks ended the process: exited with 0"),
        ("import ctypes\nctypes.string_at(0)\n", "killed by SIGSEGV"),
        ("ALL = 5\n", "work:ALL"),
    ],
)
def test_code_that_can_not_be_imported_ends_it_with_78_and_the_reason(
    tmp_path: Path, brief: Shadow, source: str, line: str
) -> None:
    """A zygote imports first, also where workers are executed; for those see test_daemon_executed.py."""
    (tmp_path / "work.py").write_text(source)
    with Daemon(tmp_path, brief) as daemon:
        assert daemon.wait() == 78
        assert line in daemon.output
        if "Error" in line:
            assert 'work.py", line 1' in daemon.output
        assert not daemon.control.exists()


def test_an_import_that_never_ends_is_ended_with_78_and_its_stack(tmp_path: Path, brief: Shadow) -> None:
    (tmp_path / "work.py").write_text(DEADLOCK)
    with Daemon(tmp_path, brief, boot_timeout="3s") as daemon:
        assert daemon.wait() == 78
        assert "in wait_for_ever" in daemon.output
        assert "importing took longer than --boot-timeout (3 s)" in daemon.output


@pytest.mark.parametrize("times", [1, 2])
def test_a_daemon_that_is_told_to_stop_while_it_imports_stops_at_once(
    tmp_path: Path, brief: Shadow, times: int
) -> None:
    (tmp_path / "work.py").write_text(DEADLOCK)
    with Daemon(tmp_path, brief) as daemon:
        wait_for(lambda: daemon.zygotes, "it imports")
        wait_for(lambda: daemon.status, "it answers")
        for _ in range(times):
            kill(daemon.pid, 15)
        assert daemon.wait(1.5) == 0
        assert daemon.logged("Stopping: what runs is finished") == 1


def test_workers_that_still_import_end_with_their_master(tmp_path: Path, brief: Shadow) -> None:
    (tmp_path / "work.py").write_text(
        f"import sys\nimport time\nif 'shadowsd.master.executed' in sys.orig_argv:\n    time.sleep(60)\n{TASKS}"
    )
    with Daemon(tmp_path, brief, spawn="exec") as daemon:
        wait_for(lambda: len(daemon.slots(state="booting")) == 2, "the workers import")
        wait_for(lambda: len(daemon.pids) == 3, "the zygote has done its part")
        family = daemon.pids
        wait_for(lambda: all(map(has_handlers, family)), "they have come to their imports")
        kill(daemon.pid)
        wait_for(lambda: not any(map(lives, family)), "all are dead", 1)


def has_handlers(pid: int) -> bool:
    """Whether a process has come to where it handles SIGHUP."""
    caught = int(Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0], 16)
    return bool(caught & 1)


@SPAWNS
async def test_without_redis_it_waits_and_begins_by_itself(
    tmp_path: Path, own_redis: RedisServer, journal: Journal, spawn: str
) -> None:
    own_redis.stop()
    shadow = brief_shadow(own_redis.url)
    with Daemon(tmp_path, shadow, spawn=spawn) as daemon:
        wait_for(lambda: len(daemon.slots(state="waiting for redis")) == 2, "its workers wait for Redis", 30)
        status = daemon.status
        assert not status["ready"]
        assert not status["redis"]["works"]
        assert daemon.logged("Redis can't be used now") == 1
        pids = {row["pid"] for row in status["slots"]}
        own_redis.start()
        daemon.wait_ready()
        assert set(daemon.serving().values()) == pids
        assert daemon.logged("Redis can be used again") == 1
        assert daemon.logged("Redis can't be used now") == 1
        async with shadow:
            added = await shadow.add(rest, key="k")(str(journal), "k")
            assert await added.get_result(timeout=10) == "k"
        assert daemon.stop() == 0


def test_it_can_be_stopped_while_it_waits_for_redis(tmp_path: Path, own_redis: RedisServer) -> None:
    own_redis.stop()
    with Daemon(tmp_path, brief_shadow(own_redis.url)) as daemon:
        wait_for(lambda: len(daemon.slots(state="waiting for redis")) == 2, "its workers wait for Redis")
        assert daemon.stop() == 0
        assert not daemon.control.exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import threading\nthreading.Thread(target=threading.Event().wait, name='poller', daemon=True).start()\n",
            "the thread 'poller'",
        ),
        ("import socket\nkept = socket.create_connection(('127.0.0.1', {port}))\n", "an open tcp connection to port"),
    ],
)
async def test_what_an_import_leaves_open_makes_it_execute_its_workers(
    tmp_path: Path, brief: Shadow, journal: Journal, own_redis: RedisServer, code: str, words: str
) -> None:
    source = code.format(port=own_redis.port) + "from tests.recorded import TASKS as ALL\n"
    (tmp_path / "work.py").write_text(source)
    with Daemon(tmp_path, brief) as daemon:
        daemon.wait_ready()
        daemon.wait_logged(f"Importing work:ALL left {words}")
        assert not daemon.zygotes
        added = await brief.add(rest, key="k")(str(journal), "k")
        assert await added.get_result(timeout=10) == "k"
        assert daemon.stop() == 0


NUMPY = """
import asyncio
import os

import numpy

from tests.recorded import gate_of, write


async def draw(journal: str, label: str) -> list[float]:
    write(journal, "start", label)
    while not gate_of(journal, "gate").exists():
        await asyncio.sleep(0.002)
    ones = numpy.ones((300, 300))
    return [os.getpid(), float((ones @ ones).sum()), float(numpy.random.rand())]


ALL = [draw]
"""


@SPAWNS
async def test_numpy_at_import_is_no_obstacle_to_forks(
    tmp_path: Path, brief: Shadow, journal: Journal, running: Runner, spawn: str
) -> None:
    """Its library has threads of its own from the import on, and makes them anew in a fork; random numbers differ."""
    (tmp_path / "work.py").write_text(NUMPY)
    with running(spawn=spawn, concurrency="1") as daemon:
        assert len(daemon.zygotes) == (1 if spawn == "fork" else 0)
        assert daemon.logged("Importing work:ALL left") == 0
        added = [await brief.add("draw", key=key)(str(journal), key) for key in ("a", "b")]
        wait_for(lambda: len(journal.count("start")) == 2, "both workers run one")
        journal.open_gate("gate")
        one, other = [await each.get_result(timeout=10) for each in added]
        assert {one[0], other[0]} == set(daemon.serving().values())
        assert one[1] == other[1] == 300**3
        assert one[2] != other[2]
