"""A process that runs workers and gives them Ctrl-C at chosen moments; each has a copy of the process to itself.

It is told where Redis is and, for each worker, a shadow and a `Moment`. For each it prints the shadow with `missed`
when the moment did not come, with `stuck` when the worker did not end by itself, or with `ended`.
"""

import asyncio
import json
import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import CodeType

from shadows import Depends, Execution, Retry, Shadow, Shared, Worker

TOOL = 4
SCOPES = ("/shadowsd/engine/", "/shadows/connection.py", "/asyncio/")
# Of these Python itself swallows what they raise, and asyncio's handler is what raises.
DEAF = ("__del__", "_on_sigint")
MOMENT_SECONDS = 3.0
END_SECONDS = 20.0
TURN_SECONDS = 0.002


@dataclass(frozen=True)
class Moment:
    """Just before the `count`-th time that a line with `text` is run in `function` of `file`; empty is any."""

    file: str
    function: str
    text: str
    count: int = 1
    before: int = 1
    """How many Ctrl-C came already when the counting begins: with none, the first two come at this moment."""

    def is_in(self, code: CodeType) -> bool:
        file, function = code.co_filename, code.co_qualname
        if self.file:
            return file.endswith(f"/{self.file}") and function == self.function
        return any(scope in file for scope in SCOPES) and code.co_name not in DEAF


@dataclass
class Watch:
    """Waits for the moment in the main thread, and presses Ctrl-C."""

    moment: Moment
    seen: int = 0
    armed: bool = False
    main: int = field(default_factory=threading.get_ident)

    def arm(self) -> None:
        self.armed = True
        events = sys.monitoring.events
        sys.monitoring.use_tool_id(TOOL, "interrupts")
        sys.monitoring.register_callback(TOOL, events.LINE, self.line)
        sys.monitoring.set_events(TOOL, events.LINE)

    def line(self, code: CodeType, number: int) -> object:
        if not self.moment.is_in(code) or self.moment.text not in linecache.getline(code.co_filename, number):
            return sys.monitoring.DISABLE
        if threading.get_ident() == self.main:
            self.seen += 1
            if self.seen == self.moment.count:
                sys.monitoring.set_events(TOOL, 0)
                for _ in range(max(1, 2 - self.moment.before)):
                    signal.raise_signal(signal.SIGINT)
        return None


@dataclass
class Begun:
    """Who is running, in the process that is interrupted; elsewhere tasks have nothing to wait for."""

    labels: set[str] = field(default_factory=set)
    watch: Watch | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, label: str) -> bool:
        if self.watch is None or self.loop is None:
            return False
        self.labels.add(label)
        if self.labels == set(LABELS):
            self.loop.call_soon_threadsafe(self.all, self.watch)
        return True

    def all(self, watch: Watch) -> None:
        if watch.moment.before > 0:
            signal.raise_signal(signal.SIGINT)
        if watch.moment.before == 1:
            watch.arm()
        elif watch.moment.before == 2:
            asyncio.get_running_loop().call_later(TURN_SECONDS, self.second, watch)

    def second(self, watch: Watch) -> None:
        watch.arm()
        signal.raise_signal(signal.SIGINT)


begun = Begun()


async def make() -> str:
    return "shared"


@asynccontextmanager
async def opened() -> AsyncIterator[str]:
    yield "opened"
    await asyncio.sleep(0)


async def hold(label: str) -> str:
    if begun(label):
        await asyncio.Event().wait()
    return label


async def hold_with(
    label: str, shared: str = Shared(make), inner: str = Depends(opened), retry: Retry = Retry(attempts=3)
) -> str:
    return await hold(label)


def hold_thread(label: str) -> str:
    if begun(label):
        time.sleep(1000)
    return label


async def brief(label: str) -> str:
    if begun(label):
        for _ in range(int(label[-1])):
            await asyncio.sleep(TURN_SECONDS)
    return label


async def brief_with(label: str, inner: str = Depends(opened)) -> str:
    return await brief(label)


TASKS = (hold, hold_with, hold_thread, brief, brief_with)
LABELS = {
    "hold1": hold, "hold2": hold, "hold_with1": hold_with, "hold_with2": hold_with, "thread": hold_thread,
    "brief1": brief, "brief2": brief, "brief3": brief, "brief_with1": brief_with, "brief_with2": brief_with,
}  # fmt: skip


async def add_all(shadow: Shadow) -> list[Execution]:
    """One task for each label, under it as its key."""
    return [await shadow.add(task, key=label)(label) for label, task in LABELS.items()]


async def work(name: str, url: str) -> None:
    watch = begun.watch
    assert watch is not None
    begun.loop = asyncio.get_running_loop()
    threading.Thread(target=end_anyway, args=(name, watch), daemon=True).start()
    async with Shadow(name, url) as shadow:
        for task in TASKS:
            shadow.register(task)
        async with Worker(shadow, concurrency=2 * len(LABELS)) as worker:
            if watch.moment.before == 0:
                watch.arm()
            await worker.run_forever()


def end_anyway(name: str, watch: Watch) -> None:
    """Presses Ctrl-C when the moment does not come."""
    time.sleep(MOMENT_SECONDS)
    while watch.seen < watch.moment.count:
        print(name, "missed", flush=True)
        signal.pthread_kill(watch.main, signal.SIGINT)
        time.sleep(MOMENT_SECONDS)


def waited_for(process: int) -> str:
    """How it ended."""
    deadline = time.monotonic() + END_SECONDS
    while os.waitpid(process, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return "stuck"
        time.sleep(TURN_SECONDS)
    return "ended"


if __name__ == "__main__":
    where, orders = sys.argv[1], json.loads(sys.argv[2])
    for shadow_name, order in orders:
        copy = os.fork()
        if copy == 0:
            begun.watch = Watch(Moment(*order))
            asyncio.run(work(shadow_name, where))
            break
        print(shadow_name, waited_for(copy), flush=True)
