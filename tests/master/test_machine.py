"""What the master takes from its machine: processors, paths, orphans, the service manager, memory that ran out."""

import math
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from shadowsd.master import cpus, oom, prctl
from shadowsd.master.child import Exit
from shadowsd.master.cpus import usable_cpus
from shadowsd.master.notify import Notifier, watchdog_seconds
from shadowsd.master.orphans import reap_orphans
from shadowsd.master.paths import SYSTEM, control_paths, logical_directory, own_control_path
from tests.waiting import wait_for


@pytest.mark.parametrize(
    ("own", "above", "count"),
    [
        ("max 100000", "max 100000", 64),
        ("50000 100000", "max 100000", 1),
        ("250000 100000", "max 100000", 3),
        ("800000 100000", "200000 100000", 2),
        ("garbage", "max 100000", 64),
        ("1 2 3", "x y", 64),
        (None, None, 64),
    ],
)
def test_the_tightest_quota_counts_and_is_at_least_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, above: str | None, count: int
) -> None:
    files = [tmp_path / "own", tmp_path / "above"]
    for file, text in zip(files, (own, above), strict=True):
        if text is not None:
            file.write_text(text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(cpus, "_quota_files", lambda: files)
    assert usable_cpus() == count


def test_here_it_is_what_this_process_may_use() -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))


def test_kills_for_memory_are_counted_where_the_kernel_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, events = tmp_path / "missing", tmp_path / "memory.events"
    events.write_text("low 0\noom 5\noom_kill 3\n")
    monkeypatch.setattr(oom, "_candidates", lambda: [missing, events])
    assert oom.kills() == 3
    monkeypatch.setattr(oom, "_candidates", lambda: [missing])
    assert oom.kills() == 0


def test_without_control_groups_nothing_limits_and_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (cpus, oom):
        monkeypatch.setattr(module, "OWN", tmp_path / "nothing")
        monkeypatch.setattr(module, "ROOT", tmp_path)
    assert usable_cpus() == len(os.sched_getaffinity(0))
    assert oom.kills() == 0


def test_the_kernel_says_what_is_wrong_with_a_request() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        prctl._prctl(-1, 0)


def test_each_shadow_of_a_user_has_a_control_path_of_its_own() -> None:
    assert own_control_path("s", {"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == Path("/run/a/s.sock")
    assert own_control_path("a/b c", {"XDG_RUNTIME_DIR": "/run/user/5"}) == Path("/run/user/5/shadowsd/a%2Fb%20c.sock")
    expected = SYSTEM if os.geteuid() == 0 else Path(f"/tmp/shadowsd-{os.geteuid()}")
    assert own_control_path("s", {}) == expected / "s.sock"


def test_where_a_master_listens_is_where_it_is_looked_for() -> None:
    for environment in ({}, {"XDG_RUNTIME_DIR": "/run/user/5"}):
        assert control_paths("s", environment)[0] == own_control_path("s", environment)
        assert SYSTEM / "s.sock" in control_paths("s", environment)


def test_a_swapped_symlink_of_the_working_directory_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "release-1").mkdir()
    current = tmp_path / "current"
    current.symlink_to("release-1")
    monkeypatch.chdir(current)
    assert logical_directory({"PWD": str(current)}) == current
    assert logical_directory({}) == tmp_path / "release-1"
    assert logical_directory({"PWD": "/"}) == tmp_path / "release-1"
    assert logical_directory({"PWD": str(tmp_path / "gone")}) == tmp_path / "release-1"


def test_orphans_are_collected_and_those_with_a_parent_are_left() -> None:
    known = os.spawnlp(os.P_NOWAIT, "true", "true")
    other = os.spawnlp(os.P_NOWAIT, "false", "false")
    killed = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60")
    os.kill(killed, signal.SIGKILL)
    found: dict[int, Exit] = {}

    def look() -> bool:
        found.update(reap_orphans({known}))
        if known_is_first():
            assert os.waitpid(known, 0) == (known, 0)
        return {other, killed} <= set(found)

    def known_is_first() -> bool:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return ended is not None and ended.si_pid == known

    wait_for(look, "the two were collected")
    assert known not in found
    assert (found[other], found[killed]) == (Exit(1, None), Exit(None, signal.SIGKILL))


class Manager:
    """Stands where systemd listens."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.notifier = Notifier({"NOTIFY_SOCKET": address})

    @property
    def told(self) -> list[str]:
        told = []
        while True:
            try:
                told.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return told

    def close(self) -> None:
        self.socket.close()
        if self.notifier._socket is not None:
            self.notifier._socket.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    manager = Manager(f"@shadows-{os.getpid()}" if abstract else str(tmp_path / "n"))
    notifier = manager.notifier
    notifier.ready()
    notifier.status("2 of 2 workers serve")
    notifier.status("2 of 2 workers serve")
    notifier.alive()
    notifier.extend(10)
    notifier.stopping()
    assert manager.told == [
        "READY=1", "STATUS=2 of 2 workers serve", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=10000000", "STOPPING=1",
    ]  # fmt: skip
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    notifier.reloading()
    (told,) = manager.told
    line, stamp = told.split("\n")
    assert line == "RELOADING=1"
    assert before * 1e6 - 1 <= int(stamp.removeprefix("MONOTONIC_USEC="))
    manager.close()
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    assert notifier._socket is not None
    notifier._socket.close()


def test_a_manager_that_does_not_listen_is_not_waited_for(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "n"))
    for _ in range(10_000):
        manager.notifier.alive()
    assert manager.told
    manager.close()


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog_seconds == math.inf


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, math.inf),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, math.inf),
        ({"WATCHDOG_USEC": "0"}, math.inf),
        ({"WATCHDOG_USEC": "often"}, math.inf),
    ],
)
def test_the_watchdog_is_only_for_whom_it_is_meant(environment: dict[str, str], seconds: float) -> None:
    assert watchdog_seconds(environment) == seconds
