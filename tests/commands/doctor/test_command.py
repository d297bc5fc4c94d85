"""`shadowsd doctor` itself: it looks before a start and beside a running daemon, and its exit code says the worst."""

import json
import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from shadows.keys import Keys
from shadows.sync import Shadow
from shadowsd.commands.shadowsd import main
from tests.commands.commands import Daemon, task_file

NOWHERE = "redis://127.0.0.1:1/0"


def doctor(directory: Path, *arguments: str) -> Result:
    """Looks at what a daemon of these tests is."""
    places = ["--app-dir", str(directory), "--control", str(directory / "control.sock")]
    return CliRunner().invoke(main, ["doctor", *places, *arguments])


def levels(result: Result) -> dict[str, str]:
    """How each check ended."""
    return {finding["check"]: finding["level"] for finding in json.loads(result.stdout)["findings"]}


def test_before_a_start_each_finding_is_a_line_and_warnings_are_no_failure(tmp_path: Path) -> None:
    result = doctor(tmp_path, "--tasks", task_file(tmp_path))
    assert result.exit_code == 0, result.output
    *lines, total = result.output.splitlines()
    assert {line.split()[0] for line in lines} <= {"OK", "WARN"}
    assert any(line.startswith("OK    control ") and "No daemon answers" in line for line in lines)
    assert total.startswith("0 failures, ")
    assert total.endswith(f" {len(lines)} checks.")


def test_beside_a_running_daemon_it_looks_at_that(tmp_path: Path) -> None:
    name = task_file(tmp_path)
    with Daemon(tmp_path, "--workers", "1", "--tasks", name) as daemon:
        daemon.says("Ready")
        result = doctor(tmp_path, "--tasks", name, "--json")
        found = {finding["check"]: finding["words"] for finding in json.loads(result.stdout)["findings"]}
        assert result.exit_code == 0, result.output
        assert found["control"] == f"The daemon with pid {daemon.pid} answers."
        assert found["daemon"] == "1 worker is wanted, and serves."
        assert found["nodes"] == "Masters that live: node."


def test_a_failure_is_exit_code_1_and_the_rest_is_looked_at_all_the_same(tmp_path: Path) -> None:
    """Who repairs one thing wants to know the others before the next try."""
    result = doctor(tmp_path, "--url", NOWHERE, "--tasks", task_file(tmp_path, "def greet(:\n"), "--json")
    assert result.exit_code == 1, result.output
    found = levels(result)
    assert (found["redis"], found["tasks"], found["open files"]) == ("FAIL", "FAIL", "OK")
    assert not json.loads(result.stdout)["ok"]


def test_settings_that_can_not_be_read_are_wrong_configuration(tmp_path: Path) -> None:
    assert doctor(tmp_path, "--workers", "0").exit_code == 78


def test_a_master_that_was_killed_is_a_stale_node(tmp_path: Path, shadow: Shadow) -> None:
    with Daemon(tmp_path, "--workers", "1") as daemon:
        daemon.says("Ready")
        daemon.kill()
    with Redis.from_url(os.environ["SHADOWS_URL"]) as redis:
        # What the end of its lease leaves behind; to wait for that takes ten seconds.
        redis.delete(Keys(shadow.name).leases)
    result = doctor(tmp_path, "--json")
    (nodes,) = [row for row in json.loads(result.stdout)["findings"] if row["check"] == "nodes"]
    assert nodes["level"] == "WARN"
    assert nodes["words"].startswith("Ended without signing off: node on ")


@pytest.mark.usefixtures("shadow")
def test_an_unusable_control_path_is_found(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--control", "/dev/null/control.sock", "--json"])
    assert levels(result)["control"] == "FAIL"
    long = str(tmp_path / ("x" * 120))
    assert levels(CliRunner().invoke(main, ["doctor", "--control", long, "--json"]))["control"] == "FAIL"


def test_a_port_in_use_is_found_before_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = doctor(tmp_path, "--metrics-port", str(port), "--healthcheck-port", "0", "--json")
    found = [row for row in json.loads(result.stdout)["findings"] if row["check"] == "ports"]
    assert [row["level"] for row in found] == ["OK", "FAIL"]
    assert f"--metrics-port 127.0.0.1:{port} can't be used: another program listens there." in found[1]["words"]
    assert "Choose another port" in found[1]["remedy"]
