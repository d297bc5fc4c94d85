"""Workers for some priorities only, from the command line."""

import re
from pathlib import Path

import pytest

from shadows.sync import Shadow
from tests.commands.commands import Worker, task_file

TASKS = """
async def say(what: str) -> None:
    assert what
"""


def add_all(shadow: Shadow) -> None:
    shadow.add("say", key="low", priority="low")("low")
    shadow.add("say", key="normal")("normal")
    shadow.add("say", key="high", priority="high")("high")


def started(worker: Worker) -> list[str]:
    return re.findall(r"say with key '(\w+)' started", worker.output)


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        ([], {}, ["high", "normal", "low"]),
        (["--priorities", "low"], {}, ["low"]),
        (["--priorities", "low, high"], {}, ["high", "low"]),
        ([], {"SHADOWS_WORKER_PRIORITIES": "normal,low"}, ["normal", "low"]),
    ],
)
def test_a_worker_runs_those_that_it_serves(
    shadow: Shadow, tmp_path: Path, options: list[str], variables: dict[str, str], expected: list[str]
) -> None:
    add_all(shadow)
    module = task_file(tmp_path, TASKS)
    common = ["--app-dir", str(tmp_path), "--tasks", module, "--concurrency", "1", "--until-finished"]
    with Worker(*common, *options, **variables) as worker:
        assert worker.wait() == 0, worker.output
    assert started(worker) == expected


@pytest.mark.parametrize("wrong", ["urgent", "high,urgent", ","])
def test_what_is_no_priority_is_refused(wrong: str) -> None:
    with Worker("--priorities", wrong) as worker:
        assert worker.wait() == 78
    assert f"{wrong!r}; expected some of high, normal and low, parted by commas." in worker.output
