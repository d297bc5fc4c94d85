"""What the checks do inside the machine: they drive systemd and the service as an operator does."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shadows.sync import Execution, Shadow
from tests.systemd.rig import URL
from tests.waiting import wait_for

UNIT = "shadowsd.service"
APPLICATION = Path("/opt/shadowsd")
JOBS = Path("/opt/rig/tests/systemd/jobs.py")
DROP_INS = Path("/run/systemd/system/shadowsd.service.d")
PROGRAM = "/opt/shadowsd/venv/bin/shadowsd"
RELEASES = {
    "one": ("", ""),
    "two": ("VERSION = 1", "VERSION = 2"),
    "slow": ("time.sleep(0.5)\n\n", "time.sleep(5)\nVERSION = 3\n\n"),
    "broken": ("VERSION = 1", 'raise RuntimeError("this release is broken")'),
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A command, its output as one text."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def systemctl(*words: str) -> int:
    """The exit code of systemctl, whose output is in the driver's log."""
    done = run("systemctl", *words)
    print("systemctl", *words, "->", done.returncode, done.stdout, flush=True)
    return done.returncode


def properties(*names: str, unit: str = UNIT) -> dict[str, str]:
    """What systemd says of a unit."""
    said = run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def state(unit: str = UNIT) -> str:
    """`active`, `activating`, `failed`..."""
    return properties("ActiveState", unit=unit)["ActiveState"]


def main_pid(unit: str = UNIT) -> int:
    """The master."""
    return int(properties("MainPID", unit=unit)["MainPID"])


def restarts(unit: str = UNIT) -> int:
    """How often systemd started it again by itself."""
    return int(properties("NRestarts", unit=unit)["NRestarts"])


def journal(unit: str = UNIT, *options: str) -> str:
    """All that a unit, and systemd of it, ever said, or what options of journalctl leave of it."""
    run("journalctl", "--sync")
    return run("journalctl", "--no-pager", "-o", "cat", "-u", unit, *options).stdout


def processes(unit: str = UNIT) -> set[int]:
    """Everybody in a unit's control group."""
    group = properties("ControlGroup", unit=unit)["ControlGroup"]
    try:
        return {int(line) for line in Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text().split()}
    except FileNotFoundError:
        return set()


def gone(pids: Iterable[int]) -> bool:
    """Whether none of them lives."""
    return not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def status() -> dict[str, Any]:
    """`shadowsd status`, as root."""
    done = run(PROGRAM, "status", "--json")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"shadowsd status said: {done.stdout}") from None
    return answer


def ready_workers() -> int:
    """How many workers take tasks."""
    return sum(1 for row in status()["slots"] if row["state"] == "ready")


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signals a process of the service."""
    os.kill(pid, number)


def release(name: str) -> None:
    """Makes a release of the application, and swaps the symlink to it, as a deploy does."""
    folder = APPLICATION / "releases" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "jobs.py").write_text(JOBS.read_text().replace(*RELEASES[name]))
    fresh = APPLICATION / "current.new"
    fresh.symlink_to(folder)
    fresh.replace(APPLICATION / "current")


def configure(*lines: str) -> None:
    """A drop-in for the time of one check; none without lines."""
    shutil.rmtree(DROP_INS, ignore_errors=True)
    if lines:
        DROP_INS.mkdir(parents=True)
        (DROP_INS / "check.conf").write_text("\n".join(["[Service]", *lines, ""]))
    systemctl("daemon-reload")


def fresh_start(*lines: str) -> None:
    """The service as it comes, but for a drop-in, started anew."""
    systemctl("stop", UNIT)
    systemctl("reset-failed", UNIT)
    configure(*lines)
    assert systemctl("start", UNIT) == 0


def add(function: str, *arguments: object, key: str | None = None, name: str = "shadows") -> Execution:
    """Adds a task as an application does."""
    return shadow(name).add(function, key=key)(*arguments)


def outcome(function: str, *arguments: object, name: str = "shadows") -> Any:
    """Adds a task; its result."""
    return add(function, *arguments, name=name).get_result(timeout=20)


SHADOWS: dict[str, Shadow] = {}


def shadow(name: str = "shadows") -> Shadow:
    """The client of an application."""
    if name not in SHADOWS:
        SHADOWS[name] = Shadow(name, URL)
    return SHADOWS[name]


def wait_until_running(execution: Execution) -> None:
    """Waits until a worker has begun it."""

    def running() -> bool:
        execution.sync()
        return execution.state.value == "running"

    wait_for(running, f"{execution.key} runs")
