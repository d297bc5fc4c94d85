"""Workers in processes of their own, from the side that started them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .child import READY

# A start takes half a second; whoever is silent for so long is not coming.
PATIENCE_SECONDS = 60.0

# All samples come on one line.
LONGEST_LINE = 1 << 26


class WorkerProcess:
    """One started `bench.bare_worker` or `bench.shadows_worker`."""

    def __init__(self, module: str, process: asyncio.subprocess.Process) -> None:
        self._module = module
        self._process = process

    async def samples(self, seconds: float = 0.0) -> list[float]:
        """What its tasks noted, in ms, once all have run; the tasks themselves may take so many seconds."""
        samples: list[float] = json.loads(await self.line(seconds))
        return samples

    async def line(self, seconds: float = 0.0) -> str:
        """The next line that it prints."""
        assert self._process.stdout, "its output is a pipe"
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self._module} ended with {await self._process.wait()} before it had run its tasks; expected its "
                "samples. Its own message stands above."
            )
        return line.decode().strip()

    def tell(self, line: str) -> None:
        """Writes a line to its input."""
        assert self._process.stdin, "its input is a pipe"
        self._process.stdin.write(f"{line}\n".encode())

    def pss(self) -> float:
        """Its memory in MB; what it shares with other processes counts in parts."""
        return pss(self._process.pid)

    async def end(self) -> None:
        """Lets it go, and waits for it."""
        assert self._process.stdin, "its input is a pipe"
        self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


@asynccontextmanager
async def started(module: str, url: str, count: int, clock: str) -> AsyncIterator[WorkerProcess]:
    """A worker that is ready for `count` tasks."""
    # It finds the same packages as this process, installed or not.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"bench.{module}", url, str(count), clock,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, limit=LONGEST_LINE,
    )  # fmt: skip
    worker = WorkerProcess(module, process)
    try:
        said = await worker.line()
        assert said == READY, f"{module} said {said!r}"
        yield worker
    finally:
        await worker.end()


def pss(pid: int) -> float:
    """A process's memory in MB; what it shares with others counts in parts."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1000
