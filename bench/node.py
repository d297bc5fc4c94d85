"""A real `shadowsd` for a benchmark, in a process of its own, spoken to as an operator does."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from shadows import Shadow

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.002


class Node:
    """One daemon."""

    def __init__(self, control: Path, process: subprocess.Popen[bytes]) -> None:
        self._control = control
        self.process = process

    async def ask(self, **command: Any) -> dict[str, Any]:
        """One command over the control socket."""
        reader, writer = await asyncio.open_unix_connection(self._control)
        try:
            writer.write(json.dumps(command).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await reader.readline())
        finally:
            writer.close()
        return answer

    async def workers(self) -> list[dict[str, Any]]:
        """The rows of its workers, without those of an older generation, which end."""
        rows: list[dict[str, Any]] = (await self.ask(command="status"))["slots"]
        newest = max([row["generation"] for row in rows], default=0)
        return [row for row in rows if row["generation"] == newest]

    async def ready(self) -> None:
        """Waits until it serves."""
        deadline = monotonic() + PATIENCE_SECONDS
        while monotonic() < deadline:
            try:
                if (await self.ask(command="status"))["ready"]:
                    return
            except OSError:
                pass
            await asyncio.sleep(LOOK_SECONDS)
        raise RuntimeError(f"The daemon was not ready within {PATIENCE_SECONDS:g} s; its own log stands above.")

    def cpu_seconds(self) -> float:
        """The processor time of the master alone."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def running(shadow: Shadow, url: str, directory: Path, workers: int, concurrency: int) -> AsyncIterator[Node]:
    """A daemon with the tasks of `daemon_tasks`, ready to serve; it is stopped at the end."""
    control = directory / f"{workers}.sock"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "shadowsd.commands.shadowsd", "run", "--tasks", "bench.daemon_tasks", "--workers",
            str(workers), "--concurrency", str(concurrency), "--control", str(control), "--logging-level", "error",
        ],
        cwd=ROOT,
        env=os.environ | {"SHADOWS_NAME": shadow.name, "SHADOWS_URL": url, "PWD": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        node = Node(control, process)
        await node.ready()
        yield node
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
