"""The benchmarks still run, each as its command does; their figures are for quiet machines and people."""

from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS, main
from bench.report import Row, Target
from bench.sent import command_names

TINY = ["--tasks", "10", "--rounds", "1", "--seconds", "0.2"]

FIGURES = {
    "enqueue": ["one at a time, adds/s", "32 in flight, adds/s", "bulk, adds/s"],
    "drain": ["drain of no-ops, tasks/s"],
    "latency": ["add to start, p50, ms", "add to start, p99, ms"],
    "lateness": ["due to start, p50, ms", "due to start, p99, ms"],
    "cost": ["Redis CPU, us per task", "round trips per task", "commands per task"],
    "idle": ["commands a second"],
    "memory": ["PSS of one worker process, MB"],
    "daemon": [
        "1 ms tasks a second",
        "killed, its 32 tasks run again, ms",
        "a worker is forked, ms",
        "4 workers reloaded, s",
        "master when idle",
        "PSS of a worker, MB",
    ],
    "dependencies": ["three nested Depends, us per task"],
    "limits": ["no-ops at a limit of 1, tasks/s"],
    "flat": ["add, 32 in flight, adds/s", "drain, tasks/s"],
}


def test_every_benchmark_has_its_figures_here() -> None:
    assert set(FIGURES) == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_reports_all_its_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A missed target is no failure unless `--check` asks for one, and a load average stands beside it."""
    assert main([name, *TINY]) == 0
    said = capsys.readouterr().out.splitlines()
    for figure in FIGURES[name]:
        assert [line for line in said if line.startswith(figure)], f"{figure!r} is not in {said}"
    assert sum("load average" in line for line in said) == 2


def test_check_fails_when_a_target_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """One task can't share its round trips with others, so it needs more than a tenth of one."""
    assert main(["cost", "--tasks", "1", "--rounds", "1", "--check"]) == 1
    assert "Missed: cost: " in capsys.readouterr().out


def test_a_server_program_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["drain", "--redis", "no-such-server"])
    assert "there is no file no-such-server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "reached", "missed"),
    [
        (Target("ratio", 0.65, at_least=True), [65, 66, 1], [64, 66, 1]),
        (Target("ratio", 2.0), [200, 300, 1], [201, 300, 1]),
        (Target("median", 50.0), [50, 90, 1], [51, 90, 1]),
        (Target("difference", 15.0), [115, 200, 1], [116, 200, 1]),
    ],
)
def test_a_target_judges_medians(target: Target, reached: list[float], missed: list[float]) -> None:
    """One bad round on a noisy machine decides nothing."""
    reference = [1.0, 100.0, 1000.0]
    assert not Row("", reference, reached, target).missed
    assert Row("", reference, missed, target).missed


def test_a_ratio_to_nothing_is_missed() -> None:
    assert Row("", [0.0], [1.0], Target("ratio", 0.65, at_least=True)).missed


def test_each_command_of_a_pipeline_is_counted() -> None:
    """Lengths are read, not searched for: a payload may look like a command."""
    packed = b"*2\r\n$3\r\nGET\r\n$8\r\n*1\r\n$4\r\n\r\n*1\r\n$4\r\nping\r\n"
    assert list(command_names(packed)) == ["GET", "PING"]


def test_no_file_of_the_benchmarks_is_longer_than_300_lines() -> None:
    folder = Path(__file__).parents[2] / "bench"
    lengths = {path.name: len(path.read_text().splitlines()) for path in folder.glob("*.py")}
    assert max(lengths.values()) <= 300, lengths
