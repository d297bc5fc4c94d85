"""The tasks of `shadowsd demo`: plain functions with annotated parameters, as an application writes its own."""

import asyncio
import os
import signal
import time
from datetime import timedelta
from logging import Logger, LoggerAdapter
from typing import Annotated, Any

from shadows import CurrentExecution, CurrentShadow, Execution, Logged, Perpetual, Progress, Retry, TaskLogger

__all__ = ["album", "crash", "fetch", "greet", "heartbeat", "pack", "thumbnail"]

type Log = LoggerAdapter[Logger]


async def greet(name: Annotated[str, Logged], log: Log = TaskLogger()) -> None:
    """The smallest task: it is called, and that is all."""
    log.info("Hello, %s!", name)


async def fetch(
    page: str,
    log: Log = TaskLogger(),
    retry: Retry = Retry(attempts=5, delay=timedelta(milliseconds=300)),
) -> None:
    """Fails twice, as the network does; its Retry calls it again."""
    if retry.attempt < 3:
        raise ConnectionError(f"{page} did not answer")
    log.info("%s came at attempt %d.", page, retry.attempt)


async def heartbeat(log: Log = TaskLogger(), perpetual: Perpetual = Perpetual(every=timedelta(seconds=1))) -> None:
    """Each run schedules the next; whatever happens to workers meanwhile, the chain goes on."""
    log.info("I run every second.")


def thumbnail(picture: int) -> int:
    """A plain `def` runs in a thread of its worker, so that it holds nothing else up."""
    time.sleep(0.1)
    return 2 * picture


async def album(
    pictures: int, log: Log = TaskLogger(), shadows: Any = CurrentShadow(), progress: Progress = Progress()
) -> int:
    """Fans out: adds a task for each picture, awaits their results, and tells how far it is."""
    await progress.set_total(pictures)
    executions = await shadows.add_many(shadows.call(thumbnail)(picture) for picture in range(pictures))
    size = 0
    for result in asyncio.as_completed([execution.get_result() for execution in executions]):
        size += await result
        await progress.increment()
    log.info("All %d thumbnails are made.", pictures)
    return size


async def pack(
    order: Annotated[int, Logged], log: Log = TaskLogger(), execution: Execution = CurrentExecution()
) -> int:
    """Does its work properly. That it shares a worker with `crash` is no fault of its own."""
    log.info("Packing order %d%s.", order, " again" if execution.redelivered else "")
    await asyncio.sleep(0.8)
    return order


async def crash(log: Log = TaskLogger()) -> None:
    """Kills the process that it runs in, each time: a bug in a C library, or memory that runs out."""
    await asyncio.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)  # pragma: no cover - who runs it tells nobody any more
