"""An event loop in a thread of its own, for callers who have none; it survives a fork of the process.

A fork copies only the thread that calls it, and a copied loop shares its epoll with the parent's: what the
copy closes there goes deaf in the parent. So around each fork:

1. Before, every loop pauses and its thread ends: no lock is held, and no reply is half read.
2. In the parent, each goes on in a new thread, where it was; callers who wait notice nothing.
3. In the child, its descriptors are pointed at /dev/null, and it is given up; its owner makes a new one.

Stopping for good at a fork would be simpler, and fail the calls that other threads have under way.
"""

import asyncio
import os
import selectors
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from .errors import ShadowsError

# A loop pauses in no time, unless something blocks it; then the fork goes on without, which is merely less tidy.
PAUSE_SECONDS = 5.0


class LoopThread:
    """Runs what callers of any thread ask for. `farewell` is awaited in the loop when it closes."""

    def __init__(self, farewell: Callable[[], Awaitable[None]]) -> None:
        self._farewell = farewell
        self._selector = selectors.DefaultSelector()
        # Not what a policy would choose: the selector must be at hand after a fork.
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread: threading.Thread | None = None
        self.closed = False
        with forks.lock:
            forks.loops.add(self)
            self.go_on()
        forks.close_collected()

    def run[T](self, work: Callable[[], Awaitable[T]]) -> T:
        """Awaits `work()` in the loop, and returns or raises what came of it. Blocks the caller meanwhile."""
        if threading.current_thread() is self._thread:
            raise ShadowsError(
                "A function that shadows.sync called in its own thread calls shadows.sync again, and would wait for "
                "itself. Call it from another thread."
            )

        async def awaited() -> T:
            return await work()

        with forks.lock:
            if self.closed:
                raise closed_meanwhile()
            future = asyncio.run_coroutine_threadsafe(awaited(), self._loop)
        forks.close_collected()
        try:
            return future.result()
        except CancelledError:
            raise closed_meanwhile() from None
        finally:
            # Also when a signal's handler raises here, as Ctrl-C does.
            future.cancel()

    def close(self) -> None:
        """Ends the loop and the thread; calls that wait fail. Calling it again does nothing."""
        with forks.lock:
            if self.closed:
                return
            self.closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        forks.close_collected()
        # The garbage collector may call this in the loop's own thread.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def collected(self) -> None:
        """As `close`, for the garbage collector. It may run in any thread at any line, also in a new thread whose maker
        waits for its first sign under the lock: to wait for the lock here would be to wait for ever."""
        forks.collected.append(self)
        forks.close_collected()

    def _work(self, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        self._loop.run_forever()
        if self.closed:
            self._end()

    def _end(self) -> None:
        loop = self._loop
        # At the interpreter's end no thread can be started, which is a RuntimeError. Only the release of an embedded
        # server asks for one here, and that has a finalizer of its own.
        with suppress(RuntimeError):
            loop.run_until_complete(self._farewell())
        while tasks := asyncio.all_tasks(loop):
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_asyncgens())
        with suppress(RuntimeError):
            loop.run_until_complete(loop.shutdown_default_executor(PAUSE_SECONDS))
        loop.close()

    def pause(self) -> None:
        """Before a fork: the thread ends, and the loop keeps its place."""
        if not self.closed:
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(PAUSE_SECONDS)

    def go_on(self) -> None:
        """Runs the loop in a new thread."""
        if not self.closed:
            self._thread = threading.Thread(target=self._work, args=(self._thread,), name="shadows.sync", daemon=True)
            self._thread.start()

    def give_up(self) -> None:
        """In a forked child: lets go of everything that is the parent's, without a word to anybody."""
        if not self.closed:
            numbers = [key.fd for key in self._selector.get_map().values()]
            if sys.platform == "linux":
                numbers.append(self._selector.fileno())  # other systems' selectors stay with the parent
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in numbers:
                os.dup2(nothing, number, inheritable=False)
            os.close(nothing)
        self.closed = True


class Forks:
    """All loops of this process, and the lock under which they begin, end, and take calls."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.loops: WeakSet[LoopThread] = WeakSet()
        # Those whose users are gone; whoever has the lock closes them afterwards.
        self.collected: deque[LoopThread] = deque()
        # Never collected: what would be closed with them is not ours.
        self._parents: list[Any] = []

    def before(self) -> None:
        """The lock is held over the fork: no call is handed over while the loops pause."""
        self.lock.acquire()
        for loop in self.loops:
            loop.pause()

    def in_parent(self) -> None:
        """Everything goes on."""
        for loop in self.loops:
            loop.go_on()
        self.lock.release()
        self.close_collected()

    def close_collected(self) -> None:
        """Closes the loops of users that are gone, unless somebody else is about to: it looks again when it is done."""
        while self.collected and self.lock.acquire(blocking=False):
            try:
                loop = self.collected.popleft() if self.collected else None
            finally:
                self.lock.release()
            if loop is not None:
                loop.close()

    def in_child(self) -> None:
        """Everything begins anew. Not every fork runs `before`: those made in C may not."""
        self.lock = threading.RLock()
        self._parents += self.loops
        self.loops = WeakSet()
        self.collected.clear()
        for loop in self._parents:
            loop.give_up()


def closed_meanwhile() -> ShadowsError:
    """The error of a call that lost its loop."""
    return ShadowsError("The shadow was closed by another thread during the call. Close it after the last call.")


forks = Forks()
if sys.platform != "win32":
    os.register_at_fork(before=forks.before, after_in_parent=forks.in_parent, after_in_child=forks.in_child)
