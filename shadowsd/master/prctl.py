"""Three things that only the kernel can promise about a process and its parent."""

import ctypes
import os
import signal
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ADOPTION_SECONDS = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def become_subreaper() -> None:
    """Adopts the orphans of one's children, as PID 1 does for all."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> bool:
    """Has the kernel kill this process when `parent` ends. False when it is not, or no longer, our parent."""
    deadline = time.monotonic() + ADOPTION_SECONDS
    # A child that was forked twice is adopted when the process between has ended.
    while os.getppid() != parent:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0002)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the kernel knew that we care.
    return os.getppid() == parent
