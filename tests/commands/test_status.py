"""`shadowsd status` tells a person what the daemon does, and how the workers of one slot ended."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from shadows.sync import Shadow
from shadowsd.commands.calling import call
from shadowsd.commands.shadowsd import main
from shadowsd.commands.status import show_node
from tests.commands.commands import Daemon, task_file
from tests.waiting import wait_for

# A key that would paint the rest of the terminal red.
KEY = "order \x1b[31m5"
SHOWN = r"order \x1b[31m5"


def status(daemon: Daemon, *arguments: str) -> str:
    """What it prints; nothing as long as it fails."""
    result = CliRunner().invoke(main, ["status", "--control", str(daemon.control), *arguments])
    return result.output if result.exit_code == 0 else ""


def answer(daemon: Daemon) -> dict[str, Any]:
    """What the master answers."""
    said: dict[str, Any] = call(daemon.control, None, {"command": "status", "slot": None})
    return said


def test_it_shows_the_node_each_worker_and_what_has_run_longest(tmp_path: Path, shadow: Shadow) -> None:
    with Daemon(tmp_path, "--workers", "2", "--tasks", task_file(tmp_path)) as daemon:
        daemon.says("Ready")
        shadow.add("waits_for", key=KEY)(str(tmp_path / "gate"))
        daemon.says("it waits")
        shown = wait_for(lambda: said if "1 of 10" in (said := status(daemon)) else "", "the task is counted")
        first, columns, *rows = shown.splitlines()
        assert first.startswith(f"node serves '{shadow.name}' at {shadow.url} (pid {daemon.pid}, ")
        assert first.endswith("): ready")
        assert columns.split("\t")[:5] == ["Slot", "PID", "State", "Gen", "Busy"]
        assert {row.split("\t")[4] for row in rows} == {"0 of 10", "1 of 10"}
        assert any(f"waits_for {SHOWN} for " in row for row in rows)
        (tmp_path / "gate").touch()
        daemon.process.terminate()
        assert daemon.wait() == 0, daemon.output


def test_a_slot_shows_what_it_runs_and_how_its_workers_ended(tmp_path: Path, shadow: Shadow) -> None:
    with Daemon(tmp_path, "--workers", "1", "--tasks", task_file(tmp_path)) as daemon:
        daemon.says("Ready")
        execution = shadow.add("waits_for", key=KEY)(str(tmp_path / "gate"))
        running = f"waits_for\t{SHOWN}\t"
        shown = wait_for(lambda: said if running in (said := status(daemon, "1")) else "", "the task is shown")
        assert "Task\tKey\tFor" in shown
        # At this signal a worker writes its stacks, and ends.
        os.kill(answer(daemon)["slots"][0]["pid"], signal.SIGABRT)
        shown = wait_for(lambda: said if "killed by" in (said := status(daemon, "1")) else "", "the end is shown")
        assert "of generation 1 killed by SIGABRT, after " in shown
        assert f"  in flight: waits_for({SHOWN})\n" in shown
        assert re.search(r"\n  .*thread 0x.* \(most recent call first\):\n    File", shown)
        missing = CliRunner().invoke(main, ["status", "--control", str(daemon.control), "7"])
        assert (missing.exit_code, missing.output) == (1, "Error: there is no slot 7; the only one is 1\n")
        (tmp_path / "gate").touch()
        assert execution.get_result() == "it came"
        daemon.process.terminate()
        assert daemon.wait() == 0, daemon.output


def test_a_worker_that_is_silent_is_said_to_be(tmp_path: Path, shadow: Shadow) -> None:
    with Daemon(tmp_path, "--workers", "1") as daemon:
        daemon.says("Ready")
        pid = answer(daemon)["slots"][0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        shown = wait_for(lambda: said if "silent" in (said := status(daemon)) else "", "its silence is shown")
        assert re.search(r"\tready, silent for [1-9] s: it was stopped by a signal\t", shown)
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: "silent" not in status(daemon), "it is heard again")
        daemon.process.terminate()
        assert daemon.wait() == 0, daemon.output


def test_a_reload_is_shown_while_it_lasts_and_when_it_failed(tmp_path: Path) -> None:
    name, gate = task_file(tmp_path), tmp_path / "gate"
    with Daemon(tmp_path, "--workers", "1", "--tasks", name) as daemon:
        daemon.says("Ready")
        task_file(
            tmp_path,
            f"import os, time\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.01)\nraise OSError\n",
        )
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Reloading to generation 2." in status(daemon), "the reload is shown")
        gate.touch()
        shown = wait_for(lambda: said if "Reloading" not in (said := status(daemon)) else "", "the reload is over")
        assert "The last reload failed: " in shown
        assert "raised OSError" in shown
        daemon.process.terminate()
        assert daemon.wait() == 0, daemon.output


@pytest.mark.parametrize(("suspects", "words"), [(0, None), (1, "1 suspect waits"), (2, "2 suspects wait")])
def test_suspects_are_counted(capsys: pytest.CaptureFixture[str], suspects: int, words: str | None) -> None:
    """By values: a real one is run by the next worker at once."""
    node = {
        "ready": False, "reasons": ["it is stopping", "no worker serves"], "pid": 5, "version": "0.2.0", "node": "node",
        "shadow": "orders", "url": "redis://there", "reloading_to": None, "last_reload": {"ok": True, "words": "done"},
        "suspects": suspects, "slots": [],
    }  # fmt: skip
    show_node(node)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.endswith("(pid 5, 0.2.0): NOT READY: it is stopping; no worker serves")
    assert [line for line in others if "suspect" in line] == ([f"{words} to run alone."] if words else [])
