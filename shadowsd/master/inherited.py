"""Signals that a person sends to a whole group of processes, or to the wrong one: they are the master's to act on.

They are caught and not ignored: what is ignored stays so in every program that a task starts, which then could
not be interrupted either.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Ignored indeed: a caught one would have each write to a terminal tried again for ever.
TERMINAL_SIGNALS = (signal.SIGTTIN, signal.SIGTTOU)
CHILD_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
# A zygote ends when its master lets go of it, and by nothing else that is polite.
GROUP_SIGNALS = (*CHILD_SIGNALS, signal.SIGTERM)


def leave_to_master(*numbers: signal.Signals) -> None:
    """Lets these pass without any effect."""
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    for number in numbers:
        signal.signal(number, pass_over)
    # They were held back from the first moment of the process on (`held_back`); what came meanwhile passes now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@contextmanager
def held_back() -> Iterator[None]:
    """What is executed within begins with these signals blocked: an interpreter takes a while until it can handle
    any, and would be killed by them. Ours come a moment later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pass_over(number: int, frame: FrameType | None) -> None:
    """The handler."""
