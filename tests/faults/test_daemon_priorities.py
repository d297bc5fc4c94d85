"""`--priorities` of the daemon, with forked workers and with executed ones."""

from pathlib import Path

import pytest

from shadows import ExecutionState, Shadow
from tests.daemon import Daemon

TASKS = """
async def say(what: str) -> None:
    print("said", what)
"""


@pytest.mark.parametrize("spawn", ["fork", "exec"])
async def test_the_workers_of_a_daemon_serve_what_it_is_told(tmp_path: Path, brief: Shadow, spawn: str) -> None:
    """And leave the rest to others."""
    (tmp_path / "work.py").write_text(TASKS)
    with Daemon(tmp_path, brief, spawn=spawn, tasks="work", priorities="low") as daemon:
        daemon.wait_ready()
        high = await brief.add("say", priority="high")("high")
        low = await brief.add("say", priority="low")("low")
        await low.get_result(timeout=10)
        await high.sync()
        assert high.state is ExecutionState.QUEUED
        assert daemon.stop() == 0
    with Daemon(tmp_path, brief, spawn=spawn, tasks="work", priorities="high,normal") as daemon:
        await high.get_result(timeout=10)
        assert daemon.stop() == 0
