"""The life of a worker in a process of its own: it says that it is ready, runs, tells, and waits to be released.

The process that started it holds its standard input: when that closes, for whatever reason, it ends.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from .tasks import Stamps

READY = "ready"

type Serve = Callable[[str, Stamps], Coroutine[Any, Any, None]]


def run_child(serve: Serve) -> None:
    """Reads URL, COUNT and CLOCK from the command line, and serves until COUNT tasks have run."""
    url, count, clock = sys.argv[1:]
    uvloop.run(serve(url, Stamps(clock, int(count))))


async def work_until_released(work: Awaitable[None], stamps: Stamps) -> None:
    """Lets `work` run, prints what was noted when all of it is there, and stays until released."""
    working = asyncio.ensure_future(work)
    released = asyncio.create_task(_watch_stdin().wait())
    collected = asyncio.create_task(stamps.collected.wait())
    _tell(READY)
    try:
        await asyncio.wait((working, released, collected), return_when=asyncio.FIRST_COMPLETED)
        if collected.done():
            _tell(json.dumps(stamps.samples))
            await asyncio.wait((working, released), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, released, collected):
            task.cancel()
        await asyncio.gather(working, released, collected, return_exceptions=True)


def _watch_stdin() -> asyncio.Event:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        os.read(0, 1)
        loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=wait, name="watch stdin", daemon=True).start()
    return closed


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
