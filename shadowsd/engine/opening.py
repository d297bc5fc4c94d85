"""Opening a shadow and its worker, however long Redis takes."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic

from shadows import Shadow
from shadows.errors import ConnectionFailed, ServerRefused

from .worker import Worker

logger = logging.getLogger("shadows.worker")

FIRST_PAUSE_SECONDS = 0.1


async def open_patiently(
    stack: AsyncExitStack, shadow: Shadow, worker: Worker, on_waiting: Callable[[], None] = lambda: None
) -> None:
    """Enters both into `stack` as soon as Redis can be used. That it can't is told once, and to `on_waiting`."""
    began, pause, told = monotonic(), FIRST_PAUSE_SECONDS, False
    level = logging.DEBUG if worker.hosting is not None else logging.WARNING  # its master says it for all
    while True:
        try:
            async with AsyncExitStack() as attempt:
                await attempt.enter_async_context(shadow)
                await attempt.enter_async_context(worker)
                stack.push_async_exit(attempt.pop_all())
                break
        except (ConnectionFailed, ServerRefused, TimeoutError) as error:
            on_waiting()
            if not told:
                told = True
                logger.log(level, "The worker begins as soon as Redis can be used. %s", error or "It was too slow.")
            await asyncio.sleep(pause)
            pause = min(2 * pause, worker.reconnection_delay.total_seconds())
    if told:
        logger.log(level, "Redis can be used after %.1f s.", monotonic() - began)
