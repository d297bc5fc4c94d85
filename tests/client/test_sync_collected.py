"""Clients of `shadows.sync` that nobody closed: the garbage collector closes them, wherever it runs."""

import threading

from shadows.loop_thread import LoopThread, forks
from tests.waiting import PATIENCE_SECONDS


async def nothing() -> None:
    """The farewell of a loop that holds nothing."""


def test_a_loop_that_is_collected_while_another_thread_has_the_lock_holds_nobody_up() -> None:
    """A new client waits, under the lock, for the first sign of its thread; when the garbage collector ran in that
    thread, and closed an older client there, both waited for ever."""
    loop = LoopThread(nothing)
    with forks.lock:
        elsewhere = threading.Thread(target=loop.collected)
        elsewhere.start()
        elsewhere.join(PATIENCE_SECONDS)
        assert not elsewhere.is_alive()
        assert not loop.closed
    # Whoever uses the lock next closes it.
    other = LoopThread(nothing)
    assert loop.closed
    other.close()


def test_a_loop_that_is_collected_elsewhere_is_closed_at_once() -> None:
    """Nobody else has the lock."""
    loop = LoopThread(nothing)
    elsewhere = threading.Thread(target=loop.collected)
    elsewhere.start()
    elsewhere.join(PATIENCE_SECONDS)
    assert loop.closed
