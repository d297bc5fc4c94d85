"""The exit codes of the daemon's processes, and what each says to whoever started it."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
ORPHANED: Final = 70
"""Its master is gone, or is another one than it was told."""
MISCONFIGURED: Final = 78
"""EX_CONFIG of sysexits.h: starting it again as it is would end the same way."""
