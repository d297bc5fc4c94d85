"""What signals ask of a worker process: drain, stop at once, and in the end, go.

1. The first TERM or INT: finish what runs, take nothing new.
2. The second, or a QUIT at any time: stop what runs and hand it back.
3. The next, or a process that can't even do that within some seconds: it ends by force.

The handlers only note the signal, and a thread of its own acts on the note: a loop that a task blocks could
not, and a worker in that state must still be possible to stop.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final, Self

logger = logging.getLogger("shadows.worker")

STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGQUIT") if hasattr(signal, name))
AT_ONCE: Final = getattr(signal, "SIGQUIT", None)
# Without Redis, handing back and signing off give up after 5 s each; what takes longer is stuck.
LONGEST_END_SECONDS = 15.0
FORCED = 1


class StopSignals:
    """Calls `drain` and then `at_once` in the loop, as signals come. A context manager around the loop's work."""

    def __init__(
        self, drain: Callable[[], None], at_once: Callable[[], None], longest_seconds: float = LONGEST_END_SECONDS
    ) -> None:
        self._drain = drain
        self._at_once = at_once
        self._longest = longest_seconds
        self._loop = asyncio.get_running_loop()
        # Its put() may be interrupted by another of itself, which a handler's must.
        self._orders: SimpleQueue[int | None] = SimpleQueue()
        self._before: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._obey, name="shadows signals", daemon=True)

    def __enter__(self) -> Self:
        for number in STOPPING:
            self._before[number] = signal.signal(number, self._came)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._orders.put(None)
        self._thread.join()

    def _came(self, number: int, frame: FrameType | None) -> None:
        self._orders.put(number)

    def _obey(self) -> None:
        order = self._orders.get()
        if order is not None and order != AT_ONCE:
            # Said here and not in the loop: an operator must see that the signal came, whatever the loop does.
            logger.info("Stopping: what runs is finished, and nothing new is taken. A second signal stops at once.")
            self._loop.call_soon_threadsafe(self._drain)
            order = self._orders.get()
        if order is None:
            return
        logger.info("Stopping at once: what runs is handed back.")
        self._loop.call_soon_threadsafe(self._at_once)
        try:
            order = self._orders.get(timeout=self._longest)
        except Empty:
            logger.error("The worker could not stop within %g s and ends by force.", self._longest)
        else:
            if order is None:
                return
            logger.error("The worker ends by force, as it was told to.")
        # What ran stays with this worker's lease, and runs again elsewhere when that has ended.
        os._exit(FORCED)
