"""The tasks of the daemon's benchmark: what its processes import."""

import asyncio
import os
import time
from pathlib import Path

__all__ = ["compute", "hold"]

COMPUTE_SECONDS = 0.001


async def compute() -> None:
    """About a millisecond of processor time, in Python, on the loop."""
    until = time.process_time() + COMPUTE_SECONDS
    while time.process_time() < until:
        pass


async def hold(journal: str, seconds: float) -> None:
    """Notes that it began, and lasts."""
    with Path(journal).open("a") as file:
        file.write(f"{os.getpid()} {time.monotonic()}\n")
    await asyncio.sleep(seconds)
