"""Why is a child silent? Told from its two stamps and what the kernel says of it, without asking the child."""

from enum import Enum
from pathlib import Path
from typing import NamedTuple

# A stamp comes each quarter of a second; what is younger than this is no silence.
SILENT_SECONDS = 2.0


class Kind(Enum):
    """What keeps a child silent, in words for logs and metrics."""

    NONE = "none"
    LOOP_BLOCKED = "its event loop is blocked"
    GIL_HELD = "something holds the GIL"
    STOPPED = "it was stopped by a signal"
    TRACED = "a debugger holds it"
    WAITS_FOR_DISK = "the kernel has it waiting for a device"


class Silence(NamedTuple):
    """One child's silence, in seconds."""

    kind: Kind = Kind.NONE
    seconds: float = 0.0


QUIET = Silence()
STATES = {"T": Kind.STOPPED, "t": Kind.TRACED, "D": Kind.WAITS_FOR_DISK}


def classify(loop_silent: float, thread_silent: float, state: str) -> Silence:
    """From the age of its stamps, and the letter that /proc shows for its state."""
    if loop_silent < SILENT_SECONDS:
        return QUIET
    if state in STATES:
        return Silence(STATES[state], loop_silent)
    return Silence(Kind.LOOP_BLOCKED if thread_silent < SILENT_SECONDS else Kind.GIL_HELD, loop_silent)


def state_of(pid: int) -> str:
    """The letter of a process's state; empty when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]
