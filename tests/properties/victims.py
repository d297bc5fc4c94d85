"""Workers to be killed: one process imports everything, and forks a worker in some milliseconds when it is asked to.

Run as a script it is that process: each line of its input names a shadow, a URL and a worker; it answers with a pid.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from shadows import Shadow, Worker
from tests.processes import ROOT, SOURCES
from tests.properties import model_tasks
from tests.waiting import wait_for


class Victims:
    """Starts them and kills them."""

    def __init__(self) -> None:
        self._forker = subprocess.Popen(
            [sys.executable, "-W", "error", str(ROOT / "tests" / "properties" / "victims.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True,
            env=os.environ | {"PYTHONPATH": SOURCES},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._forker.pid, signal.SIGKILL)
        self._forker.communicate()

    def start(self, shadow: Shadow, name: str, concurrency: int) -> int:
        """A worker whose tasks never end; its process."""
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        self._forker.stdin.write(json.dumps([shadow.name, shadow.settings.url, name, concurrency]) + "\n")
        return int(self._forker.stdout.readline())

    def kill(self, pid: int) -> None:
        """`kill -9`, and wait until nothing of it is left; its parent ignores its end, so the kernel removes it."""
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), f"process {pid} is gone")


async def work(shadow_name: str, url: str, name: str, concurrency: int) -> None:
    model_tasks.GATE.close()
    async with Shadow(shadow_name, url) as shadow:
        for task in model_tasks.TASKS.values():
            shadow.register(task)
        async with Worker(shadow, name=name, concurrency=concurrency) as worker:
            await worker.run_forever()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(*json.loads(line)))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
