"""`python -m bench.limits_worker URL CONCURRENCY CLOCK`: joins, waits for a line, and works until nothing is left."""

import asyncio
import sys
import threading

import uvloop

from shadows import Shadow, Worker

from .child import READY
from .project import NAME
from .report import say
from .tasks import noop, one_at_a_time

DONE = "done"


async def serve(url: str, concurrency: int) -> None:
    """Says when it is ready, and when everything is done."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(told.set)

    async with Shadow(name=NAME, url=url) as shadow:
        shadow.register(noop)
        shadow.register(one_at_a_time)
        async with Worker(shadow, concurrency=concurrency) as worker:
            say(READY)
            threading.Thread(target=wait, name="watch stdin", daemon=True).start()
            await told.wait()
            await worker.run_until_finished()
            say(DONE)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
