"""The tasks of the application that the unit under test runs; each release is a copy of this file."""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

import psutil

from shadows import CurrentExecution, Execution

__all__ = ["ordinary", "version", "watched", "work"]

VERSION = 1

# Imports take their time: a service that was ready before them would be seen.
time.sleep(0.5)


async def version() -> int:
    """Which release runs it."""
    return VERSION


async def work(seconds: float) -> str:
    """Takes a while; its answer."""
    await asyncio.sleep(seconds)
    return "done"


async def watched(seconds: float, execution: Execution = CurrentExecution()) -> bool:
    """Takes a while; whether it was handed to a worker before."""
    await asyncio.sleep(seconds)
    return execution.redelivered


def ordinary(port: int) -> dict[str, object]:
    """What ordinary tasks do: write a file, speak TCP, start a program, look at the machine."""
    state = Path(os.environ["STATE_DIRECTORY"])
    (state / "written").write_text("by a task")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connected = connection.getpeername()[1]
    listed = subprocess.run(["ls", str(state)], capture_output=True, text=True, check=True)
    return {
        "written": listed.stdout.split(),
        "connected": connected,
        "memory": psutil.virtual_memory().total > 0,
        "processes": len(psutil.Process().parents()) > 0,
        "user": os.geteuid(),
        "no_new_privileges": "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(),
    }
