"""A real `shadowsd` for tests: executed, with task files of its own, and spoken to over its control socket."""

import contextlib
import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

from shadows import Shadow
from tests.processes import Process
from tests.waiting import PATIENCE_SECONDS, wait_for

# Their sockets' paths must stay short, which those of pytest's directories do not.
TASKS = "from tests.recorded import TASKS as RECORDED\nfrom tests.hazards import TASKS as HAZARDS\n\nALL = [*RECORDED, *HAZARDS]\n"  # noqa: E501
BRIEF = {
    "workers": "2", "logging-format": "plain", "tasks": "work:ALL", "heartbeat-interval": "60ms",
    "missed-heartbeats": "8", "reconnection-delay": "100ms", "drain-timeout": "5s", "boot-timeout": "30s",
    "hang-timeout": "60s",
}  # fmt: skip


class Daemon(Process):
    """One master and all its processes; leaving the block kills every one of them. An option of None is not given."""

    def __init__(
        self,
        directory: Path,
        shadow: Shadow,
        *flags: str,
        url: str | None = None,
        prefix: tuple[str, ...] = (),
        **options: str | None,
    ) -> None:
        self.directory = directory
        self.control = directory / "s"
        work = directory / "work.py"
        if not work.exists():
            work.write_text(TASKS)
        chosen = BRIEF | {
            "app-dir": str(directory), "control": str(self.control), "name": "node", "shadows": shadow.name,
            "url": url or shadow.settings.url,
        } | {name.replace("_", "-"): value for name, value in options.items()}  # fmt: skip
        super().__init__(
            *("-m", "shadowsd.commands.shadowsd", "run", *flags),
            *(part for name, value in chosen.items() if value is not None for part in (f"--{name}", value)),
            prefix=prefix,
        )

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            print(self.output[-20000:])
        super().__exit__(*error)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """One command on the control socket, and its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.control))
            connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
            return answer

    @property
    def status(self) -> dict[str, Any]:
        """What `shadowsd status --json` shows; empty while nobody answers."""
        try:
            return self.ask("status")
        except OSError:
            return {}

    @property
    def ready(self) -> bool:
        return bool(self.status.get("ready"))

    def wait_ready(self, seconds: float = 30) -> "Daemon":
        """Until it says so, or ends."""
        wait_for(lambda: self.ready or self.process.poll() is not None, "the daemon is ready", seconds)
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
        return self

    def slots(self, **wanted: Any) -> list[dict[str, Any]]:
        """The rows of its workers that are as wanted."""
        rows = self.status.get("slots", [])
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    def serving(self, **wanted: Any) -> dict[int, int]:
        """Slot and pid of each worker that takes tasks."""
        return {row["slot"]: row["pid"] for row in self.slots(state="ready", suspect=False, **wanted)}

    def wait_serving(self, workers: int, seconds: float = PATIENCE_SECONDS, **wanted: Any) -> dict[int, int]:
        """Until so many serve."""

        def enough() -> dict[int, int] | None:
            found = self.serving(**wanted)
            return found if len(found) == workers else None

        return wait_for(enough, f"{workers} workers serve ({wanted})", seconds) or {}

    def endings(self, slot: int) -> list[dict[str, Any]]:
        """How the workers of a slot ended, newest first."""
        endings: list[dict[str, Any]] = self.ask("status", slot=slot).get("endings", [])
        return endings

    @property
    def pids(self) -> set[int]:
        """The master, its zygotes and its workers, as the kernel knows them; zombies are none."""
        return {self.pid, *living_children(self.pid)}

    @property
    def zygotes(self) -> set[int]:
        """Those of its processes that fork the others."""
        return {pid for pid in self.pids if "zygote" in command_line(pid)}

    def wait_logged(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Until a line of its log matches; that line."""
        wait_for(lambda: re.search(pattern, self.output), f"the log has {pattern!r}:\n{self.output[-4000:]}", seconds)
        found = re.search(pattern, self.output)
        assert found is not None
        return found[0]

    def logged(self, pattern: str) -> int:
        """How often the log has it."""
        return len(re.findall(pattern, self.output))

    def stop(self, seconds: float = 15) -> int:
        """TERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)


def living_children(pid: int) -> set[int]:
    """The processes below one."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                if lives(child):
                    found |= {child, *living_children(child)}
    return found


def lives(pid: int) -> bool:
    """Whether a process runs: a zombie does not, though its number is taken."""
    return state_of(pid) not in ("", "Z", "X")


def state_of(pid: int) -> str:
    """The letter of its state in /proc; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def command_line(pid: int) -> str:
    """What `ps` shows of it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signals a process that must be there."""
    os.kill(pid, number)
