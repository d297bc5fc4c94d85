"""The commands that tell a running daemon what to do say how it went, and are not fooled by what they can't know."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shadows.sync import Shadow
from shadowsd.commands.shadowsd import main
from tests.commands.commands import Daemon, task_file
from tests.commands.masters import master_that_says
from tests.waiting import wait_for


def run(control: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--control", str(control)])


def test_a_number_of_workers_out_of_bounds_is_said_to_be(tmp_path: Path, shadow: Shadow) -> None:
    with Daemon(tmp_path, "--workers", "1") as daemon:
        daemon.says("Ready")
        assert run(daemon.control, "scale", "2").output == "2 workers from now on.\n"
        assert run(daemon.control, "scale", "0").output == "1 worker from now on: 0 is out of bounds.\n"
        assert run(daemon.control, "stop").output == "Stopped.\n"
        assert daemon.wait() == 0, daemon.output


def test_a_reload_with_settings_that_can_not_be_read_fails_and_tells_which(tmp_path: Path, shadow: Shadow) -> None:
    """The file is read again at each reload."""
    file = tmp_path / "shadowsd.toml"
    file.write_text("workers = 1\n")
    with Daemon(tmp_path, "--config", file, "--tasks", task_file(tmp_path)) as daemon:
        daemon.says("Ready")
        file.write_text("worker = 1\n")
        failed = run(daemon.control, "reload", "--wait")
        assert failed.exit_code == 1
        assert failed.output.startswith("Error: The reload failed, and the old code serves on: ")
        assert f"--config {file}: there is no setting 'worker'. Did you mean 'workers'?" in failed.output
        file.write_text("workers = 1\n")
        assert run(daemon.control, "reload").output == "The reload begins; --wait tells how it ends.\n"
        assert run(daemon.control, "reload", "--wait").output.startswith("Reloaded: ")
        assert run(daemon.control, "stop").output == "Stopped.\n"
        assert daemon.wait() == 0, daemon.output


def test_a_stop_that_takes_too_long_is_no_success_and_another_one_at_once_is(
    tmp_path: Path, shadow: Shadow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shadowsd.commands.ruling.STOP_SECONDS", 0.2)
    with Daemon(tmp_path, "--workers", "1", "--tasks", task_file(tmp_path)) as daemon:
        daemon.says("Ready")
        shadow.add("waits_for")(str(tmp_path / "gate"))
        daemon.says("it waits")
        late = run(daemon.control, "stop")
        assert (late.exit_code, late.output) == (
            1, f"Error: The daemon (pid {daemon.pid}) is still ending after 0.2 s; see `shadowsd status`.\n"
        )  # fmt: skip
        monkeypatch.setattr("shadowsd.commands.ruling.STOP_SECONDS", 10.0)
        assert run(daemon.control, "stop", "--at-once").output == "Stopped.\n"
        assert daemon.wait() == 0, daemon.output


def test_a_daemon_that_ended_before_it_could_be_looked_at_has_stopped(tmp_path: Path) -> None:
    """Nothing was said then, as if nothing had happened."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with master_that_says(tmp_path, f'{{"ok": true, "pid": {gone.pid}}}\n'.encode()) as path:
        stopped = run(path, "stop")
    assert (stopped.exit_code, stopped.output) == (0, "Stopped.\n")


def test_a_reload_changes_what_the_master_logs_and_how(tmp_path: Path, shadow: Shadow) -> None:
    """Only its new workers followed: for a look at the master's own debug lines it had to be restarted."""
    file = tmp_path / "shadowsd.toml"
    file.write_text('workers = 1\nlogging-level = "warning"\nlogging-format = "plain"\n')
    arguments = ("--config", file, "--tasks", task_file(tmp_path))
    with Daemon(tmp_path, *arguments, SHADOWS_WORKER_LOGGING_FORMAT="") as daemon:
        wait_for(lambda: "ready" in run(daemon.control, "status").output, "its worker serves")
        assert "INFO" not in daemon.output
        file.write_text('workers = 1\nlogging-level = "info"\nlogging-format = "json"\n')
        assert run(daemon.control, "reload", "--wait").output.startswith("Reloaded: ")
        daemon.says("Reloaded: ")
        first, *_ = [json.loads(line) for line in daemon.lines]
        assert (first["logger"], first["level"]) == ("shadowsd", "INFO")
        assert first["message"].startswith("Reloading: ")
