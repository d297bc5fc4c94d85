"""For tests: private Redis servers, assertions about what was added, calls of a task, its deaths, a clock to move.

The pytest fixtures over the servers are in the module `shadows_pytest`.
"""

from .collecting import CollectingShadow
from .crashing import crash_everywhere
from .expectations import assert_no_tasks, assert_task_count, assert_task_not_scheduled, assert_task_scheduled
from .moved_clock import Clock, clock
from .private_redis import PROGRAM_VARIABLE, RedisServer, server_program
from .rehearsing import run

__all__ = [
    "PROGRAM_VARIABLE",
    "Clock",
    "CollectingShadow",
    "RedisServer",
    "assert_no_tasks",
    "assert_task_count",
    "assert_task_not_scheduled",
    "assert_task_scheduled",
    "clock",
    "crash_everywhere",
    "run",
    "server_program",
]
