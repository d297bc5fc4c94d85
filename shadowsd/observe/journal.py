"""What the journal of systemd should know of a line: its priority stands in front of it, as sd-daemon(3) has it.

The journal takes each line for an entry of its own, so each line of a traceback bears the priority; otherwise
`journalctl -p err` would show its first line alone.
"""

import logging
import os
import re

# From the most severe on, as syslog(3) numbers them. A level between two of ours counts as the lower one; what
# stands above INFO is a notice.
PRIORITIES = (
    (logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO + 1, 5), (logging.INFO, 6),
)  # fmt: skip
DEBUG = 7
# Where the journal ends an entry: what comes after it would have no priority, or one that a task's words gave it.
ENDS = re.compile("[\n\0]")


def is_journal(descriptor: int) -> bool:
    """Whether it leads to the journal itself: systemd names the stream that it connected. A process that inherits that
    name, but whose output somebody redirected, has another."""
    status = os.fstat(descriptor)
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prioritized(text: str, level: int) -> str:
    """The text with the priority of a level in front of each line, and a line end behind the last."""
    mark = f"<{priority(level)}>"
    lines = ENDS.split(text.removesuffix("\n"))
    return "".join(f"{mark}{line}\n" for line in lines)


def priority(level: int) -> int:
    """What syslog calls a level of logging."""
    return next((number for least, number in PRIORITIES if level >= least), DEBUG)
