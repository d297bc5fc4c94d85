"""`shadows workers`: who works, and who knows a task."""

import json
from datetime import UTC, datetime
from pathlib import Path

from shadows.snapshot import WorkerInfo
from shadows.sync import Shadow
from tests.commands.commands import Daemon, Worker, output_of, run


def test_the_living_workers_are_listed_and_nobody_else(shadow: Shadow) -> None:
    with Worker("--name", "orders-1", "--concurrency", "3") as worker:
        worker.says("begins")
        header, row = output_of("workers", "ls").splitlines()
        (seen,) = json.loads(output_of("workers", "ls", "--json"))
        (found,) = json.loads(output_of("workers", "for-task", "trace", "--json"))
        nobody = run("workers", "for-task", "nothing")
        assert "orders-1" in output_of("snapshot")
        worker.process.terminate()
        assert worker.wait() == 0, worker.output
    assert header.split("\t")[0] == "Worker"
    assert row.split("\t")[0] == "orders-1"
    assert row.split("\t")[1] == "worker"
    assert row.split("\t")[7] == "0 of 3"
    assert (seen["name"], seen["pid"]) == ("orders-1", worker.pid)
    assert found["name"] == "orders-1"
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    assert nobody.stderr.startswith(f"No living worker of {shadow.name} knows 'nothing'.")


def test_a_worker_for_some_priorities_tells_which(shadow: Shadow) -> None:
    with Worker("--priorities", "low,high") as worker:
        worker.says("begins")
        (row,) = output_of("workers", "ls").splitlines()[1:]
        (seen,) = json.loads(output_of("workers", "ls", "--json"))
    assert row.split("\t")[1] == "worker: high, low"
    assert seen["priorities"] == ["high", "low"]


def test_without_workers_it_says_how_to_start_one(shadow: Shadow) -> None:
    result = run("workers", "ls")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Start one: shadows worker" in result.stderr
    assert output_of("workers", "ls", "--json") == "[]\n"


def test_the_workers_of_a_daemon_stand_below_their_master(tmp_path: Path, shadow: Shadow) -> None:
    """With two nodes and ten workers, a flat list of names says nothing about who died with whom."""
    with Daemon(tmp_path, "--workers", "2") as daemon, Worker("--name", "another") as worker:
        daemon.says("Ready")
        worker.says("begins")
        rows = [line.split("\t")[:5] for line in output_of("workers", "ls").splitlines()[1:]]
        seen = json.loads(output_of("workers", "ls", "--json"))
        assert rows == [
            ["another", "worker", "-", "-", "-"],
            ["node", "master", "node", "-", "1"],
            ["node-1", "child", "node", "1", "1"],
            ["node-2", "child", "node", "2", "1"],
        ]
        (master,) = [row for row in seen if row["kind"] == "master"]
        assert (master["pid"], master["node"]) == (daemon.pid, "node")
        assert master["version"]
        # Whoever asks the library for workers wants those that run tasks.
        assert [row.kind for row in shadow.workers()].count("child") == 2
        assert "master" not in {row.kind for row in shadow.workers()}


def test_a_worker_can_be_made_as_before_it_had_a_kind() -> None:
    """Programs of users have made these in their tests, by position."""
    now = datetime.now(UTC)
    info = WorkerInfo("orders-1", now, "host", 7, 10, 2, 99, ("greet",))
    assert (info.kind, info.node, info.slot, info.generation, info.version) == ("worker", "", 0, 0, "")
