"""The daemon of the demo: a real `shadowsd` in a process of its own, whose log the demo reads."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from shadowsd.commands.calling import call

TASKS = "shadowsd.commands.demo.tasks"
WORKERS = 2
# How long a drain, and then the end of a daemon that was told to stop, may take before it is killed.
DRAIN_SECONDS = 5
END_SECONDS = 10.0
# How its log says that all workers serve: heard there, so that the story is told in its order.
READY = "Ready:"
KEPT_LINES = 30
# A line of the log may hold a whole traceback.
LONGEST_LINE = 1 << 20

type Record = dict[str, Any]


class Daemon:
    """Starts, hears, asks and stops it."""

    def __init__(self, directory: Path, name: str, url: str, heard: Callable[[Record], None]) -> None:
        self._directory = directory
        self._name = name
        self._url = url
        self._heard = heard
        self._control = directory / "control.sock"
        self._hearing: asyncio.Task[None] | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.serves = asyncio.Event()
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)

    @property
    def command(self) -> list[str]:
        """The command line, as anybody would write it."""
        return [
            "run", "--workers", str(WORKERS), "--tasks", TASKS, "--name", self._name,
            "--drain-timeout", str(DRAIN_SECONDS), "--app-dir", str(self._directory), "--control", str(self._control),
            "--logging-format", "json",
        ]  # fmt: skip

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "shadowsd.commands.shadowsd", *self.command,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env=self._environment(), cwd=self._directory, limit=LONGEST_LINE,
            # A Ctrl-C is for the demo, which stops its daemon in order.
            start_new_session=True,
        )  # fmt: skip
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, error: object, *_: object) -> None:
        assert self.process is not None
        assert self._hearing is not None
        with contextlib.suppress(ProcessLookupError):
            # Who gives up half-way does not wait for tasks that wait for others.
            self.process.send_signal(signal.SIGQUIT if error else signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()  # its children go with it
            await self.process.wait()
        await self._hearing

    def _environment(self) -> dict[str, str]:
        """The demo's own daemon is configured by nothing that was set for another."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHADOWS_", "SHADOWSD_"))}
        secret = {"SHADOWS_SECRET": os.environ["SHADOWS_SECRET"]} if "SHADOWS_SECRET" in os.environ else {}
        return kept | secret | {"SHADOWS_URL": self._url, "SHADOWS_NAME": self._name}

    async def _hear(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            self.last_lines.append(text)
            try:
                record = json.loads(text)
            except ValueError:
                continue  # not a record: what an interpreter prints as it dies
            if isinstance(record, dict):
                self._heard(record)
                if str(record.get("message")).startswith(READY):
                    self.serves.set()

    async def ask(self, command: str, **values: Any) -> Any:
        """One command over the control socket, as `shadowsd status` and its kin send them."""
        return await asyncio.to_thread(call, self._control, None, {"command": command, **values}, None)

    async def ready(self) -> list[Record]:
        """The workers that take tasks now."""
        rows = (await self.ask("status"))["slots"]
        return [row for row in rows if row["state"] == "ready" and not row["suspect"]]
