"""The master's signals. Each is a level and no count: it changes what is wanted, and wakes whoever acts on it."""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

TERM, INT, QUIT = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT
HUP, TTIN, TTOU, USR1 = signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1
ASKING = (TERM, INT, QUIT, HUP, TTIN, TTOU, USR1)
CAUGHT = (*ASKING, signal.SIGCHLD)


class Signals:
    """Notes signals until somebody takes them. A context manager around the master's loop."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._came: dict[signal.Signals, int] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in CAUGHT:
            # The loop hears of signals by bytes in a buffer, and loses those for which it has no room: a flood of one
            # would hide a TERM. So they are noted right here, and the bytes only wake it.
            loop.add_signal_handler(number, self._wake)
            signal.signal(number, self._note)
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        # What is left is the interpreter's own end: who asks once more must not turn a clean exit into a kill, nor
        # in the moment in which the loop has given a signal back to the kernel's default.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
        for number in CAUGHT:
            loop.remove_signal_handler(number)
        for number in ASKING:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came[signal.Signals(number)] = self._came.get(signal.Signals(number), 0) + 1

    def take(self) -> dict[signal.Signals, int]:
        """Those that came since, with how often each was noticed."""
        came, self._came = self._came, {}
        return came
