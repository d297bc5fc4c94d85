"""`--fallback-task` of the daemon, with forked workers and with executed ones."""

from pathlib import Path

import pytest

from shadows import Shadow
from tests.daemon import Daemon

WORK = """
from shadows import CurrentExecution, Execution


async def note(*args, execution: Execution = CurrentExecution(), **kwargs) -> list:
    return [execution.function_name, list(args), kwargs]


async def known() -> None: ...


ALL = [known]
"""


@pytest.mark.parametrize("spawn", ["fork", "exec"])
async def test_the_workers_run_what_they_do_not_know(tmp_path: Path, brief: Shadow, spawn: str) -> None:
    (tmp_path / "work.py").write_text(WORK)
    with Daemon(tmp_path, brief, spawn=spawn, fallback_task="work:note") as daemon:
        daemon.wait_ready()
        execution = await brief.add("retired")(1, name="x")
        assert await execution.get_result(timeout=10) == ["retired", [1], {"name": "x"}]
        assert daemon.stop() == 0


async def test_one_that_can_not_be_used_keeps_the_daemon_from_starting(tmp_path: Path, brief: Shadow) -> None:
    """As a module of tasks that can't be imported does."""
    (tmp_path / "work.py").write_text(WORK)
    with Daemon(tmp_path, brief, fallback_task="work:known") as daemon:
        assert daemon.wait() == 78
        assert "fallback_task is known(); expected a function" in " ".join(daemon.output.split())
