"""A Ctrl-C that lands in the middle of a task's code is for the process, and no outcome of the task."""

import asyncio
import subprocess
import sys

import pytest

from shadows import ExecutionState, Shadow
from tests.processes import SOURCES

WORKER = """
import asyncio, signal, sys
from shadows import Shadow, Worker

async def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)  # asyncio cancels the main task
    signal.raise_signal(signal.SIGINT)  # and then raises KeyboardInterrupt, here

async def main() -> None:
    async with Shadow(sys.argv[1], sys.argv[2]) as shadow:
        shadow.register(interrupted)
        async with Worker(shadow) as worker:
            await worker.run_forever()

asyncio.run(main())
"""


async def interrupted() -> None: ...


@pytest.mark.xfail(strict=False, reason="once in many runs on a busy machine the process does not end by itself")
async def test_a_task_that_ctrl_c_hits_is_handed_back(shadows: Shadow, shadows_url: str) -> None:
    execution = await shadows.add(interrupted)()
    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", WORKER, shadows.name, shadows_url],
        check=False,
        env={"PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stderr.rstrip().endswith("KeyboardInterrupt")
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
