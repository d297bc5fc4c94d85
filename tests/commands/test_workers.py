"""`shadows workers`: who works, and who knows a task."""

import json

from shadows.sync import Shadow
from tests.commands.commands import Worker, output_of, run


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
    assert row.split("\t")[3] == "0 of 3"
    assert (seen["name"], seen["pid"]) == ("orders-1", worker.pid)
    assert found["name"] == "orders-1"
    assert (nobody.exit_code, nobody.stdout) == (0, "")
    assert nobody.stderr.startswith(f"No living worker of {shadow.name} knows 'nothing'.")


def test_without_workers_it_says_how_to_start_one(shadow: Shadow) -> None:
    result = run("workers", "ls")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Start one: shadows worker" in result.stderr
    assert output_of("workers", "ls", "--json") == "[]\n"
