"""Who this worker is to the others: its consumer name, and whether it may start tasks under it."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any


class Membership:
    """A worker's name, with a random part that is new each time it joins: a worker that lost its lease comes
    back as somebody else, so that its late outcomes can be told from its new ones."""

    def __init__(self, name: str, on_name: Callable[[str], None] | None = None) -> None:
        self.name = name
        self._on_name = on_name
        self.joined = False
        # By the monotonic clock; the pulse's thread writes it, so that it is right however busy the loop is.
        self.lease_ends = 0.0
        self.consumer = ""
        self.incarnation = ""
        self.renew()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def held(self) -> bool:
        """Whether this worker has its lease, as far as it can know. A process that was paused longer than
        that must not start what it was handed before it knows whether that is still its own."""
        return self.joined and monotonic() < self.lease_ends

    def renew(self) -> None:
        """Takes a new consumer name."""
        self.joined = False
        self.incarnation = os.urandom(4).hex()
        self.consumer = f"{self.name}#{self.incarnation}"
        if self._on_name is not None:
            self._on_name(self.consumer)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs something on the side; it is waited for when the worker stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish_side_work(self) -> None:
        """Waits for what runs on the side."""
        # Only a KeyboardInterrupt can have left one that is done in the set; it would be waited for without a pause.
        while unfinished := [task for task in self._tasks if not task.done()]:
            await asyncio.wait(unfinished)

    def abandon_side_work(self) -> None:
        """Stops what runs on the side, without waiting for it."""
        for task in tuple(self._tasks):
            task.cancel()
